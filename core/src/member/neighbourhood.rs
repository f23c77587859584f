//! The segments this node is on, who else is on them, and how a peer stands there.
//!
//! Owns one detector for each interface and the tables by which a MAC address is known to be a member's.

use super::Config;
use crate::announce::schedule::after;
use crate::link::{Link, Links};
use crate::liveness::{Detector, Gateway, Life, Peer, Profile, Standing, State, Witness};
use crate::mac::MacAddr;
use crate::names::{IfIndex, NodeName};
use crate::ownership::{View, mingle};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A peer whose digest differs for so long has missed something.
const DIFFERS: Duration = Duration::from_millis(300);
/// Digests go to one peer at most this often.
const COMPARE: Duration = Duration::from_secs(1);

/// How well this node is connected to where an address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Connection {
    /// Cut off, and others may act.
    Passive,
    /// Nothing speaks for it.
    Cut,
    /// Something speaks for it: it may claim what the wire says is free.
    Careful,
    /// Everything speaks for it.
    Well,
}

impl From<Witness> for Connection {
    fn from(witness: Witness) -> Self {
        match (witness.majority, witness.gateway) {
            _ if witness.passive => Self::Passive,
            (true, Gateway::Answers) => Self::Well,
            (false, Gateway::Silent) => Self::Cut,
            _ => Self::Careful,
        }
    }
}

/// What a peer's digests show.
#[derive(Clone, Copy, Debug, Default)]
struct Comparison {
    differs_since: Option<Instant>,
    compared: Option<Instant>,
    answered: Option<Instant>,
    /// Whether it was thought to have fallen, and so may know nothing of what has happened since.
    fell: bool,
}

/// One interface.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) detector: Detector,
    pub(super) peers: BTreeMap<NodeName, Peer>,
    pub(super) connection: Connection,
    comparisons: BTreeMap<NodeName, Comparison>,
    /// When the latest message arrived, and the longest time without one since the last look.
    last_received: Option<Instant>,
    longest_silence: Duration,
}

impl Segment {
    /// Takes note that a message has arrived.
    pub(super) fn note_received(&mut self, received: Instant) {
        if let Some(last) = self.last_received {
            self.longest_silence = self.longest_silence.max(received.saturating_duration_since(last));
        }
        self.last_received = self.last_received.max(Some(received));
    }

    /// The longest time without a message since the last look.
    fn take_silence(&mut self, now: Instant) -> Option<Duration> {
        let open = now.saturating_duration_since(self.last_received?);
        Some(std::mem::take(&mut self.longest_silence).max(open))
    }

    /// Whether to send a peer our digests now. `hurry`: at the first sign of a difference.
    pub(super) fn compares(&mut self, node: &NodeName, digest: u64, hurry: bool, now: Instant) -> bool {
        let same = self.detector.digest(node).is_none_or(|theirs| theirs == digest);
        if same {
            if let Some(comparison) = self.comparisons.get_mut(node) {
                comparison.differs_since = None;
            }
            return false;
        }
        let comparison = self.comparisons.entry(node.clone()).or_default();
        let since = *comparison.differs_since.get_or_insert(now);
        let ripe = hurry || now >= after(since, DIFFERS);
        let compares = ripe && comparison.compared.is_none_or(|compared| now >= after(compared, COMPARE));
        if compares {
            comparison.compared = Some(now);
        }
        compares
    }

    /// Takes note of how a peer stands. `true`: it is back.
    pub(super) fn note_standing(&mut self, node: &NodeName, standing: Standing) -> bool {
        let comparison = self.comparisons.entry(node.clone()).or_default();
        match standing {
            Standing::Alive(_) => std::mem::take(&mut comparison.fell),
            Standing::Suspected => false,
            _ => {
                comparison.fell = true;
                false
            }
        }
    }

    /// Whether to answer a peer's digests now.
    pub(super) fn answers_digests(&mut self, node: &NodeName, now: Instant) -> bool {
        let comparison = self.comparisons.entry(node.clone()).or_default();
        let pause = COMPARE.checked_div(4).unwrap_or(COMPARE);
        let answers = comparison.answered.is_none_or(|answered| now >= after(answered, pause));
        if answers {
            comparison.answered = Some(now);
        }
        answers
    }
}

/// All segments of this node.
#[derive(Debug, Default)]
pub(super) struct Neighbourhood {
    pub(super) segments: BTreeMap<IfIndex, Segment>,
    macs: BTreeMap<MacAddr, NodeName>,
    /// What this node says of itself, also on an interface that comes later.
    state: State,
}

impl Neighbourhood {
    /// Follows a change of interfaces or nodes.
    pub(super) fn set(&mut self, config: &Config, links: &Links, view: &View, now: Instant) {
        let others = || view.nodes.iter().filter(|(name, _)| **name != config.node);
        let macs = others().flat_map(|(name, node)| {
            node.segments.iter().filter_map(|segment| segment.mac).map(move |mac| (mac, name.clone()))
        });
        self.macs = macs.filter(|(mac, _)| links.values().all(|link| link.mac != *mac)).collect();
        self.segments.retain(|index, _| links.contains_key(index));
        for (index, link) in links {
            let peers: BTreeMap<NodeName, Peer> = others()
                .filter_map(|(name, node)| Some((name.clone(), node.segments.iter().find_map(|it| peer(link, it))?)))
                .collect();
            let segment = self.segments.entry(*index).or_insert_with(|| Segment {
                detector: Detector::new(config.node.clone(), life_on(config.life, *index), config.profile, now),
                peers: BTreeMap::new(),
                connection: Connection::Careful,
                comparisons: BTreeMap::new(),
                last_received: None,
                longest_silence: Duration::ZERO,
            });
            segment.detector.set_state(self.state, now);
            if segment.peers != peers {
                segment.detector.set_peers(&peers, now);
                segment.comparisons.retain(|name, _| peers.contains_key(name));
                segment.peers = peers;
            }
            segment.detector.set_gateways(&link.gateways, now);
            segment.detector.set_carrier(link.carrier, now);
            segment.connection = Connection::from(segment.detector.witness(now));
        }
    }

    /// The Ethernet addresses of the other nodes.
    pub(super) fn macs(&self) -> BTreeSet<MacAddr> {
        self.macs.keys().copied().collect()
    }

    /// The other node with this Ethernet address.
    pub(super) fn member(&self, mac: MacAddr) -> Option<&NodeName> {
        self.macs.get(&mac)
    }

    /// How a peer stands where an address belongs: the best of what its interfaces show, since one that is alive anywhere is
    /// alive, and one whose kernel answers anywhere still forwards.
    pub(super) fn standing(&self, node: &NodeName, links: &BTreeSet<IfIndex>) -> Standing {
        let rank = |standing: &Standing| match standing {
            Standing::Alive(state) if !state.cut_off => 7,
            Standing::Suspected => 6,
            Standing::Alive(_) => 5,
            Standing::Left => 4,
            Standing::Starved { .. } => 3,
            Standing::Gone { .. } => 2,
            Standing::Dead { .. } => 1,
            Standing::Unheard => 0,
        };
        let here =
            self.segments.iter().filter(|(index, segment)| links.contains(index) && segment.peers.contains_key(node));
        here.map(|(_, segment)| segment.detector.standing(node)).max_by_key(rank).unwrap_or(Standing::Unheard)
    }

    /// How well this node is connected where an address belongs.
    pub(super) fn connection(&self, links: &BTreeSet<IfIndex>) -> Connection {
        let here = links.iter().filter_map(|link| self.segments.get(link));
        here.map(|segment| segment.connection).max().unwrap_or(Connection::Cut)
    }

    /// When this node was late last where an address belongs, while that is so recent that what it believes may be out of date.
    pub(super) fn late_at(&self, links: &BTreeSet<IfIndex>, now: Instant) -> Option<Instant> {
        links.iter().filter_map(|link| self.segments.get(link)?.detector.late_at(now)).max()
    }

    /// An interface on which a node can be spoken to about an address.
    pub(super) fn way_to(&self, node: &NodeName, links: &BTreeSet<IfIndex>) -> Option<IfIndex> {
        let reachable = |link: &&IfIndex| self.segments.get(link).is_some_and(|it| it.peers.contains_key(node));
        let alive = |link: &&IfIndex| {
            self.segments.get(link).is_some_and(|it| matches!(it.detector.standing(node), Standing::Alive(_)))
        };
        links.iter().filter(reachable).find(alive).or_else(|| links.iter().find(reachable)).copied()
    }

    /// Whether there is anybody to be asked what has been claimed.
    pub(super) fn is_alone(&self) -> bool {
        self.segments.values().all(|segment| segment.peers.is_empty())
    }

    /// Whether everybody has been heard and knows the same.
    pub(super) fn agrees(&self, digest: u64) -> bool {
        self.segments.values().all(|segment| {
            segment.peers.keys().all(|node| {
                matches!(segment.detector.standing(node), Standing::Alive(_))
                    && segment.detector.digest(node) == Some(digest)
            })
        })
    }

    /// The longest time without a message on any interface since the last look; `None` if there was never one.
    pub(super) fn take_silence(&mut self, now: Instant) -> Option<Duration> {
        let silences: Vec<_> = self.segments.values_mut().filter_map(|segment| segment.take_silence(now)).collect();
        silences.into_iter().max()
    }

    pub(super) fn set_state(&mut self, state: State, now: Instant) {
        self.state = state;
        self.segments.values_mut().for_each(|segment| segment.detector.set_state(state, now));
    }

    pub(super) fn set_digest(&mut self, digest: u64) {
        self.segments.values_mut().for_each(|segment| segment.detector.set_digest(digest));
    }

    pub(super) fn set_profile(&mut self, profile: Profile, now: Instant) {
        self.segments.values_mut().for_each(|segment| segment.detector.set_profile(profile, now));
    }
}

/// The interfaces without the gateways that are other nodes: routes to pods may lead by way of those, and what they answer
/// is no proxy's word and bears no witness of its own.
pub(super) fn without_peers(interfaces: &Links, view: &View, namesakes: &BTreeSet<IpAddr>) -> Links {
    let segments = view.nodes.values().flat_map(|node| &node.segments);
    let addresses: BTreeSet<IpAddr> =
        segments.flat_map(|segment| &segment.addresses).chain(namesakes).copied().collect();
    let mut links = interfaces.clone();
    for link in links.values_mut() {
        link.gateways.retain(|gateway| !addresses.contains(gateway));
    }
    links
}

/// A life of its own for each interface: a message recorded on one segment is worthless on another.
fn life_on(life: Life, IfIndex(index): IfIndex) -> Life {
    Life(mingle(life.0, u64::from(index)).max(1))
}

/// A node's interface as a peer on one of ours: it has an address in one of our subnets, or a link-local one on an interface
/// of the same name.
fn peer(link: &Link, segment: &crate::ownership::Segment) -> Option<Peer> {
    let near = |address: &&IpAddr| {
        let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        (is_link_local && segment.interface == link.name) || link.addresses.iter().any(|net| net.contains(*address))
    };
    Some(Peer { address: *segment.addresses.iter().find(near)?, mac: segment.mac? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;
    use crate::liveness::Effect;
    use crate::names::InterfaceName;
    use crate::ownership::{Node, Segment as Interface};
    use ipnet::IpNet;

    fn link(index: u32) -> Link {
        Link {
            index: IfIndex(index),
            name: InterfaceName::new(format!("eth{index}")),
            mac: MacAddr([2, 0, 0, 0, 1, 1]),
            carrier: true,
            addresses: BTreeSet::from([format!("10.0.{index}.1/24").parse::<IpNet>().unwrap()]),
            link_local: None,
            gateways: BTreeSet::new(),
        }
    }

    fn view() -> View {
        let segment = |index: u32| Interface {
            interface: InterfaceName::new(format!("eth{index}")),
            subnets: BTreeSet::new(),
            carrier: true,
            mac: Some(MacAddr([2, 0, 0, 0, 2, 2])),
            addresses: BTreeSet::from([format!("10.0.{index}.2").parse().unwrap()]),
        };
        let node = Node {
            labels: BTreeMap::new(),
            speaker: true,
            bar: None,
            leaving: false,
            cordoned: false,
            segments: vec![segment(1), segment(2)],
        };
        View { nodes: BTreeMap::from([(NodeName::new("node-2"), node)]), advertisements: BTreeMap::new() }
    }

    #[test]
    fn neither_other_nodes_nor_a_machine_of_this_nodes_name_are_gateways() {
        let address = |last: u8| IpAddr::from([10, 0, 1, last]);
        let routed = Link { gateways: [address(2), address(3), address(254)].into(), ..link(1) };
        let links = without_peers(&Links::from([(IfIndex(1), routed)]), &view(), &BTreeSet::from([address(3)]));
        assert_eq!(links[&IfIndex(1)].gateways, BTreeSet::from([address(254)]));
    }

    #[test]
    fn on_an_interface_that_comes_later_peers_hear_the_same_of_this_node() {
        let config = Config {
            node: NodeName::new("node-1"),
            life: Life(1),
            profile: Profile::BALANCED,
            announce: crate::announce::Config::default(),
        };
        let mut hood = Neighbourhood::default();
        hood.set(&config, &Links::from([(IfIndex(1), link(1))]), &view(), start());
        let able = State { able: true, ..State::default() };
        hood.set_state(able, start());
        hood.set(&config, &Links::from([(IfIndex(1), link(1)), (IfIndex(2), link(2))]), &view(), start());
        let said = hood.segments.get_mut(&IfIndex(2)).unwrap().detector.poll_effect();
        assert!(
            matches!(&said, Some(Effect::Send { envelope, .. }) if envelope.state == able),
            "the first thing said on the second interface is {said:?}"
        );
    }
}
