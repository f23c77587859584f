//! Running commands on a lab's hosts and reading what they say.

use std::io;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::Receiver;

use super::Lab;
use super::room::{Room, own_group};

/// A command that takes longer is ended: what takes long is started with [`Lab::start`].
const EXEC_LIMIT: Duration = Duration::from_mins(1);

/// kubectl waits for rollouts and deletions; nothing in a lab takes longer.
const KUBECTL_LIMIT: Duration = Duration::from_mins(5);

/// What a finished command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, as far as it is text.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it ended well.
    pub fn is_ok(&self) -> bool {
        self.status.success()
    }

    /// Its standard output if it ended well; otherwise an error with everything it said.
    pub fn text(self) -> Result<String> {
        ensure!(self.status.success(), "{self}");
        Ok(self.stdout)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ended with {}", self.command, self.status)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.trim().is_empty() {
                write!(f, "\n{name}: {}", text.trim())?;
            }
        }
        Ok(())
    }
}

impl Lab {
    /// Runs a command on a host and waits for its end, at most a minute. How it ended is for the caller to judge.
    pub async fn exec(&self, host: &str, command: &[&str]) -> Result<Output> {
        self.start(host, command)?.finish(EXEC_LIMIT).await
    }

    /// Starts a command on a host; it is ended when the result is dropped.
    pub fn start(&self, host: &str, command: &[&str]) -> Result<Running> {
        Running::start(&self.host(host)?, command, self)
    }

    /// Runs kubectl as the administrator, on the host that runs the lab.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_reading(arguments, "").await
    }

    /// [`Lab::kubectl`] with something to read on its standard input: manifests for `apply -f -`.
    pub async fn kubectl_reading(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = tokio::process::Command::new(self.bin().join("kubectl"));
        command.args(arguments).env("KUBECONFIG", self.kubeconfig()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("kubectl {}", arguments.join(" "));
        let mut child = command.spawn().with_context(|| format!("starting `{what}`"))?;
        let mut stdin = child.stdin.take().context("kubectl has no stdin")?;
        let conversation = async {
            // It may end without reading all of it; what it says then matters more.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(KUBECTL_LIMIT, conversation)
            .await
            .with_context(|| format!("`{what}` took longer than {} s", KUBECTL_LIMIT.as_secs()))??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output { command: what, status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }.text()
    }
}

/// A command that runs on a host.
#[derive(Debug)]
pub struct Running {
    command: String,
    host: String,
    child: Child,
    ended: bool,
}

impl Running {
    fn start(room: &Room, command: &[&str], lab: &Lab) -> Result<Self> {
        let (program, arguments) = command.split_first().context("an empty command")?;
        let mut prepared = room.command(program);
        prepared.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        prepared.env("KUBECONFIG", lab.kubeconfig());
        own_group(&mut prepared);
        let child = room.spawn(prepared)?;
        Ok(Self { command: command.join(" "), host: room.host().to_owned(), child, ended: false })
    }

    /// Waits for its end. When the limit passes first, it is ended, and the error has what it said until then.
    pub async fn finish(mut self, limit: Duration) -> Result<Output> {
        let stdout = self.child.stdout.take().map(receiver).transpose()?;
        let stderr = self.child.stderr.take().map(receiver).transpose()?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let reading = async { tokio::try_join!(read(stdout, &mut out), read(stderr, &mut err)) };
        let in_time = match tokio::time::timeout(limit, reading).await {
            Ok(read) => read.map(|_| true)?,
            Err(_elapsed) => {
                self.signal(Signal::SIGKILL);
                false
            }
        };
        // Its pipes are closed or it was killed: this does not wait long.
        let status = self.child.wait().with_context(|| format!("waiting for `{}`", self.command))?;
        self.ended = true;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let command = format!("{} (on {})", self.command, self.host);
        let output = Output { command, status, stdout: text(out), stderr: text(err) };
        if !in_time {
            bail!("it took longer than {} s and was ended: {output}", limit.as_secs());
        }
        Ok(output)
    }

    /// Asks it to end (SIGINT, as a terminal would) and returns what it said.
    pub async fn stop(self) -> Result<Output> {
        self.signal(Signal::SIGINT);
        self.finish(Duration::from_secs(10)).await
    }

    /// Its process number on the host.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Signals the command and all it started.
    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It may have ended by itself.
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn receiver(pipe: impl Into<PipeEnd>) -> io::Result<Receiver> {
    Receiver::from_owned_fd(pipe.into().0)
}

struct PipeEnd(std::os::fd::OwnedFd);

impl From<ChildStdout> for PipeEnd {
    fn from(pipe: ChildStdout) -> Self {
        Self(pipe.into())
    }
}

impl From<ChildStderr> for PipeEnd {
    fn from(pipe: ChildStderr) -> Self {
        Self(pipe.into())
    }
}

async fn read(pipe: Option<Receiver>, into: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(into).await?;
    }
    Ok(())
}
