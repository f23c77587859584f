//! What the API server, and this node's own condition, say: the part of a member's knowledge that doesn't come from the wire.

use crate::address::Vip;
use crate::ownership::{Subject, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What a member is told about the cluster and about itself. Parts that stay the same are shared with the one before, so that
/// only what differs is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Nodes and advertisements. What it says of this node's interfaces is not used: those come from
    /// [`super::Member::set_links`].
    pub view: Arc<View>,
    /// The addresses that somebody uses.
    pub subjects: BTreeMap<Vip, Arc<Subject>>,
    /// Of these, the ones that this node's kernel has no rules for yet: they are not announced here before it has.
    pub unprepared: BTreeSet<Vip>,
    /// Free addresses that this node asks the wire for in the background, so that they are known to be free when they are
    /// given out.
    pub probes: BTreeSet<Vip>,
    /// Where another machine is heard that speaks under this node's name, as far as the API server knows. None of them
    /// is a gateway.
    pub namesakes: BTreeSet<IpAddr>,
    /// How this node is.
    pub me: Condition,
}

/// How this node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Condition {
    /// It can serve: its ledger is read, its rules are in the kernel, kube-proxy is well.
    pub able: bool,
    /// It gives its addresses away: it is to stop, drained, excluded, or cordoned while others are not.
    pub leaving: bool,
    /// It is leaving because its process is to end: once it has nothing left it says so, and nobody waits for it.
    pub ending: bool,
}
