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
    pub fn descendants(&self) -> Vec<Descendant> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for (pid, stat) in all() {
            children.entry(stat.parent).or_default().push(pid);
        }
        let mut found = Vec::new();
        let mut open = vec![self.pid];
        while let Some(parent) = open.pop() {
            for &pid in children.get(&parent).into_iter().flatten() {
                open.push(pid);
                if let (Some(process), Ok(command)) =
                    (u32::try_from(pid).ok().and_then(Self::of), fs::read_to_string(format!("/proc/{pid}/comm")))
                {
                    found.push(Descendant { process, command: command.trim_end().to_owned() });
                }
            }
        }
        found
    }
}

/// A process below another.
#[derive(Clone, Debug)]
pub struct Descendant {
    /// Who it is.
    pub process: ProcessId,
    /// The kernel's name for it: the first 15 bytes of its program's name.
    pub command: String,
}

struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold spaces and parentheses; what follows its last one are numbers.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

fn all() -> impl Iterator<Item = (i32, Stat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, Stat::read(pid)?))
    })
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
