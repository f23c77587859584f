//! What Herald's processes may do, read from the processes that run.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::LAB;

/// Bits 12 (`CAP_NET_ADMIN`), 13 (`CAP_NET_RAW`) and 23 (`CAP_SYS_NICE`) of a capability mask: `capabilities(7)`.
const SPEAKER_CAPABILITIES: u64 = 1 << 12 | 1 << 13 | 1 << 23;

/// What the kernel says of a process.
struct Process {
    status: String,
    mounts: String,
}

impl Process {
    fn read(pid: i32) -> Result<Self> {
        let read =
            |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).with_context(|| format!("{file} of {pid}"));
        Ok(Self { status: read("status")?, mounts: read("mountinfo")? })
    }

    /// A line of its status, without its name.
    fn field(&self, name: &str) -> Result<&str> {
        let line = self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {name} in\n{}", self.status))?.trim())
    }

    /// One of its capability masks.
    fn capabilities(&self, set: &str) -> Result<u64> {
        Ok(u64::from_str_radix(self.field(set)?, 16)?)
    }

    /// What holds of every container of Herald: no way to gain rights, system calls filtered, nothing to write to.
    fn check_confinement(&self) -> Result<()> {
        ensure!(self.field("NoNewPrivs")? == "1", "it may gain privileges");
        ensure!(self.field("Seccomp")? == "2", "its system calls are not filtered: Seccomp {}", self.field("Seccomp")?);
        // "36 35 98:0 / / ro,relatime - ext4 ...": the fifth field is the mount point, the sixth its options.
        let root =
            self.mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).context("no root in mountinfo")?;
        let options = root.split(' ').nth(5).unwrap_or_default();
        ensure!(options.split(',').any(|option| option == "ro"), "its root file system is writable: {root}");
        Ok(())
    }
}

#[tokio::test]
async fn speakers_have_the_three_capabilities_they_need_and_no_other() -> Result<()> {
    LAB.run(async |lab| {
        for node in lab.nodes() {
            for process in lab.processes(node.name(), "herald-speaker")? {
                let process = Process::read(process.pid())?;
                for set in ["CapEff", "CapPrm", "CapBnd"] {
                    let found = process.capabilities(set)?;
                    ensure!(found == SPEAKER_CAPABILITIES, "{set} of the speaker on {}: {found:#x}", node.name());
                }
                process.check_confinement().with_context(|| format!("the speaker on {}", node.name()))?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_controller_is_no_root_and_has_no_capability() -> Result<()> {
    LAB.run(async |lab| {
        let mut controllers = Vec::new();
        for node in lab.nodes() {
            // Only one node has it.
            controllers.extend(lab.processes(node.name(), "herald-controller").unwrap_or_default());
        }
        ensure!(controllers.len() == 1, "{} controllers run", controllers.len());
        for process in controllers {
            let process = Process::read(process.pid())?;
            let ids = process.field("Uid")?;
            ensure!(ids.split_whitespace().all(|id| id == "65532"), "its user ids are {ids}");
            for set in ["CapEff", "CapPrm", "CapBnd"] {
                let found = process.capabilities(set)?;
                ensure!(found == 0, "{set} of the controller: {found:#x}");
            }
            process.check_confinement().context("the controller")?;
        }
        Ok(())
    })
    .await
}
