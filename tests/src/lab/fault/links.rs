//! Broken wires: ports that are down, frames that are lost, and ways that lead in one direction only.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::lab::room::netns_name;
use crate::lab::topology::{CLIENT, CONTROL_PLANE, FAR_INTERFACE, LAN_INTERFACE, ROUTER, SWITCH, ip};

/// The MTU of every link when nothing is broken, in bytes.
const MTU: u16 = 1500;

/// Where a node's LAN cable still leads when it is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneWay {
    /// Nobody hears the node; it hears everybody.
    Mute,
    /// The node hears nobody; everybody hears it.
    Deaf,
}

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
        self.forget(&loss_table(node))
    }

    /// The node's LAN cable leads one way only, with its carrier up on both ends.
    pub fn cut_one_way(&self, node: &str, left: OneWay) -> Result<()> {
        self.mend_one_way(node)?;
        let hook = match left {
            OneWay::Mute => "ingress",
            OneWay::Deaf => "egress",
        };
        let table = one_way_table(node);
        self.nft(&format!(
            "table netdev {table} {{\n\
             chain cut {{ type filter hook {hook} device \"{node}\" priority 0; counter drop; }}\n}}\n"
        ))
    }

    /// The node's LAN cable leads both ways again.
    pub fn mend_one_way(&self, node: &str) -> Result<()> {
        self.node(node)?;
        self.forget(&one_way_table(node))
    }

    /// Sets the MTU (68 to 65535 bytes; IPv6 needs 1280) of the link between the router and the client behind it.
    pub fn set_far_mtu(&self, bytes: u16) -> Result<()> {
        for (host, interface) in [(ROUTER, FAR_INTERFACE), (CLIENT, LAN_INTERFACE)] {
            let namespace = netns_name(self.name(), host);
            ip(&["-n", &namespace], &format!("link set {interface} mtu {bytes}\n"))?;
        }
        Ok(())
    }

    /// Mends all links, but not those of nodes without power.
    pub(super) fn mend_links(&self) -> Result<()> {
        self.set_far_mtu(MTU)?;
        for node in self.nodes() {
            self.mend_loss(node.name())?;
            self.mend_one_way(node.name())?;
        }
        Ok(())
    }

    fn forget(&self, table: &str) -> Result<()> {
        self.nft(&format!("table netdev {table} {{}}\ndelete table netdev {table}\n"))
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

fn one_way_table(node: &str) -> String {
    format!("one-way-{node}")
}
