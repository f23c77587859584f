//! Detectors in virtual time, joined by a small network whose nodes have kernels that answer without them.

mod cost;
mod hearing;
mod isolation;
mod verdicts;

use super::*;
use crate::mac::MacAddr;
use crate::names::NodeName;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The beginning of virtual time.
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock; tests count from it")]
pub(super) fn epoch() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000))
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// From one node to another.
const DELAY: Duration = Duration::from_micros(200);

const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));
const GATEWAY_MAC: MacAddr = MacAddr([2, 0xff, 0, 0, 0, 0]);

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// The speaker stands still; its kernel goes on and keeps what arrives for it.
    Paused,
    /// The speaker has ended; the kernel refuses what arrives for it.
    Stopped,
    Off,
}

struct Node {
    detector: Detector,
    peer: Peer,
    power: Power,
    waiting: VecDeque<(IpAddr, Envelope, Instant)>,
    lives: u64,
    log: Vec<(Instant, Effect)>,
    /// How peers have stood, in order.
    standings: Vec<(Instant, NodeName, Standing)>,
    /// What came through for others.
    bodies: Vec<(NodeName, Body)>,
}

enum Parcel {
    Message { source: IpAddr, envelope: Envelope },
    Refusal { by: NodeName },
    Answer { address: IpAddr, mac: MacAddr },
}

struct Net {
    now: Instant,
    nodes: BTreeMap<NodeName, Node>,
    /// Under way, by arrival.
    parcels: BTreeMap<(Instant, u64), (NodeName, Parcel)>,
    number: u64,
    /// Nothing passes from the first to the second.
    cut: BTreeSet<(NodeName, NodeName)>,
    /// No heartbeat passes from the first to the second: a packet filter.
    filtered: BTreeSet<(NodeName, NodeName)>,
    /// It refuses heartbeats although it listens.
    refusing: BTreeSet<NodeName>,
    gateway: bool,
    /// Without it no gateway is known.
    reaches_gateway: BTreeSet<NodeName>,
    /// Of a thousand parcels so many are lost.
    loss: u64,
    random: u64,
    /// A node has stood still, and may notice it.
    may_be_late: bool,
}

fn name(number: usize) -> NodeName {
    NodeName::new(format!("node-{number}"))
}

fn peer(number: usize) -> Peer {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    Peer { address: IpAddr::from([10, 0, high, low]), mac: MacAddr([2, 0, 0, 0, high, low]) }
}

const ABLE: State = State { able: true, leaving: false, left: false, degraded: false, cut_off: false };

impl Net {
    /// So many nodes, all switched on at once, without a gateway.
    fn of(count: usize) -> Self {
        let mut net = Self::dark(count);
        for number in 1..=count {
            net.start(number);
        }
        net
    }

    /// So many nodes that know of each other and are all switched off.
    fn dark(count: usize) -> Self {
        let node = |number: usize| Node {
            detector: Detector::new(name(number), Life(1), Profile::BALANCED, epoch()),
            peer: peer(number),
            power: Power::Off,
            waiting: VecDeque::new(),
            lives: 0,
            log: Vec::new(),
            standings: Vec::new(),
            bodies: Vec::new(),
        };
        Self {
            now: epoch(),
            nodes: (1..=count).map(|number| (name(number), node(number))).collect(),
            parcels: BTreeMap::new(),
            number: 0,
            cut: BTreeSet::new(),
            filtered: BTreeSet::new(),
            refusing: BTreeSet::new(),
            gateway: true,
            reaches_gateway: BTreeSet::new(),
            loss: 0,
            random: 7,
            may_be_late: false,
        }
    }

    /// All nodes know the gateway.
    fn with_gateway(mut self) -> Self {
        self.reaches_gateway = self.nodes.keys().cloned().collect();
        let now = self.now;
        for node in self.nodes.values_mut() {
            node.detector.set_gateways(&BTreeSet::from([GATEWAY]), now);
        }
        self.flush();
        self
    }

    fn peers(&self) -> BTreeMap<NodeName, Peer> {
        self.nodes.iter().map(|(name, node)| (name.clone(), node.peer)).collect()
    }

    /// A new process starts on a node.
    fn start(&mut self, number: usize) {
        let (peers, now) = (self.peers(), self.now);
        let reaches_gateway = self.reaches_gateway.contains(&name(number));
        let node = self.node(number);
        node.lives += 1;
        let life = Life(u64::try_from(number).unwrap() * 1_000 + node.lives);
        node.detector = Detector::new(name(number), life, Profile::BALANCED, now);
        node.power = Power::On;
        node.waiting.clear();
        node.detector.set_state(ABLE, now);
        if reaches_gateway {
            node.detector.set_gateways(&BTreeSet::from([GATEWAY]), now);
        }
        node.detector.set_peers(&peers, now);
        self.flush();
    }

    fn power(&mut self, number: usize, power: Power) {
        self.node(number).power = power;
    }

    /// A speaker that stood still goes on: first it takes what waits, then it looks at the time.
    fn resume(&mut self, number: usize) {
        let now = self.now;
        self.may_be_late = true;
        let node = self.node(number);
        node.power = Power::On;
        while let Some((source, envelope, received)) = node.waiting.pop_front() {
            node.hear(source, envelope, received, now);
        }
        node.detector.handle_timeout(now);
        self.flush();
    }

    fn node(&mut self, number: usize) -> &mut Node {
        self.nodes.get_mut(&name(number)).unwrap()
    }

    fn standing(&self, of: usize, at: usize) -> Standing {
        self.nodes[&name(at)].detector.standing(&name(of))
    }

    fn cut_between(&mut self, a: &[usize], b: &[usize]) {
        for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (name(*a), name(*b)))) {
            self.cut.insert((a.clone(), b.clone()));
            self.cut.insert((b, a));
        }
    }

    /// A number below 1,000, the same ones in every run.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 1_000
    }

    fn post(&mut self, to: NodeName, parcel: Parcel) {
        if self.loss == 0 || self.draw() >= self.loss {
            self.number += 1;
            self.parcels.insert((self.now + DELAY, self.number), (to, parcel));
        }
    }

    /// Carries out what the detectors want, until they want nothing.
    fn flush(&mut self) {
        let speaking = |(name, node): (&NodeName, &Node)| (!node.detector.out.effects.is_empty()).then(|| name.clone());
        let speaking: Vec<_> = self.nodes.iter().filter_map(speaking).collect();
        for from in speaking {
            while let Some(effect) = self.nodes.get_mut(&from).unwrap().detector.poll_effect() {
                self.carry_out(&from, effect);
            }
        }
    }

    fn carry_out(&mut self, from: &NodeName, effect: Effect) {
        let now = self.now;
        let node = self.nodes.get_mut(from).unwrap();
        if let Effect::Changed(other) = &effect {
            node.standings.push((now, other.clone(), node.detector.standing(other)));
        }
        node.log.push((now, effect.clone()));
        let clouded = matches!(effect, Effect::Woke { .. });
        assert!(!clouded || self.may_be_late, "{from} holds itself for late: {effect:?}");
        if node.power != Power::On {
            return;
        }
        let source = node.peer.address;
        match effect {
            Effect::Send { to, address, envelope } => {
                assert_eq!(self.nodes[&to].peer.address, address, "{from} sends to another address of {to}");
                let blocked = |set: &BTreeSet<_>| set.contains(&(from.clone(), to.clone()));
                if blocked(&self.cut) || blocked(&self.filtered) {
                    return;
                }
                let (power, refuses) = (self.nodes[&to].power, self.refusing.contains(&to));
                if (power == Power::Stopped || refuses) && !self.cut.contains(&(to.clone(), from.clone())) {
                    self.post(from.clone(), Parcel::Refusal { by: to.clone() });
                }
                if matches!(power, Power::On | Power::Paused) && !refuses {
                    self.post(to, Parcel::Message { source, envelope });
                }
            }
            Effect::Ask(Inquiry::Echo { to, mac } | Inquiry::Resolve { target: to, mac: Some(mac), .. }) => {
                self.ask(from, to, Some(mac));
            }
            Effect::Ask(Inquiry::Resolve { target, mac: None, .. }) => self.ask(from, target, None),
            _ => {}
        }
    }

    fn ask(&mut self, from: &NodeName, address: IpAddr, mac: Option<MacAddr>) {
        if address == GATEWAY {
            if self.gateway && self.reaches_gateway.contains(from) && mac.is_none_or(|mac| mac == GATEWAY_MAC) {
                self.post(from.clone(), Parcel::Answer { address, mac: GATEWAY_MAC });
            }
            return;
        }
        let Some((to, node)) = self.nodes.iter().find(|(_, node)| node.peer.address == address) else { return };
        let ways = [(from.clone(), to.clone()), (to.clone(), from.clone())];
        if node.power != Power::Off && Some(node.peer.mac) == mac && ways.iter().all(|way| !self.cut.contains(way)) {
            let parcel = Parcel::Answer { address, mac: node.peer.mac };
            self.post(from.clone(), parcel);
        }
    }

    fn arrive(&mut self, to: &NodeName, parcel: Parcel) {
        let now = self.now;
        let node = self.nodes.get_mut(to).unwrap();
        match (node.power, parcel) {
            (Power::On, Parcel::Message { source, envelope }) => node.hear(source, envelope, now, now),
            (Power::Paused, Parcel::Message { source, envelope }) => node.waiting.push_back((source, envelope, now)),
            (Power::On, Parcel::Refusal { by }) => node.detector.handle_refused(&by, now),
            (Power::On, Parcel::Answer { address, mac }) => node.detector.handle_answer(address, mac, now, now),
            _ => {}
        }
    }

    /// Lets time pass.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let running = |node: &&Node| node.power == Power::On;
            let deadlines = self.nodes.values().filter(running).filter_map(|node| node.detector.next_deadline());
            let next = deadlines.chain(self.parcels.keys().next().map(|(at, _)| *at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.parcels.first_entry().filter(|entry| entry.key().0 <= next) {
                let (to, parcel) = entry.remove();
                self.arrive(&to, parcel);
            }
            let now = self.now;
            for node in self.nodes.values_mut().filter(|node| node.power == Power::On) {
                if node.detector.next_deadline().is_some_and(|deadline| deadline <= now) {
                    node.detector.handle_timeout(now);
                    let next = node.detector.next_deadline().unwrap();
                    assert!(next > now, "it wants to be called again at once: {next:?} at {now:?}");
                }
            }
            self.flush();
        }
        self.now = end;
    }

    /// Lets time pass until something is so; how long it took.
    fn until(&mut self, what: &str, limit: Duration, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !is_so(self) {
            let standings: Vec<_> =
                self.nodes.iter().map(|(name, node)| (name, node.detector.peers().collect::<Vec<_>>())).collect();
            assert!(self.now < start + limit, "{what}: not within {limit:?}; {standings:#?}");
            self.pass(ms(1));
        }
        self.now - start
    }

    fn forget(&mut self) {
        for node in self.nodes.values_mut() {
            node.log.clear();
            node.standings.clear();
        }
    }
}

impl Node {
    fn hear(&mut self, source: IpAddr, envelope: Envelope, received: Instant, now: Instant) {
        let from = envelope.from.clone();
        if let Some(body) = self.detector.handle_envelope(source, envelope, received, now) {
            self.bodies.push((from, body));
        }
    }

    /// All verdicts that peers have fallen.
    fn fallen(&self) -> Vec<&(Instant, NodeName, Standing)> {
        self.standings.iter().filter(|(_, _, standing)| standing.fallen_since().is_some()).collect()
    }

    fn sent(&self) -> impl Iterator<Item = (&NodeName, &Envelope)> {
        self.log.iter().filter_map(|(_, effect)| match effect {
            Effect::Send { to, envelope, .. } => Some((to, envelope)),
            _ => None,
        })
    }
}
