//! Which node announces an address: one pure function of what a speaker knows, so that all speakers that know the
//! same come to the same answer without asking each other.
//!
//! Owns the rules (who is a candidate, who wins, and the sentence that says why nobody does). Knows neither how the
//! view was gathered nor what an owner sends.

mod advertisement;
mod hash;
mod succession;
mod unowned;

pub use advertisement::{Advertisement, InterfacePattern, Preference};
pub use hash::score;
pub(crate) use hash::{mingle, position};
pub use succession::{Fitness, can_announce, succession};
pub use unowned::{Bar, Unowned};

use crate::address::Vip;
use crate::link::Link;
use crate::liveness::Claim;
use crate::mac::MacAddr;
use crate::names::{InterfaceName, NodeName, PoolName};
use advertisement::Terms;
use ipnet::IpNet;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One address and what its owner depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The address.
    pub vip: Vip,
    /// The pool it came from, which may be gone since.
    pub pool: PoolName,
    /// That pool's labels.
    pub pool_labels: BTreeMap<String, String>,
    /// Whether it is announced without any [`Advertisement`]: the pool's `spec.advertise` is `Default`.
    pub advertised_by_default: bool,
    /// The labels of the Service that uses it.
    pub holder_labels: BTreeMap<String, String>,
    /// With `externalTrafficPolicy: Local` the nodes that have a usable endpoint; `None` with `Cluster`, where any
    /// node will do, even with no endpoint at all: a connection refused at once is kinder than silence.
    pub endpoints: Option<BTreeSet<NodeName>>,
    /// The latest claim: the highest epoch that is known.
    pub claim: Option<Claim>,
    /// The node that should have it while nobody has claimed it, or none of those who did can announce it.
    pub preferred: Option<NodeName>,
    /// Whether a person has chosen that node.
    pub pinned: bool,
}

impl Subject {
    /// An address of a pool that is announced wherever a subnet holds it, on whichever node.
    pub fn new(vip: Vip, pool: PoolName) -> Self {
        Self {
            vip,
            pool,
            pool_labels: BTreeMap::new(),
            advertised_by_default: true,
            holder_labels: BTreeMap::new(),
            endpoints: None,
            claim: None,
            preferred: None,
            pinned: false,
        }
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its speaker runs and is not on its way out.
    pub speaker: bool,
    /// Why it must not announce anything.
    pub bar: Option<Bar>,
    /// Whether it is to give its addresses away: the label `herald-lb.io/drain`.
    pub leaving: bool,
    /// Whether no pods are scheduled to it any more (`spec.unschedulable`): it gives its addresses away to whoever is not
    /// in the same position.
    pub cordoned: bool,
    /// Its interfaces.
    pub segments: Vec<Segment>,
}

/// One interface of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its name on that node.
    pub interface: InterfaceName,
    /// Its subnets.
    pub subnets: BTreeSet<IpNet>,
    /// Whether it has a signal.
    pub carrier: bool,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
    /// The node's own addresses on it at which its speaker hears others: at most one of each family.
    pub addresses: BTreeSet<IpAddr>,
}

impl From<&Link> for Segment {
    fn from(link: &Link) -> Self {
        Self {
            interface: link.name.clone(),
            subnets: link.addresses.iter().map(IpNet::trunc).collect(),
            carrier: link.carrier,
            mac: Some(link.mac),
            addresses: link.addresses.iter().map(IpNet::addr).collect(),
        }
    }
}

impl Segment {
    /// Whether one of its subnets holds the address.
    pub fn holds(&self, vip: Vip) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(&vip.address()))
    }
}

/// What a speaker knows of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// All nodes.
    pub nodes: BTreeMap<NodeName, Node>,
    /// All advertisements by name.
    pub advertisements: BTreeMap<String, Advertisement>,
}

/// The node that must announce the address now.
///
/// The claimant stays while it is a candidate. Else the first of the [`succession`].
///
/// # Errors
/// Why no node is a candidate.
pub fn owner<'v>(subject: &Subject, view: &'v View) -> Result<&'v NodeName, Unowned> {
    let candidates = succession(subject, view, |_, node| Fitness::told(node))?;
    let claimant = subject.claim.as_ref().map(|claim| &claim.node);
    let stays = candidates.iter().find(|candidate| Some(**candidate) == claimant);
    let no_speaker = || Unowned::NoSpeaker;
    stays.or_else(|| candidates.first()).copied().ok_or_else(no_speaker)
}

/// The nodes that addresses like this one are spread over: of the candidates that stay, those that the advertisements
/// prefer most.
pub fn choices<'v>(subject: &Subject, view: &'v View) -> Vec<&'v NodeName> {
    let Some(terms) = Terms::of(subject, &view.advertisements) else { return Vec::new() };
    let candidates = view.nodes.iter().filter(|(name, node)| is_candidate(subject, &terms, name, node));
    let mut choices: Vec<_> = candidates.filter(|(_, node)| !node.leaving).collect();
    if choices.iter().any(|(_, node)| !node.cordoned) {
        choices.retain(|(_, node)| !node.cordoned);
    }
    let best = choices.iter().map(|(_, node)| terms.weight(node)).max();
    choices.retain(|(_, node)| Some(terms.weight(node)) == best);
    choices.into_iter().map(|(name, _)| name).collect()
}

/// The interfaces with a carrier on which a node would announce the address if it were the owner, whatever else
/// speaks against it.
pub fn interfaces<'v>(subject: &Subject, view: &'v View, node: &NodeName) -> BTreeSet<&'v InterfaceName> {
    match (Terms::of(subject, &view.advertisements), view.nodes.get(node)) {
        (Some(terms), Some(node)) => terms.interfaces(subject.vip, node).collect(),
        _ => BTreeSet::new(),
    }
}

/// The one node that says of an address without owner why it has none: of those whose speaker runs the one with the
/// highest [`score`]. `None`: no speaker runs.
pub fn reporter(vip: Vip, view: &View) -> Option<&NodeName> {
    let running = view.nodes.iter().filter(|(_, node)| node.speaker);
    running.max_by_key(|(name, _)| (score(vip, name), Reverse(*name))).map(|(name, _)| name)
}

fn is_candidate(subject: &Subject, terms: &Terms<'_>, name: &NodeName, node: &Node) -> bool {
    node.speaker && node.bar.is_none() && succession::has_what_it_takes(subject, terms, name, node)
}

#[cfg(test)]
mod tests;
