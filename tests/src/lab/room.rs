//! Rooms: the namespaces in which the lab's hosts live, and starting programs in them.
//!
//! Every host has a network namespace. A host that runs daemons (a node, the control plane) also has namespaces of its
//! own for processes, mounts and its name, held by an init process: ending that one process ends everything in the room
//! at once, as a loss of power would, and takes all mounts with it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

use super::cgroups;
use super::machine;
use super::process::{self, Process, ProcessId};
use super::wait::until;

const NETNS_DIR: &str = "/run/netns";

/// Where programs of the lab look for others; the parts' own directory is put before it.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One host's namespaces.
#[derive(Clone, Debug)]
pub struct Room {
    host: String,
    netns: PathBuf,
    /// The host's directory, only of hosts that run daemons.
    home: Option<PathBuf>,
    /// Prepended to `PATH`.
    bin: PathBuf,
}

impl Room {
    /// A room of only a network namespace.
    pub(super) fn network(lab: &str, host: &str, bin: &Path) -> Self {
        Self { host: host.to_owned(), netns: netns_path(lab, host), home: None, bin: bin.to_owned() }
    }

    /// A room with processes and mounts of its own; what it keeps lies in `home`.
    pub(super) fn machine(lab: &str, host: &str, bin: &Path, home: PathBuf) -> Self {
        Self { host: host.to_owned(), netns: netns_path(lab, host), home: Some(home), bin: bin.to_owned() }
    }

    /// The host's name in its lab: `node-1`, `client`, ...
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of its network namespace, as `nsenter --net=` wants it.
    pub fn netns(&self) -> &Path {
        &self.netns
    }

    /// Its network namespace alone, which is there also without power.
    pub(super) fn wires(&self) -> Self {
        Self { home: None, ..self.clone() }
    }

    /// The init process of a machine that is up.
    pub fn init(&self) -> Option<ProcessId> {
        self.recorded("init").filter(ProcessId::lives)
    }

    /// All processes of a machine that is up, those of its pods included.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let init = self.init().with_context(|| format!("{} has no power: `lab heal` gives it back", self.host))?;
        // Daemons may be children of the program that started them, outside; what they start is not.
        let namespace = fs::read_link(format!("/proc/{}/ns/pid", init.pid()))?;
        let roots = process::all().filter(|one| {
            fs::read_link(format!("/proc/{}/ns/pid", one.id.pid())).is_ok_and(|other| other == namespace)
        });
        let mut found: Vec<Process> = Vec::new();
        for root in roots {
            found.extend(root.id.descendants());
            found.push(root);
        }
        found.sort_by_key(|one| one.id.pid());
        found.dedup_by_key(|one| one.id.pid());
        Ok(found)
    }

    /// A command prepared for this room: environment cleared to what the lab guarantees.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let bin = if self.home.is_some() { Path::new(machine::BIN) } else { &self.bin };
        command.env_clear().env("PATH", format!("{}:{SYSTEM_PATH}", bin.display())).env("HOME", "/root");
        command.env("LANG", "C.UTF-8").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts a command in the room. The process is a direct child, with the host's number.
    pub fn spawn(&self, mut command: Command) -> Result<Child> {
        let program = command.get_program().to_string_lossy().into_owned();
        self.within(move || command.spawn())?.with_context(|| format!("starting {program} on {}", self.host))
    }

    /// Runs a function on a thread that has entered the room, for what the kernel shows only there.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let doors = self.doors()?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                enter(&doors)?;
                Ok(work())
            });
            match inside.join() {
                Ok(result) => {
                    result.map_err(|error: io::Error| error).with_context(|| format!("entering {}", self.host))
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn doors(&self) -> Result<Vec<(File, CloneFlags)>> {
        let mut doors = vec![(
            File::open(&self.netns)
                .with_context(|| format!("host {}: no namespace {}", self.host, self.netns.display()))?,
            CloneFlags::CLONE_NEWNET,
        )];
        if self.home.is_some() {
            let init = self.init().with_context(|| format!("{} has no power: `lab heal` gives it back", self.host))?;
            // Mounts last: behind that door the host's paths are gone.
            for (name, flag) in [
                ("uts", CloneFlags::CLONE_NEWUTS),
                ("cgroup", CloneFlags::CLONE_NEWCGROUP),
                ("pid", CloneFlags::CLONE_NEWPID),
                ("mnt", CloneFlags::CLONE_NEWNS),
            ] {
                let path = format!("/proc/{}/ns/{name}", init.pid());
                doors.push((File::open(&path).with_context(|| format!("opening {path}"))?, flag));
            }
        }
        Ok(doors)
    }

    /// Gives a machine its init process: namespaces, mounts, and then nothing but waiting for children.
    pub(super) async fn boot(&self) -> Result<()> {
        let home = self.home()?;
        for directory in ["lib", "log", "pids", "etc"] {
            fs::create_dir_all(home.join(directory))
                .with_context(|| format!("creating {}/{directory}", home.display()))?;
        }
        let booted = home.join("booted");
        let _ = fs::remove_file(&booted);
        let lab = home.parent().and_then(Path::file_name).and_then(OsStr::to_str).context("a directory of a lab")?;
        let groups = cgroups::make(lab, &self.host).with_context(|| format!("making cgroups of {}", self.host))?;
        let script = machine::first_process(&self.host, home, &self.bin, &groups);
        let log = append(&home.join("log/init.log"))?;
        let mut command = Command::new("setsid");
        command
            .args(["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "private"])
            .args(["sh", "-euc", &script])
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = self.wires().spawn(command)?;
        let parent = child.id();
        let init = until(
            Duration::from_secs(10),
            &format!("{} boots (see {}/log/init.log)", self.host, home.display()),
            async || {
                if let Some(status) = child.try_wait()? {
                    bail!("its init ended with {status}");
                }
                Ok(if booted.exists() { first_child(parent) } else { None })
            },
        )
        .await?;
        reap(child);
        self.record("init", &init)
    }

    /// Starts a daemon of a machine, its output appended to `log/NAME.log`, and records it.
    pub(super) fn start(&self, name: &str, program: &str, arguments: &[String]) -> Result<ProcessId> {
        let log = append(&self.log(name)?)?;
        // A session of its own: what the lab starts must survive the terminal it was started from.
        let mut command = self.command("setsid");
        command.arg(program).args(arguments).stdout(log.try_clone()?).stderr(log);
        let child = self.spawn(command)?;
        let process = ProcessId::of(child.id()).with_context(|| {
            format!("{name} on {} ended at once: see {}", self.host, self.log(name).unwrap_or_default().display())
        })?;
        reap(child);
        self.record(name, &process)?;
        Ok(process)
    }

    /// The log of one of the machine's daemons.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        Ok(self.home()?.join(format!("log/{name}.log")))
    }

    /// The daemon of this name as it was last started, running or not.
    pub fn recorded(&self, name: &str) -> Option<ProcessId> {
        let text = fs::read_to_string(self.home.as_ref()?.join("pids").join(name)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The host's directory.
    pub(super) fn home(&self) -> Result<&Path> {
        self.home.as_deref().with_context(|| format!("{} runs no daemons", self.host))
    }

    fn record(&self, name: &str, process: &ProcessId) -> Result<()> {
        let path = self.home()?.join("pids").join(name);
        fs::write(&path, serde_json::to_vec(process)?).with_context(|| format!("writing {}", path.display()))
    }
}

/// The name under which the host's network namespace is known to `ip netns`.
pub(super) fn netns_name(lab: &str, host: &str) -> String {
    format!("{lab}-{host}")
}

pub(super) fn netns_path(lab: &str, host: &str) -> PathBuf {
    Path::new(NETNS_DIR).join(netns_name(lab, host))
}

fn enter(doors: &[(File, CloneFlags)]) -> io::Result<()> {
    // A thread may only change its mounts when it shares its working directory with no other.
    unshare(CloneFlags::CLONE_FS)?;
    for (door, flag) in doors {
        setns(door, *flag)?;
    }
    Ok(())
}

fn append(path: &Path) -> Result<File> {
    File::options().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))
}

fn first_child(parent: u32) -> Option<ProcessId> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().and_then(ProcessId::of)
}

/// Takes a child's exit status whenever it comes, so that no zombie keeps a room from closing.
fn reap(mut child: Child) {
    std::thread::spawn(move || child.wait());
}

/// Makes a command the leader of a process group, so that it can be ended with all it started.
pub(super) fn own_group(command: &mut Command) {
    command.process_group(0);
}
