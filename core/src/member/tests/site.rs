//! A few members on one segment in virtual time, with kernels that answer for their nodes and perhaps a gateway.

use super::super::*;
use crate::announce::tests::start;
use crate::announce::{Claim, Question};
use crate::liveness::Inquiry;
use crate::names::InterfaceName;
use crate::ownership::{Node, Segment, Subject, View};
use ipnet::IpNet;
use std::net::Ipv4Addr;

pub(super) const ETH0: IfIndex = IfIndex(2);
pub(super) const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xbb]);
const WIRE: Duration = Duration::from_micros(200);

pub(super) fn vip(last: u8) -> Vip {
    Vip::new(IpAddr::from([192, 0, 2, last])).unwrap()
}

pub(super) fn name(number: u8) -> NodeName {
    NodeName::new(format!("node-{number}"))
}

fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

pub(super) fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

/// The gateway is a machine like others, without a speaker.
const GATEWAY: u8 = 254;

#[derive(Clone, Debug)]
enum Arrival {
    Envelope(IpAddr, Envelope),
    Frame(Heard),
    Echo(IpAddr, MacAddr),
    Refused(NodeName),
}

pub(super) struct Machine {
    pub(super) member: Option<Member>,
    pub(super) outlook: Outlook,
    links: Links,
    /// Whether its kernel runs and its port of the switch is up.
    pub(super) powered: bool,
    /// Whether its speaker gets no processor.
    pub(super) stopped: bool,
    waiting: Vec<(Instant, Arrival)>,
    pub(super) events: Vec<(u64, Event)>,
    lives: u64,
}

/// Something that says who has an address.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) at: u64,
    pub(super) node: u8,
    pub(super) vip: Vip,
    pub(super) to_all: bool,
}

pub(super) struct Site {
    pub(super) now: Instant,
    pub(super) machines: BTreeMap<u8, Machine>,
    air: BTreeMap<(Instant, u64), (u8, Arrival)>,
    sent: u64,
    pub(super) said: Vec<Said>,
    pub(super) probes: Vec<(u64, u8, IpAddr)>,
    /// Datagrams and frames from the first to the second are lost.
    pub(super) cut: BTreeSet<(u8, u8)>,
    /// Frames, but not datagrams, from the first to the second are lost.
    pub(super) deaf: BTreeSet<(u8, u8)>,
    pub(super) gateway: bool,
    /// Addresses that somebody else has.
    pub(super) foreign: BTreeMap<Vip, MacAddr>,
    pub(super) view: View,
    pub(super) announce: announce::Config,
}

fn links(number: u8, gateway: bool) -> Links {
    let link = crate::link::Link {
        index: ETH0,
        name: InterfaceName::new("eth0"),
        mac: mac(number),
        carrier: true,
        addresses: [IpNet::new(address(number), 24).unwrap()].into(),
        link_local: None,
        gateways: if gateway { [address(GATEWAY)].into() } else { BTreeSet::new() },
    };
    Links::from([(ETH0, link)])
}

fn node(number: u8) -> Node {
    let segment = Segment::from(&links(number, false)[&ETH0]);
    Node { labels: BTreeMap::new(), speaker: true, bar: None, leaving: false, cordoned: false, segments: vec![segment] }
}

pub(super) fn subject(vip: Vip) -> Subject {
    Subject::new(vip, "lan".into())
}

impl Site {
    /// Machines 1 to `count` with speakers that have just started, and these addresses.
    pub(super) fn new(count: u8, gateway: bool, vips: &[Vip]) -> Self {
        let view = View {
            nodes: (1..=count).map(|number| (name(number), node(number))).collect(),
            advertisements: BTreeMap::new(),
        };
        let mut site = Self {
            now: start(),
            machines: BTreeMap::new(),
            air: BTreeMap::new(),
            sent: 0,
            said: Vec::new(),
            probes: Vec::new(),
            cut: BTreeSet::new(),
            deaf: BTreeSet::new(),
            gateway,
            foreign: BTreeMap::new(),
            view,
            announce: announce::Config::default(),
        };
        for number in 1..=count {
            let outlook = Outlook {
                view: Arc::new(site.view.clone()),
                subjects: vips.iter().map(|vip| (*vip, Arc::new(subject(*vip)))).collect(),
                me: Condition { able: true, ..Condition::default() },
                ..Outlook::default()
            };
            let machine = Machine {
                member: None,
                outlook,
                links: links(number, gateway),
                powered: true,
                stopped: false,
                waiting: Vec::new(),
                events: Vec::new(),
                lives: 0,
            };
            site.machines.insert(number, machine);
        }
        (1..=count).for_each(|number| site.start(number));
        site
    }

    /// The same, some time later, when everybody knows everybody and the addresses have found their nodes.
    pub(super) fn settled(count: u8, gateway: bool, vips: &[Vip]) -> Self {
        let mut site = Self::new(count, gateway, vips);
        site.pass(3_000);
        for vip in vips {
            site.holder(*vip);
        }
        site.said.clear();
        site
    }

    /// Starts a node's speaker.
    pub(super) fn start(&mut self, number: u8) {
        let now = self.now;
        let machine = self.machines.get_mut(&number).unwrap();
        machine.lives += 1;
        let config = Config {
            node: name(number),
            life: Life(u64::from(number) * 1_000 + machine.lives),
            profile: Profile::BALANCED,
            announce: self.announce,
        };
        let mut member = Member::new(config, now);
        member.set_links(&machine.links, now);
        member.set_outlook(Arc::new(machine.outlook.clone()), now);
        machine.member = Some(member);
        self.drain(number);
    }

    pub(super) fn kill(&mut self, number: u8) {
        self.machines.get_mut(&number).unwrap().member = None;
    }

    pub(super) fn power_off(&mut self, number: u8) {
        let machine = self.machines.get_mut(&number).unwrap();
        machine.member = None;
        machine.powered = false;
    }

    pub(super) fn power_on(&mut self, number: u8) {
        self.machines.get_mut(&number).unwrap().powered = true;
        self.start(number);
    }

    /// Stops a whole machine, kernel and all, as a hypervisor does.
    pub(super) fn freeze(&mut self, number: u8) {
        let machine = self.machines.get_mut(&number).unwrap();
        machine.powered = false;
        machine.stopped = true;
    }

    pub(super) fn thaw(&mut self, number: u8) {
        self.machines.get_mut(&number).unwrap().powered = true;
        self.go_on(number);
    }

    pub(super) fn stop(&mut self, number: u8) {
        self.machines.get_mut(&number).unwrap().stopped = true;
    }

    /// Lets a stopped speaker go on: messages first, then the time, then frames, as its driver does.
    pub(super) fn go_on(&mut self, number: u8) {
        let machine = self.machines.get_mut(&number).unwrap();
        machine.stopped = false;
        let waiting = std::mem::take(&mut machine.waiting);
        let (frames, messages): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, arrival)| matches!(arrival, Arrival::Frame(_)));
        for (received, arrival) in messages {
            self.deliver(number, received, arrival);
        }
        let now = self.now;
        if let Some(member) = &mut self.machines.get_mut(&number).unwrap().member {
            member.handle_timeout(now);
        }
        self.drain(number);
        for (received, arrival) in frames {
            self.deliver(number, received, arrival);
        }
    }

    /// Gives every node routes to pods by way of the other nodes, as CNIs without an overlay do.
    pub(super) fn route_by_way_of_each_other(&mut self) {
        let now = self.now;
        let everybody: Vec<u8> = self.machines.keys().copied().collect();
        for number in &everybody {
            let machine = self.machines.get_mut(number).unwrap();
            let others = everybody.iter().filter(|other| *other != number);
            machine.links.get_mut(&ETH0).unwrap().gateways.extend(others.map(|other| address(*other)));
            machine.member.as_mut().unwrap().set_links(&machine.links, now);
            self.drain(*number);
        }
    }

    pub(super) fn carrier(&mut self, number: u8, carrier: bool) {
        let now = self.now;
        let machine = self.machines.get_mut(&number).unwrap();
        machine.links.get_mut(&ETH0).unwrap().carrier = carrier;
        if let Some(member) = &mut machine.member {
            member.set_links(&machine.links, now);
        }
        self.drain(number);
    }

    /// Changes what the API server says to everybody.
    pub(super) fn tell(&mut self, change: impl Fn(&mut Outlook)) {
        for number in self.machines.keys().copied().collect::<Vec<_>>() {
            self.tell_one(number, &change);
        }
    }

    pub(super) fn tell_one(&mut self, number: u8, change: impl Fn(&mut Outlook)) {
        let now = self.now;
        let machine = self.machines.get_mut(&number).unwrap();
        change(&mut machine.outlook);
        let outlook = Arc::new(machine.outlook.clone());
        if let Some(member) = &mut machine.member {
            member.set_outlook(outlook, now);
        }
        self.drain(number);
    }

    /// Changes a node in everybody's view.
    pub(super) fn tell_node(&mut self, number: u8, change: impl Fn(&mut Node)) {
        self.tell(|outlook| {
            let mut view = View::clone(&outlook.view);
            change(view.nodes.get_mut(&name(number)).unwrap());
            outlook.view = Arc::new(view);
        });
    }

    /// Changes an address in everybody's view.
    pub(super) fn tell_vip(&mut self, vip: Vip, change: impl Fn(&mut Subject)) {
        self.tell(|outlook| {
            let mut subject = Subject::clone(&outlook.subjects[&vip]);
            change(&mut subject);
            outlook.subjects.insert(vip, Arc::new(subject));
        });
    }

    pub(super) fn milliseconds(&self) -> u64 {
        u64::try_from((self.now - start()).as_millis()).unwrap()
    }

    /// Lets so many milliseconds pass.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        let mut turns = 0_u64;
        loop {
            let due = self.machines.iter().filter_map(|(number, machine)| {
                let member = machine.member.as_ref().filter(|_| machine.powered && !machine.stopped)?;
                Some((member.next_deadline(self.now)?.max(self.now), *number))
            });
            let due = due.min();
            let arrives = self.air.keys().next().map(|(at, _)| *at);
            let next = due.map(|(at, _)| at).into_iter().chain(arrives).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            turns = if next == self.now { turns + 1 } else { 0 };
            assert!(turns < 200_000, "members wake each other without end");
            self.now = next;
            if arrives.is_some_and(|at| at <= next) {
                let ((at, _), (to, arrival)) = self.air.pop_first().unwrap();
                self.arrive(to, at, arrival);
            } else if let Some((_, number)) = due {
                let now = self.now;
                self.machines.get_mut(&number).unwrap().member.as_mut().unwrap().handle_timeout(now);
                self.drain(number);
            }
        }
        self.now = end;
    }

    /// Lets time pass until something is so, at most so many milliseconds; says when that was.
    pub(super) fn until(&mut self, most: u64, what: &str, is_so: impl Fn(&Self) -> bool) -> u64 {
        for _ in 0..most {
            if is_so(self) {
                return self.milliseconds();
            }
            self.pass(1);
        }
        panic!(
            "within {most} ms it never came to this: {what}; {:?}",
            self.said.iter().rev().take(9).collect::<Vec<_>>()
        );
    }

    fn arrive(&mut self, to: u8, at: Instant, arrival: Arrival) {
        let machine = self.machines.get_mut(&to).unwrap();
        if !machine.powered || machine.member.is_none() {
            return;
        }
        if machine.stopped {
            machine.waiting.push((at, arrival));
        } else {
            self.deliver(to, at, arrival);
        }
    }

    fn deliver(&mut self, to: u8, received: Instant, arrival: Arrival) {
        let now = self.now;
        let Some(member) = &mut self.machines.get_mut(&to).unwrap().member else { return };
        match arrival {
            Arrival::Envelope(source, envelope) => member.handle_envelope(ETH0, source, envelope, received, now),
            Arrival::Frame(heard) => _ = member.handle_frame(ETH0, &heard, received, now),
            Arrival::Echo(from, mac) => member.handle_echo(ETH0, from, mac, received, now),
            Arrival::Refused(node) => member.handle_refused(ETH0, &node, now),
        }
        self.drain(to);
    }

    fn fly(&mut self, from: u8, to: u8, arrival: Arrival) {
        let has_carrier =
            |number: &u8| self.machines.get(number).is_none_or(|it| it.powered && it.links[&ETH0].carrier);
        let unheard = self.deaf.contains(&(from, to)) && matches!(arrival, Arrival::Frame(_));
        if unheard || self.cut.contains(&(from, to)) || !has_carrier(&from) || !has_carrier(&to) {
            return;
        }
        self.sent += 1;
        self.air.insert((self.now + WIRE, self.sent), (to, arrival));
    }

    fn drain(&mut self, number: u8) {
        while let Some(effect) = self.machines.get_mut(&number).and_then(|it| it.member.as_mut()?.poll_effect()) {
            self.carry_out(number, effect);
        }
    }

    fn carry_out(&mut self, number: u8, effect: Effect) {
        let now = self.now;
        match effect {
            Effect::Datagram { to, address: at, envelope, .. } => {
                let Some(receiver) = (1..=9).find(|other| name(*other) == to && address(*other) == at) else { return };
                let machine = &self.machines[&receiver];
                if machine.powered && machine.member.is_none() {
                    if !self.cut.contains(&(number, receiver)) {
                        self.fly(receiver, number, Arrival::Refused(to));
                    }
                } else {
                    self.fly(number, receiver, Arrival::Envelope(address(number), envelope));
                }
            }
            Effect::Send { link, mac, frame } => {
                self.send(number, frame);
                self.machines.get_mut(&number).unwrap().member.as_mut().unwrap().handle_sent(link, mac, &frame, now);
            }
            Effect::Ask { from, inquiry, .. } => self.ask(number, from, inquiry),
            Effect::Report(event) => {
                let at = self.milliseconds();
                self.machines.get_mut(&number).unwrap().events.push((at, event));
            }
            Effect::Join { .. } | Effect::Leave { .. } => {}
        }
    }

    fn send(&mut self, number: u8, frame: Frame) {
        let source = mac(number);
        let (own, target, to, unasked) = match frame {
            Frame::GratuitousRequest { vip } | Frame::GratuitousReply { vip } => (vip, Some(vip), None, true),
            Frame::DirectedRequest { vip, target, to } => (vip, Some(target), Some(to), true),
            Frame::ArpReply { vip, to, .. } => (vip, None, Some(to), false),
            other => panic!("{other:?} is not for IPv4"),
        };
        let told = Vip::new(IpAddr::V4(own)).unwrap();
        self.said.push(Said { at: self.milliseconds(), node: number, vip: told, to_all: frame.announced().is_some() });
        let question = target.filter(|_| unasked).map(|target| Question {
            target: IpAddr::V4(target),
            asker: Some(IpAddr::V4(own)),
            mac: source,
        });
        let claim = Some(Claim { address: IpAddr::V4(own), mac: source, unasked });
        let to = to.filter(|to| *to != MacAddr::BROADCAST);
        self.spread(number, to, Heard { source, directed: to.is_some(), claim, question });
    }

    fn spread(&mut self, from: u8, to: Option<MacAddr>, heard: Heard) {
        let others = self.machines.keys().copied().filter(|other| *other != from).collect::<Vec<_>>();
        for other in others.into_iter().filter(|other| to.is_none_or(|to| to == mac(*other))) {
            self.fly(from, other, Arrival::Frame(heard));
        }
    }

    fn ask(&mut self, number: u8, from: Option<IpAddr>, inquiry: Inquiry) {
        match inquiry {
            Inquiry::Echo { to, mac: at } => {
                if let Some(kernel) =
                    self.kernel(to).filter(|kernel| mac(*kernel) == at && self.reaches(number, *kernel))
                {
                    self.fly(kernel, number, Arrival::Echo(to, at));
                }
            }
            Inquiry::Resolve { target, mac: at, probe } => {
                assert_eq!(from.is_none(), probe);
                if probe {
                    self.probes.push((self.milliseconds(), number, target));
                }
                if let Some(kernel) = self.kernel(target).filter(|kernel| self.reaches(number, *kernel)) {
                    self.answer(number, kernel, target, mac(kernel));
                }
                if let Some(mac) = Vip::new(target).ok().and_then(|vip| self.foreign.get(&vip).copied()) {
                    self.answer(number, GATEWAY, target, mac);
                }
                let claim = from.map(|address| Claim { address, mac: mac(number), unasked: true });
                let question = Some(Question { target, asker: from, mac: mac(number) });
                self.spread(number, at, Heard { source: mac(number), directed: at.is_some(), claim, question });
            }
        }
    }

    fn reaches(&self, from: u8, to: u8) -> bool {
        !self.cut.contains(&(from, to))
    }

    fn kernel(&self, at: IpAddr) -> Option<u8> {
        let IpAddr::V4(v4) = at else { return None };
        let [.., last] = Ipv4Addr::octets(&v4);
        if at != address(last) {
            return None;
        }
        if last == GATEWAY {
            return self.gateway.then_some(GATEWAY);
        }
        let up = |machine: &Machine| machine.powered && machine.links[&ETH0].carrier;
        self.machines.get(&last).is_some_and(up).then_some(last)
    }

    fn answer(&mut self, to: u8, from: u8, address: IpAddr, mac: MacAddr) {
        let claim = Some(Claim { address, mac, unasked: false });
        self.fly(from, to, Arrival::Frame(Heard { source: mac, directed: true, claim, question: None }));
    }

    /// A stranger says to all that it has an address.
    pub(super) fn stranger_says(&mut self, vip: Vip, stranger: MacAddr) {
        let claim = Some(Claim { address: vip.address(), mac: stranger, unasked: true });
        self.spread(GATEWAY, None, Heard { source: stranger, directed: false, claim, question: None });
    }

    pub(super) fn holders(&self, vip: Vip) -> Vec<u8> {
        let holds = |machine: &Machine| {
            machine.powered && machine.member.as_ref().is_some_and(|member| member.held.contains(&vip))
        };
        self.machines.iter().filter(|(_, machine)| holds(machine)).map(|(number, _)| *number).collect()
    }

    /// The one node that answers for an address.
    pub(super) fn holder(&self, vip: Vip) -> u8 {
        let holders = self.holders(vip);
        assert_eq!(holders.len(), 1, "{vip} is held by {holders:?} at {} ms", self.milliseconds());
        holders[0]
    }

    pub(super) fn member(&mut self, number: u8) -> &mut Member {
        self.machines.get_mut(&number).unwrap().member.as_mut().unwrap()
    }

    /// The last report of a node about an address.
    pub(super) fn state(&self, number: u8, vip: Vip) -> VipState {
        let mut reports = self.machines[&number].events.iter().rev();
        let of = |(_, event): &(u64, Event)| match event {
            Event::Vip { vip: about, state } if *about == vip => Some(state.clone()),
            _ => None,
        };
        reports.find_map(of).unwrap_or_default()
    }

    /// When which node told all that it has an address.
    pub(super) fn announcements(&self, vip: Vip) -> Vec<(u64, u8)> {
        self.said.iter().filter(|said| said.vip == vip && said.to_all).map(|said| (said.at, said.node)).collect()
    }
}
