//! Faults, and mending them. Each is what its name says and nothing more: a node cut from the LAN still reaches the API
//! server, and the other way round.
//!
//! Here: power and processes, and mending. Wires are in `links`, hunger in `starvation`, the API server in `api_server`.

mod api_server;
mod links;
mod starvation;

use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

pub use self::links::OneWay;
use super::Lab;
use super::process::{Process, ProcessId};
use super::topology::{LAN_INTERFACE, MANAGEMENT_INTERFACE};

/// The process meant when none is named.
pub const SPEAKER: &str = "herald-speaker";

impl Lab {
    /// The node loses power: silent on all links, and every process on it, pods included, gone in the same moment.
    pub async fn power_off(&self, node: &str) -> Result<()> {
        let node = self.node(node)?;
        self.cut_lan(node.name())?;
        self.cut_api(node.name())?;
        match node.room().init() {
            Some(init) => init.end().await,
            None => Ok(()),
        }
    }

    /// Power is back: the node boots with an empty kernel (no rules, no connections, no neighbours) and a full disk.
    pub async fn power_on(&self, node: &str) -> Result<()> {
        let node = self.node(node)?;
        if node.has_power() {
            self.mend_lan(node.name())?;
            return self.mend_api(node.name());
        }
        node.room().wires().within(forget_everything)??;
        // Before the kubelet starts: one that does not reach the API server at first tries again only after a while.
        self.mend_lan(node.name())?;
        self.mend_api(node.name())?;
        node.start_runtime().await?;
        node.start_kubelet(self.options())?;
        node.start_proxy().map(drop)
    }

    /// Kills a node's processes of this name (`SIGKILL`); its kernel and everything else goes on.
    pub fn kill(&self, node: &str, command: &str) -> Result<()> {
        self.signal(node, command, Signal::SIGKILL)
    }

    /// Stops a node's processes of this name (`SIGSTOP`) until [`Lab::thaw`].
    pub fn freeze(&self, node: &str, command: &str) -> Result<()> {
        self.signal(node, command, Signal::SIGSTOP)
    }

    /// Lets stopped processes go on.
    pub fn thaw(&self, node: &str, command: &str) -> Result<()> {
        self.signal(node, command, Signal::SIGCONT)
    }

    /// A node's processes of this name, as the kernel has it (15 bytes).
    pub fn processes(&self, node: &str, command: &str) -> Result<Vec<ProcessId>> {
        let all = self.node(node)?.room().processes()?;
        let short: String = command.chars().take(15).collect();
        let found: Vec<ProcessId> = all.iter().filter(|one| one.command == short).map(|one| one.id.clone()).collect();
        ensure!(!found.is_empty(), "no process {command} on {node}; there are {}", names(&all));
        Ok(found)
    }

    /// Mends everything that may be broken: links, losses, stopped and starved processes, the API server, power; and sends
    /// the stranger away.
    pub async fn heal(&self) -> Result<()> {
        self.silence_stranger()?;
        self.feed()?;
        self.mend_links()?;
        self.start_api_server().await?;
        for node in self.nodes() {
            self.power_on(node.name()).await?;
            for process in node.room().processes()? {
                process.id.signal(Signal::SIGCONT)?;
            }
        }
        Ok(())
    }

    fn signal(&self, node: &str, command: &str, signal: Signal) -> Result<()> {
        self.processes(node, command)?.iter().try_for_each(|process| process.signal(signal))
    }
}

fn names(all: &[Process]) -> String {
    let mut names: Vec<&str> = all.iter().map(|one| one.command.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// What a reboot takes from a kernel, taken from a namespace that outlives the machine in it.
fn forget_everything() -> Result<()> {
    run("nft", &["flush", "ruleset"])?;
    run("conntrack", &["-F"])?;
    run("ip", &["neigh", "flush", "all"])?;
    run("ip", &["-6", "neigh", "flush", "all"])?;
    // Links to pods: the kernel may keep a dead pod's namespace, and the routes to it, for long after its end.
    for line in run("ip", &["-oneline", "link", "show", "type", "veth"])?.lines() {
        let name = line.split(['@', ' ']).nth(1).with_context(|| format!("a link without a name: {line}"))?;
        if ![LAN_INTERFACE, MANAGEMENT_INTERFACE].contains(&name) {
            run("ip", &["link", "delete", name])?;
        }
    }
    Ok(())
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("starting {program}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), told.trim());
    Ok(String::from_utf8(output.stdout)?)
}
