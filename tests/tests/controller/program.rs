//! The controller's process.

use anyhow::{Context, Result, ensure};
use herald_tests::lab::topology::CONTROL_PLANE;
use herald_tests::lab::{Lab, Seen, eventually};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

/// How long the controller may take to list everything on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A controller that runs. Dropped, it is killed.
pub(crate) struct Controller {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Controller {
    /// Starts one with these flags beside the necessary ones, and waits until it is ready.
    pub(crate) async fn start(lab: &Lab, flags: &[&str]) -> Result<Self> {
        let controller = Self::launch(lab, flags).await?;
        controller.ready().await?;
        Ok(controller)
    }

    /// Starts one.
    pub(crate) async fn launch(lab: &Lab, flags: &[&str]) -> Result<Self> {
        // The kernel picks a port that is free; nobody else on this machine takes it in the moment between.
        let admin = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        // With the logs of the control plane, which are kept when a test fails.
        let log = lab.host(CONTROL_PLANE)?.log(&format!("herald-controller-{}", admin.port()))?;
        let child = Command::new(program().await?)
            .args(["--admin-address", &admin.to_string(), "--log-level", "debug"])
            .args(flags)
            .env_clear()
            .env("KUBECONFIG", lab.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).with_context(|| format!("creating {}", log.display()))?)
            .kill_on_drop(true)
            .spawn()
            .context("starting herald-controller")?;
        Ok(Self { child, admin, log })
    }

    /// Waits until everything is listed and a first pass is done.
    pub(crate) async fn ready(&self) -> Result<()> {
        let what = format!("the controller is ready (its log is {})", self.log.display());
        eventually(READY_WITHIN, &what, async || {
            let answer = self.ask("/readyz").await?;
            Ok(Seen::when(answer.starts_with("HTTP/1.1 200"), (), answer))
        })
        .await
    }

    /// What an admin endpoint answers, head and body.
    pub(crate) async fn ask(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.admin).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).with_context(|| format!("reading {}", self.log.display()))
    }

    /// Kills it as a power loss would.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("killing the controller")
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().context("the controller ended by itself")?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let status = tokio::time::timeout(READY_WITHIN, self.child.wait()).await.context("it does not stop")??;
        ensure!(status.success(), "it stopped with {status}; its log is {}", self.log.display());
        Ok(())
    }
}

/// The program, built by the cargo that runs the tests.
async fn program() -> Result<&'static PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_try_init(async || {
            let cargo = option_env!("CARGO").unwrap_or("cargo");
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--locked", "--package", "herald-controller"]);
            let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().await.context("running cargo")?;
            ensure!(built.success(), "herald-controller does not compile");
            let here = std::env::current_exe()?;
            let mut above = here.ancestors().skip(1).take(2).map(|directory| directory.join("herald-controller"));
            above.find(|path| path.is_file()).context("no program herald-controller beside the tests")
        })
        .await
}
