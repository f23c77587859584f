//! Next to no CPU time for one process.
//!
//! The kernel's limit of CPU time (`cpu.cfs_quota_us`, in cgroups of version 2 `cpu.max`) does not hold for real-time
//! threads, so these lose their priority while they starve.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::lab::process::ProcessId;
use crate::lab::{Lab, cgroups};

/// The period over which a starved process' share of a CPU is counted, in microseconds. The kernel takes quotas from 1,000 on,
/// which is 1 % of it.
const PERIOD: u32 = 100_000;

impl Lab {
    /// Leaves a node's container of this name only `percent` of one CPU, until [`Lab::feed`].
    pub fn starve(&self, node: &str, command: &str, percent: f64) -> Result<()> {
        ensure!((1.0..=100.0).contains(&percent), "{percent} % of a CPU: say 1 to 100");
        for process in self.processes(node, command)? {
            let quota = Quota::of(&process)?;
            let mut list = vec![quota.line()];
            for thread in RealTime::of(&process)? {
                list.push(thread.line(&process));
                thread.demote()?;
            }
            remember(&self.starved(), &list)?;
            quota.set(&format!("{:.0}", f64::from(PERIOD) * percent / 100.0))?;
        }
        Ok(())
    }

    /// Gives starved processes back what they had.
    pub fn feed(&self) -> Result<()> {
        let list = self.starved();
        let text = fs::read_to_string(&list).unwrap_or_default();
        // The first line about a process tells how it was before it starved; starved twice, it has two.
        for line in text.lines().rev() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["quota", file, before] => restore(Path::new(file), before)?,
                ["thread", process, thread, policy, priority] => {
                    let process: ProcessId = serde_json::from_str(process)?;
                    if process.lives() {
                        RealTime { thread: thread.parse()?, policy: policy.parse()?, priority: priority.parse()? }
                            .promote()?;
                    }
                }
                _ => bail!("{} is damaged: {line}", list.display()),
            }
        }
        match fs::remove_file(&list) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn starved(&self) -> PathBuf {
        self.home().join("starved")
    }
}

fn remember(list: &Path, lines: &[String]) -> Result<()> {
    use std::io::Write as _;
    let mut list = fs::File::options().create(true).append(true).open(list)?;
    for line in lines {
        writeln!(list, "{line}")?;
    }
    Ok(())
}

fn restore(file: &Path, before: &str) -> Result<()> {
    // The container may be gone, and its cgroup with it.
    if file.exists() { write(file, before) } else { Ok(()) }
}

/// The limit of CPU time of a process' cgroup, in whichever version of cgroups the machine has.
struct Quota {
    file: PathBuf,
    before: String,
}

impl Quota {
    fn of(process: &ProcessId) -> Result<Self> {
        let path = format!("/proc/{}/cgroup", process.pid());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(group)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let file = match controllers {
                "" => "cpu.max",
                list if list.split(',').any(|one| one == "cpu") => "cpu.cfs_quota_us",
                _ => continue,
            };
            for root in cgroups::roots() {
                let file = root.join(group.trim_start_matches('/')).join(file);
                if let Ok(before) = fs::read_to_string(&file) {
                    return Ok(Self { file, before: before.trim().to_owned() });
                }
            }
        }
        bail!("process {} has no cgroup with a limit of CPU time:\n{text}", process.pid())
    }

    fn set(&self, quota: &str) -> Result<()> {
        if self.file.ends_with("cpu.max") {
            return write(&self.file, &format!("{quota} {PERIOD}"));
        }
        write(&self.file.with_file_name("cpu.cfs_period_us"), &PERIOD.to_string())?;
        write(&self.file, quota)
    }

    fn line(&self) -> String {
        format!("quota\t{}\t{}", self.file.display(), self.before)
    }
}

fn write(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).with_context(|| format!("writing {value} to {}", file.display()))
}

/// A thread with real-time priority.
struct RealTime {
    thread: u32,
    /// As in `sched.h`: 1 is FIFO, 2 is RR.
    policy: u32,
    priority: u32,
}

impl RealTime {
    fn of(process: &ProcessId) -> Result<Vec<Self>> {
        let directory = format!("/proc/{}/task", process.pid());
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).with_context(|| format!("reading {directory}"))? {
            let entry = entry?;
            // A thread may end meanwhile.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let thread = entry.file_name().to_string_lossy().parse()?;
            found.extend(Self::parse(thread, &stat));
        }
        Ok(found)
    }

    /// From `/proc/PID/task/TID/stat`: fields 40 and 41, counted from 1; the name in parentheses is the second.
    fn parse(thread: u32, stat: &str) -> Option<Self> {
        let after: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| after.get(number - 3)?.parse::<u32>().ok();
        let (priority, policy) = (field(40)?, field(41)?);
        (priority > 0 && matches!(policy, 1 | 2)).then_some(Self { thread, policy, priority })
    }

    fn demote(&self) -> Result<()> {
        self.chrt("--other", 0)
    }

    fn promote(&self) -> Result<()> {
        self.chrt(if self.policy == 1 { "--fifo" } else { "--rr" }, self.priority)
    }

    fn chrt(&self, policy: &str, priority: u32) -> Result<()> {
        let output = Command::new("chrt")
            .args([policy, "--pid", &priority.to_string(), &self.thread.to_string()])
            .output()
            .context("starting chrt (Debian package util-linux)")?;
        let gone = !Path::new(&format!("/proc/{}", self.thread)).exists();
        ensure!(output.status.success() || gone, "chrt: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    fn line(&self, process: &ProcessId) -> String {
        let process = serde_json::to_string(process).unwrap_or_default();
        format!("thread\t{process}\t{}\t{}\t{}", self.thread, self.policy, self.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(priority: &str, policy: &str) -> String {
        let mut fields = vec!["0"; 50];
        fields[37] = priority;
        fields[38] = policy;
        format!("7 (a (name) of) {}", fields.join(" "))
    }

    #[test]
    fn only_threads_with_real_time_priority_have_one_to_lose() {
        let found = RealTime::parse(7, &stat("10", "2")).map(|one| (one.thread, one.policy, one.priority));
        assert_eq!(found, Some((7, 2, 10)));
        assert!(RealTime::parse(7, &stat("0", "0")).is_none());
    }

    #[test]
    fn a_thread_of_this_program_has_none() {
        let own = ProcessId::own().unwrap();
        assert!(RealTime::of(&own).unwrap().is_empty());
    }
}
