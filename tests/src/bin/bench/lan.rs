//! A switch with many hosts, each a network namespace with one interface, for what needs no cluster. It goes with this value,
//! or with the process.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns, unshare};

use super::heartbeats::{configured, mac};

/// The hosts' interface.
const INTERFACE: &str = "eth0";

/// The switch and its hosts.
pub(crate) struct Lan {
    switch: File,
    hosts: Vec<File>,
}

impl Lan {
    /// With so many hosts, each with its address and its port `pN` on the switch.
    pub(crate) fn build(hosts: u16) -> Result<Self> {
        let lan = Self { switch: namespace()?, hosts: (0..hosts).map(|_| namespace()).collect::<Result<_>>()? };
        let mut batch = "link add lan type bridge stp_state 0 forward_delay 0\nlink set lan up\n".to_owned();
        for (number, host) in (0..hosts).zip(&lan.hosts) {
            let path = path(host);
            write!(
                batch,
                "link add p{number} type veth peer name {INTERFACE} address {} netns {path}\n\
                 link set p{number} master lan\nlink set p{number} up\n",
                mac(number)
            )?;
        }
        within(&lan.switch, || ip(&batch))??;
        for (number, host) in (0..hosts).zip(&lan.hosts) {
            let batch = format!("addr add {} dev {INTERFACE}\nlink set {INTERFACE} up\n", configured(number));
            within(host, || ip(&batch))??;
        }
        Ok(lan)
    }

    /// Runs something on a host; threads that it starts stay there.
    pub(crate) fn within<T: Send>(&self, host: u16, work: impl FnOnce() -> T + Send) -> Result<T> {
        within(self.hosts.get(usize::from(host)).context("no such host")?, work)
    }

    /// The kernel's number of a host's interface.
    pub(crate) fn index(&self, host: u16) -> Result<u32> {
        Ok(self.within(host, || if_nametoindex(INTERFACE))??)
    }

    /// The frames that each host has sent and received until now.
    pub(crate) fn frames(&self) -> Result<Vec<f64>> {
        let count = self.hosts.len();
        let said = within(&self.switch, || fs::read_to_string("/proc/thread-self/net/dev"))??;
        let mut found = Vec::new();
        for number in 0..count {
            let port = format!("p{number}:");
            let line = said.lines().find_map(|line| line.trim().strip_prefix(&port));
            let fields: Vec<&str> = line.with_context(|| format!("no port p{number}"))?.split_whitespace().collect();
            // Bytes and packets received, eight fields in all, then the same sent.
            let field = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
            found.push(field(1).zip(field(9)).map(|(received, sent)| received + sent).context("two counters")?);
        }
        Ok(found)
    }
}

fn namespace() -> Result<File> {
    let make = || -> Result<File> {
        unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace needs root")?;
        Ok(File::open("/proc/thread-self/ns/net")?)
    };
    std::thread::scope(|scope| scope.spawn(make).join()).map_err(|_| anyhow!("making a namespace has panicked"))?
}

/// The path by which other programs find it.
fn path(namespace: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd())
}

fn within<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> Result<T> {
    let enter = || -> Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
        Ok(work())
    };
    std::thread::scope(|scope| scope.spawn(enter).join()).map_err(|_| anyhow!("work in a namespace has panicked"))?
}

fn ip(batch: &str) -> Result<()> {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    ip.stdin.take().context("ip has no stdin")?.write_all(batch.as_bytes())?;
    let output = ip.wait_with_output()?;
    ensure!(output.status.success(), "ip: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
