//! Processes the lab has started: who they are (so that a number used again is never mistaken for them) and their end.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::wait::until;

/// One process for the whole of its life: its number, the moment it started and the boot it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pid: i32,
    /// Clock ticks since boot, from `/proc/PID/stat`.
    started: u64,
    boot: String,
}

impl ProcessId {
    /// The process that has this number now, if there is one and it has not ended.
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        let stat = Stat::read(pid)?;
        stat.lives().then(|| Self { pid, started: stat.started, boot: boot_id() })
    }

    /// This very process.
    pub fn own() -> Result<Self> {
        Self::of(std::process::id()).context("/proc shows nothing of this process; is it mounted?")
    }

    /// Its number, as the host sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it still runs: not ended, not a zombie, and not another one with the same number.
    pub fn lives(&self) -> bool {
        self.boot == boot_id() && Stat::read(self.pid).is_some_and(|stat| stat.lives() && stat.started == self.started)
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.lives() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("sending {signal} to process {}", self.pid)),
        }
    }

    /// Ends it at once and waits until it has gone.
    pub async fn end(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        until(Duration::from_secs(10), &format!("process {} ends after SIGKILL", self.pid), async || {
            Ok((!self.lives()).then_some(()))
        })
        .await
    }

    /// Its descendants, as they are now.
    pub(super) fn descendants(&self) -> Vec<Process> {
        let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
        for process in all() {
            children.entry(process.parent).or_default().push(process);
        }
        let mut found = Vec::new();
        let mut open = vec![self.pid];
        while let Some(parent) = open.pop() {
            let below = children.remove(&parent).unwrap_or_default();
            open.extend(below.iter().map(|process| process.id.pid));
            found.extend(below);
        }
        found
    }
}

/// A running process and what it runs.
#[derive(Clone, Debug)]
pub struct Process {
    /// Who it is.
    pub id: ProcessId,
    /// The kernel's name for it: the first 15 bytes of its program's name.
    pub command: String,
    parent: i32,
}

/// All processes of the machine that have not ended.
pub(super) fn all() -> impl Iterator<Item = Process> {
    let boot = boot_id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = Stat::read(pid).filter(Stat::lives)?;
        let id = ProcessId { pid, started: stat.started, boot: boot.clone() };
        Some(Process { id, command: stat.command, parent: stat.parent })
    })
}

struct Stat {
    command: String,
    state: char,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold spaces and parentheses; what follows its last one are numbers.
        let (before, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        Some(Self {
            command: before.split_once('(')?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
