//! What kind of lab is wanted.

use serde::{Deserialize, Serialize};

/// Most nodes a lab may have: their addresses end where the pools begin.
pub const MOST_NODES: u8 = 60;

/// How kube-proxy programs the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// Through nf_tables.
    #[default]
    Nftables,
    /// Through iptables.
    Iptables,
}

impl Proxy {
    /// The name kube-proxy's configuration has for it.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }
}

/// The choices a lab is made by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent choice of the command line")]
pub struct Options {
    /// Its name: at most 20 small letters, digits and dashes.
    pub name: String,
    /// How many nodes, 1 to [`MOST_NODES`].
    pub nodes: u8,
    /// kube-proxy's mode.
    pub proxy: Proxy,
    /// Install Herald from `deploy/`.
    pub herald: bool,
    /// Herald's daemons are built as they are shipped, which takes longer; for measuring.
    pub release: bool,
    /// Run CoreDNS.
    pub dns: bool,
    /// The switch snoops multicast groups, as managed switches do.
    pub snooping: bool,
    /// Nodes tell the API server their IPv4 address only (Kubernetes' own suite needs that).
    pub ipv4_nodes: bool,
}

impl Options {
    /// A lab as most want it: three nodes, nf_tables, Herald and DNS.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nodes: 3,
            proxy: Proxy::default(),
            herald: true,
            release: false,
            dns: true,
            snooping: false,
            ipv4_nodes: false,
        }
    }

    /// Says what is wrong with the choices, if anything is.
    pub fn check(&self) -> anyhow::Result<()> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        anyhow::ensure!(
            (1..=20).contains(&self.name.len()) && self.name.chars().all(good) && !self.name.starts_with('-'),
            "lab name {:?}: use 1 to 20 small letters, digits and dashes, not beginning with a dash",
            self.name
        );
        anyhow::ensure!((1..=MOST_NODES).contains(&self.nodes), "{} nodes: a lab has 1 to {MOST_NODES}", self.nodes);
        Ok(())
    }
}
