//! Faults, and mending them. Each is what its name says and nothing more: a node cut from the LAN still reaches the API
//! server, and the other way round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::Lab;
use super::cgroups;
use super::process::{Process, ProcessId};
use super::room::netns_name;
use super::topology::{CLIENT, CONTROL_PLANE, FAR_INTERFACE, LAN_INTERFACE, MANAGEMENT_INTERFACE, ROUTER, SWITCH, ip};

/// The process meant when none is named.
pub const SPEAKER: &str = "herald-speaker";

/// The period over which a starved process' share of a CPU is counted, in microseconds.
const STARVING_PERIOD: u32 = 100_000;

/// The MTU of every link when nothing is broken, in bytes.
const MTU: u16 = 1500;

impl Lab {
    /// The node's LAN cable is pulled: it loses its carrier, the others see silence. The management network goes on.
    pub fn cut_lan(&self, node: &str) -> Result<()> {
        self.set_port(SWITCH, node, false)
    }

    /// The LAN cable is back.
    pub fn mend_lan(&self, node: &str) -> Result<()> {
        self.set_port(SWITCH, node, true)
    }

    /// The node's link to the API server is cut; the LAN goes on.
    pub fn cut_api(&self, node: &str) -> Result<()> {
        self.set_port(CONTROL_PLANE, node, false)
    }

    /// The link to the API server is back.
    pub fn mend_api(&self, node: &str) -> Result<()> {
        self.set_port(CONTROL_PLANE, node, true)
    }

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

    /// The switch loses frames from and to the node at random, `percent` of them (0 to 100, steps of 0.01).
    pub fn lose_frames(&self, node: &str, percent: f64) -> Result<()> {
        ensure!((0.0..=100.0).contains(&percent), "{percent} % of frames: say 0 to 100");
        self.mend_loss(node)?;
        // Out of 10,000; nftables has no fractions.
        let share = format!("{:.0}", percent * 100.0);
        if share == "0" {
            return Ok(());
        }
        let table = loss_table(node);
        self.nft(&format!(
            "table netdev {table} {{\n\
             chain from {{ type filter hook ingress device \"{node}\" priority 0; numgen random mod 10000 < {share} drop; }}\n\
             chain to {{ type filter hook egress device \"{node}\" priority 0; numgen random mod 10000 < {share} drop; }}\n}}\n"
        ))
    }

    /// The switch loses nothing of this node any more.
    pub fn mend_loss(&self, node: &str) -> Result<()> {
        self.node(node)?;
        let table = loss_table(node);
        self.nft(&format!("table netdev {table} {{}}\ndelete table netdev {table}\n"))
    }

    /// Sets the MTU (68 to 65535 bytes; IPv6 needs 1280) of the link between the router and the client behind it.
    pub fn set_far_mtu(&self, bytes: u16) -> Result<()> {
        for (host, interface) in [(ROUTER, FAR_INTERFACE), (CLIENT, LAN_INTERFACE)] {
            let namespace = netns_name(self.name(), host);
            ip(&["-n", &namespace], &format!("link set {interface} mtu {bytes}\n"))?;
        }
        Ok(())
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

    /// Leaves a node's container of this name only `percent` of one CPU, until [`Lab::heal`].
    pub fn starve(&self, node: &str, command: &str, percent: f64) -> Result<()> {
        ensure!((1.0..=100.0).contains(&percent), "{percent} % of a CPU: say 1 to 100");
        for process in self.processes(node, command)? {
            let quota = CpuQuota::of(&process)?;
            quota.remember(&self.starved())?;
            quota.set(&format!("{:.0}", f64::from(STARVING_PERIOD) * percent / 100.0))?;
        }
        Ok(())
    }

    /// A node's processes of this name, as the kernel has it (15 bytes).
    pub fn processes(&self, node: &str, command: &str) -> Result<Vec<ProcessId>> {
        let all = self.node(node)?.room().processes()?;
        let short: String = command.chars().take(15).collect();
        let found: Vec<ProcessId> = all.iter().filter(|one| one.command == short).map(|one| one.id.clone()).collect();
        ensure!(!found.is_empty(), "no process {command} on {node}; there are {}", names(&all));
        Ok(found)
    }

    /// Mends everything that may be broken: links, losses, stopped and starved processes, power.
    pub async fn heal(&self) -> Result<()> {
        self.feed()?;
        self.set_far_mtu(MTU)?;
        for node in self.nodes() {
            self.mend_loss(node.name())?;
            self.power_on(node.name()).await?;
            for process in node.room().processes()? {
                process.id.signal(Signal::SIGCONT)?;
            }
        }
        Ok(())
    }

    fn feed(&self) -> Result<()> {
        let list = self.starved();
        let text = fs::read_to_string(&list).unwrap_or_default();
        for line in text.lines() {
            CpuQuota::restore(line)?;
        }
        match fs::remove_file(&list) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn starved(&self) -> PathBuf {
        self.home().join("starved")
    }

    fn signal(&self, node: &str, command: &str, signal: Signal) -> Result<()> {
        self.processes(node, command)?.iter().try_for_each(|process| process.signal(signal))
    }

    fn set_port(&self, at: &str, node: &str, up: bool) -> Result<()> {
        self.node(node)?;
        let state = if up { "up" } else { "down" };
        let namespace = netns_name(self.name(), at);
        ip(&["-n", &namespace], &format!("link set {node} {state}\n")).with_context(|| format!("port {node} of {at}"))
    }

    fn nft(&self, rules: &str) -> Result<()> {
        use std::io::Write as _;
        let switch = self.host(SWITCH)?;
        let mut nft = switch.command("nft");
        nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = switch.spawn(nft)?;
        child.stdin.take().context("nft has no stdin")?.write_all(rules.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "nft: {}\n{rules}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

fn loss_table(node: &str) -> String {
    format!("loss-{node}")
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

/// The limit of CPU time of a process' cgroup, in whichever version of cgroups the machine has.
struct CpuQuota {
    file: PathBuf,
    before: String,
}

impl CpuQuota {
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
        anyhow::bail!("process {} has no cgroup with a limit of CPU time:\n{text}", process.pid())
    }

    fn set(&self, quota: &str) -> Result<()> {
        if self.file.ends_with("cpu.max") {
            return write(&self.file, &format!("{quota} {STARVING_PERIOD}"));
        }
        write(&self.file.with_file_name("cpu.cfs_period_us"), &STARVING_PERIOD.to_string())?;
        write(&self.file, quota)
    }

    fn remember(&self, list: &Path) -> Result<()> {
        use std::io::Write as _;
        let mut list = fs::File::options().create(true).append(true).open(list)?;
        writeln!(list, "{}\t{}", self.file.display(), self.before)?;
        Ok(())
    }

    fn restore(line: &str) -> Result<()> {
        let (file, before) = line.split_once('\t').context("a damaged list of starved processes")?;
        let file = Path::new(file);
        // The container may be gone, and its cgroup with it.
        if file.exists() { write(file, before) } else { Ok(()) }
    }
}

fn write(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).with_context(|| format!("writing {value} to {}", file.display()))
}
