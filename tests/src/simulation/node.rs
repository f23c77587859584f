//! A node: its kernel as far as the wire shows it, and the speaker's process with a real [`Member`] in it.
//!
//! The kernel goes on whatever the process does: it answers for the node's own addresses, refuses datagrams to a port that
//! nobody has open, and queues what a stopped process doesn't read. The process reads what waits before it judges timers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_core::address::Vip;
use herald_core::announce::Heard;
use herald_core::link::{Link, Links};
use herald_core::liveness::{Envelope, Life};
use herald_core::mac::MacAddr;
use herald_core::member::{Condition, Effect, Member, Outlook, VipState};
use herald_core::names::{IfIndex, InterfaceName, NodeName};
use herald_wire::ethernet::Frame;
use herald_wire::{arp, ndp};

use super::addresses::{Kind, link_local, mac, node_name, v4, v6};
use super::clock::Clock;
use super::frames::{advertisement, arp_reply};
use super::management::{INTERFACE, Management, nets};

/// The segment's interface.
pub(super) const LINK: IfIndex = IfIndex(1);
/// What a socket holds while nobody reads it.
const QUEUE: usize = 1500;
/// A kernel refuses so many datagrams of one peer at once, and then one a second.
const REFUSALS: u32 = 6;
/// A starved process runs for a millisecond of so much.
const PERIOD: Duration = Duration::from_millis(100);
const SLICE: Duration = Duration::from_millis(1);

/// One node.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts that troubles change")]
pub(super) struct Node {
    pub(super) number: usize,
    pub(super) name: NodeName,
    pub(super) clock: Clock,
    pub(super) powered: bool,
    pub(super) carrier: bool,
    /// What kube-proxy says.
    pub(super) well: bool,
    /// Whether it knows the gateway.
    gateway: bool,
    refusals: BTreeMap<IpAddr, (u32, Duration)>,
    pub(super) process: Option<Process>,
    /// The state file.
    disk: Option<Arc<Outlook>>,
    /// VIPs that the kernel has rules for.
    prepared: BTreeSet<Vip>,
    /// Whether the process is to be started again once it has ended.
    pub(super) restarts: bool,
}

/// The speaker's process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) member: Member,
    pub(super) life: Life,
    inbox: Vec<Input>,
    pub(super) stopped: bool,
    pub(super) starving: bool,
    /// SIGTERM has come.
    pub(super) ending: bool,
    /// When it will be woken next.
    pub(super) wake: Option<Duration>,
    /// What it last said it does about each VIP.
    pub(super) states: BTreeMap<Vip, VipState>,
    /// Claims that it has not recorded yet.
    pub(super) unrecorded: BTreeMap<Vip, u64>,
}

/// What waits to be read by the process.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Envelope { source: IpAddr, envelope: Envelope, received: Instant },
    Frame { heard: Heard, received: Instant },
    Echo { from: IpAddr, mac: MacAddr, received: Instant },
    Refused(NodeName),
    Outlook(Arc<Outlook>),
    Links(Links),
}

impl Node {
    pub(super) fn new(number: usize, clock: Clock, gateway: bool) -> Self {
        Self {
            number,
            name: node_name(number),
            clock,
            powered: true,
            carrier: true,
            well: true,
            gateway,
            refusals: BTreeMap::new(),
            process: None,
            disk: None,
            prepared: BTreeSet::new(),
            restarts: false,
        }
    }

    pub(super) const fn mac(&self) -> MacAddr {
        mac(Kind::Node, self.number)
    }

    pub(super) fn addresses(&self) -> [IpAddr; 2] {
        [v4(Kind::Node, self.number).into(), v6(Kind::Node, self.number).into()]
    }

    /// Whether frames can leave it.
    pub(super) const fn is_on_wire(&self) -> bool {
        self.powered && self.carrier
    }

    pub(super) fn links(&self) -> Links {
        let gateways = [v4(Kind::Gateway, 0).into(), v6(Kind::Gateway, 0).into()];
        let link = Link {
            index: LINK,
            name: InterfaceName::new(INTERFACE),
            mac: self.mac(),
            carrier: self.carrier,
            addresses: nets(self.number).into(),
            link_local: Some(link_local(Kind::Node, self.number)),
            gateways: if self.gateway { gateways.into() } else { BTreeSet::new() },
        };
        [(LINK, link)].into()
    }

    /// The kernel's answer to a question for the node's own addresses.
    pub(super) fn kernel_answer(&self, frame: &Frame) -> Option<Vec<u8>> {
        match frame {
            Frame::Arp(message) => {
                let mine =
                    message.operation == arp::Operation::Request && message.target_ip == v4(Kind::Node, self.number);
                mine.then(|| arp_reply(self.mac(), message.target_ip, MacAddr(message.sender_mac), message.sender_ip))
            }
            Frame::Neighbor(packet) => {
                let ndp::Message::Solicitation { target, source_link } = packet.message else { return None };
                let own = [v6(Kind::Node, self.number), link_local(Kind::Node, self.number)];
                let asker = (!packet.from.is_unspecified())
                    .then(|| (source_link.map_or(MacAddr(packet.source), MacAddr), packet.from));
                own.contains(&target).then(|| advertisement(self.mac(), target, target, asker))
            }
        }
    }

    /// Whether the kernel spends a refusal on a datagram from there.
    pub(super) fn refuses(&mut self, from: IpAddr, now: Duration) -> bool {
        let (left, last) = self.refusals.entry(from).or_insert((REFUSALS, now));
        let earned = u32::try_from(now.saturating_sub(*last).as_secs()).unwrap_or(u32::MAX);
        if earned > 0 {
            *left = left.saturating_add(earned).min(REFUSALS);
            *last = now;
        }
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        refuses
    }

    /// The process is started, with what the state file says or, where the API server answers, nothing yet.
    pub(super) fn start(&mut self, member: Member, life: Life, api_answers: bool) {
        let mut process = Process {
            member,
            life,
            inbox: vec![Input::Links(self.links())],
            stopped: false,
            starving: false,
            ending: false,
            wake: None,
            states: BTreeMap::new(),
            unrecorded: BTreeMap::new(),
        };
        if let Some(known) = self.disk.as_ref().filter(|_| !api_answers) {
            let me = Condition { able: self.well, leaving: false, ending: false };
            process.inbox.push(Input::Outlook(Arc::new(Outlook { me, ..Outlook::clone(known) })));
        }
        self.process = Some(process);
    }

    /// The speaker reads what the API server has. Returns whether the kernel is still to get rules for something.
    pub(super) fn read(&mut self, management: &Management) -> bool {
        let subjects = management.subjects().clone();
        self.prepared.retain(|vip| subjects.contains_key(vip));
        let unprepared: BTreeSet<Vip> = subjects.keys().filter(|vip| !self.prepared.contains(vip)).copied().collect();
        let is_late = !unprepared.is_empty();
        let view = management.view();
        self.take(Outlook { view, subjects, unprepared, ..Outlook::default() });
        is_late
    }

    /// The kernel has rules for all VIPs that the speaker knows.
    pub(super) fn prepare(&mut self) {
        if let Some(known) = self.disk.clone() {
            self.prepared = known.subjects.keys().copied().collect();
            self.take(Outlook { unprepared: BTreeSet::new(), ..Outlook::clone(&known) });
        }
    }

    /// The speaker looks at its own condition again.
    pub(super) fn reconsider(&mut self) {
        if let Some(known) = self.disk.clone() {
            self.take(Outlook::clone(&known));
        }
    }

    pub(super) fn lose_memory(&mut self) {
        self.prepared.clear();
        self.refusals.clear();
    }

    fn take(&mut self, outlook: Outlook) {
        let Some(process) = &mut self.process else { return };
        let own = outlook.view.nodes.get(&self.name);
        let leaving = process.ending || own.is_some_and(|node| node.leaving || node.bar.is_some());
        let me = Condition { able: self.well, leaving, ending: process.ending };
        let outlook = Arc::new(Outlook { me, ..outlook });
        self.disk = Some(Arc::clone(&outlook));
        process.inbox.push(Input::Outlook(outlook));
    }

    /// Something waits for the process; lost if there is none, or if it has let too much wait.
    pub(super) fn queue(&mut self, input: Input) {
        if let Some(process) = &mut self.process
            && process.inbox.len() < QUEUE
        {
            process.inbox.push(input);
        }
    }
}

impl Process {
    /// When it may run, at this time or later; `None`: not before it is continued.
    pub(super) fn turn(&self, now: Duration) -> Option<Duration> {
        if self.stopped {
            return None;
        }
        let into = Duration::from_nanos(u64::try_from(now.as_nanos() % PERIOD.as_nanos()).unwrap_or(0));
        if self.starving && into >= SLICE { Some((now + PERIOD).saturating_sub(into)) } else { Some(now) }
    }

    /// Takes what waits.
    pub(super) fn take_inbox(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.inbox)
    }

    pub(super) fn feed(&mut self, input: Input, now: Instant) {
        let member = &mut self.member;
        match input {
            Input::Envelope { source, envelope, received } => {
                member.handle_envelope(LINK, source, envelope, received, now);
            }
            Input::Frame { heard, received } => {
                member.handle_frame(LINK, &heard, received, now);
            }
            Input::Echo { from, mac, received } => member.handle_echo(LINK, from, mac, received, now),
            Input::Refused(peer) => member.handle_refused(LINK, &peer, now),
            Input::Outlook(outlook) => member.set_outlook(outlook, now),
            Input::Links(links) => member.set_links(&links, now),
        }
    }

    /// Whether it announces anything.
    pub(super) fn holds_any(&self) -> bool {
        self.states.values().any(|state| state.tenure.is_held())
    }

    pub(super) fn effect(&mut self) -> Option<Effect> {
        self.member.poll_effect()
    }
}
