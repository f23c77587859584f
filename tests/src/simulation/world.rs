//! The run itself: virtual time, one event after the other, and what everybody says to everybody.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use herald_core::address::Vip;
use herald_core::announce;
use herald_core::liveness::{Claim, Inquiry, Life};
use herald_core::mac::MacAddr;
use herald_core::member::{Config, Effect, Event as Told, Member, Tenure};

use super::addresses::{self, Kind, node_name};
use super::chance::Chance;
use super::clients::Clients;
use super::clock::Clock;
use super::frames;
use super::management::Management;
use super::node::{Input, LINK, Node};
use super::packet::{Content, Packet};
use super::schedule::Schedule;
use super::sealing::Seal;
use super::switch::{Port, Switch};
use super::tampering::Tampering;
use super::trace::Trace;
use crate::invariants::{Sighting, What};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Until a process that has nothing left has told everybody and is gone.
const LAST_WORDS: Duration = ms(400);
/// A process that doesn't end by itself is killed.
const GRACE: Duration = ms(10_000);

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Event {
    Begin(usize),
    End(usize),
    Arrive(Port, Rc<Packet>),
    /// A process is woken, if it still waits for this time.
    Wake(usize),
    Start(usize),
    /// This life of a process ends.
    Exit(usize, Life),
    /// A speaker hears what is new.
    News(usize),
    Prepared(usize),
    /// A speaker records its claims.
    Write(usize),
    Tick(usize),
}

/// Everything there is.
pub(super) struct World<'s> {
    pub(super) schedule: &'s Schedule,
    pub(super) now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    bodies: BTreeMap<u64, Event>,
    count: u64,
    pub(super) chance: Chance,
    pub(super) switch: Switch,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Clients,
    pub(super) management: Management,
    /// Which speakers will hear news anyway.
    expecting: Vec<bool>,
    seal: Seal,
    pub(super) tampering: Tampering,
    pub(super) sightings: Vec<Sighting>,
    pub(super) trace: Trace,
}

impl<'s> World<'s> {
    /// A cluster whose nodes have just booted.
    #[expect(clippy::disallowed_methods, reason = "virtual time needs a beginning; nothing depends on which")]
    pub(super) fn new(schedule: &'s Schedule, tampering: Tampering, trace: Trace) -> Self {
        let epoch = Instant::now();
        let mut chance = Chance::new(schedule.seed);
        let mut switch = Switch::default();
        let mut nodes = Vec::new();
        for number in 0..schedule.nodes {
            switch.plug(addresses::mac(Kind::Node, number));
            nodes.push(Node::new(number, Clock::new(epoch, &mut chance), schedule.gateway));
        }
        let clients = Clients::new(&mut switch, schedule);
        Self {
            schedule,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            count: 0,
            chance,
            switch,
            nodes,
            clients,
            management: Management::new(schedule),
            expecting: vec![false; schedule.nodes],
            seal: Seal::new(epoch),
            tampering,
            sightings: Vec::new(),
            trace,
        }
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) {
        for number in 0..self.nodes.len() {
            let after = self.chance.between(ms(0), ms(300));
            self.plan(after, Event::Start(number));
        }
        for client in 0..self.clients.count() {
            let after = self.chance.between(ms(0), ms(20));
            self.plan(after, Event::Tick(client));
        }
        for (number, act) in self.schedule.acts.iter().enumerate() {
            self.plan(act.from, Event::Begin(number));
            self.plan(act.until, Event::End(number));
        }
        while let Some(Reverse((at, id))) = self.events.pop() {
            if at > self.schedule.length {
                break;
            }
            self.now = at;
            if let Some(event) = self.bodies.remove(&id) {
                self.happen(event);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Begin(act) => self.begin(act),
            Event::End(act) => self.end(act),
            Event::Arrive(port, packet) => self.arrive(port, &packet),
            Event::Wake(node) => {
                if self.nodes[node].process.as_ref().is_some_and(|process| process.wake == Some(self.now)) {
                    self.go_on(node);
                }
            }
            Event::Start(node) => self.start(node),
            Event::Exit(node, life) => self.exit(node, life),
            Event::News(node) => self.tell(node),
            Event::Prepared(node) => {
                self.nodes[node].prepare();
                self.go_on(node);
            }
            Event::Write(node) => self.write(node),
            Event::Tick(client) => self.tick(client),
        }
    }

    /// Lets something happen so much later.
    pub(super) fn plan(&mut self, after: Duration, event: Event) {
        self.count += 1;
        self.bodies.insert(self.count, event);
        self.events.push(Reverse((self.now + after, self.count)));
    }

    // The wire.

    /// A frame leaves a station.
    pub(super) fn transmit(&mut self, port: Port, packet: Packet) {
        if !self.switch.hears(port) || self.nodes.get(port.0).is_some_and(|node| !node.is_on_wire()) {
            return;
        }
        if let Content::Resolution(frame) = &packet.content
            && let Some((vip, mac, to_all)) = frames::assertion(frame)
            && self.clients.knows(vip)
        {
            self.sightings.push(Sighting { at: self.now, vip, what: What::Assertion { mac, to_all } });
            if to_all {
                self.trace.line(self.now, || format!("wire: {vip} is at {mac}"));
            }
        }
        let packet = Rc::new(packet);
        for (to, after) in self.switch.forward(port, packet.destination, &mut self.chance) {
            self.plan(after, Event::Arrive(to, Rc::clone(&packet)));
        }
    }

    fn arrive(&mut self, port: Port, packet: &Packet) {
        if port.0 >= self.nodes.len() {
            self.arrive_at_client(port, packet);
            return;
        }
        let node = &mut self.nodes[port.0];
        if !node.is_on_wire() {
            return;
        }
        let (mac, received) = (node.mac(), node.clock.at(self.now));
        let reply = |content| Packet { source: mac, destination: packet.source, content };
        let (answer, input) = match &packet.content {
            Content::Resolution(frame) => {
                let answer = node.kernel_answer(frame).map(|bytes| Packet::resolution(&bytes));
                let heard = frames::heard(frame, mac);
                (answer, Some(Input::Frame { heard, received }))
            }
            Content::Datagram { from, to, bytes } => {
                if node.process.is_some() {
                    let envelope = self.seal.open(&node.name, bytes);
                    (None, Some(Input::Envelope { source: *from, envelope, received }))
                } else {
                    (node.refuses(*from, self.now).then(|| reply(Content::Refusal { from: *to })), None)
                }
            }
            Content::Refusal { from } => (None, self.owner_of(*from).map(|peer| Input::Refused(node_name(peer)))),
            Content::EchoRequest { to } => (Some(reply(Content::EchoReply { from: *to })), None),
            Content::EchoReply { from } => (None, Some(Input::Echo { from: *from, mac: packet.source, received })),
        };
        if let Some(answer) = answer {
            self.transmit(port, answer);
        }
        if let Some(input) = input.and_then(|input| self.tampering.inbound(input)) {
            self.nodes[port.0].queue(input);
            self.go_on(port.0);
        }
    }

    fn owner_of(&self, address: IpAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.addresses().contains(&address))
    }

    // The processes.

    /// A process reads what waits, then does what is due, and then what it wants done is done.
    pub(super) fn go_on(&mut self, number: usize) {
        let now = self.now;
        let node = &mut self.nodes[number];
        let Some(process) = &mut node.process else { return };
        let Some(turn) = process.turn(now) else { return };
        if turn > now {
            if process.wake.is_none_or(|wake| wake > turn || wake <= now) {
                process.wake = Some(turn);
                self.plan(turn.saturating_sub(now), Event::Wake(number));
            }
            return;
        }
        let local = node.clock.at(now);
        for input in process.take_inbox() {
            process.feed(input, local);
        }
        if process.member.next_deadline(local).is_some_and(|deadline| deadline <= local) {
            process.member.handle_timeout(local);
        }
        self.carry_out(number, local);
        self.sleep(number, local);
    }

    fn sleep(&mut self, number: usize, local: Instant) {
        let node = &mut self.nodes[number];
        let Some(process) = &mut node.process else { return };
        let Some(deadline) = process.member.next_deadline(local) else {
            process.wake = None;
            return;
        };
        // Timers fire late, now and then by much.
        let most = if self.chance.percent(1) { ms(8) } else { ms(1) };
        let late = self.chance.between(Duration::ZERO, most);
        let at = node.clock.when(deadline).max(self.now) + late;
        if process.wake.is_none_or(|wake| wake > at || wake <= self.now) {
            process.wake = Some(at);
            self.plan(at.saturating_sub(self.now), Event::Wake(number));
        }
    }

    fn carry_out(&mut self, number: usize, local: Instant) {
        while let Some(effect) = self.nodes[number].process.as_mut().and_then(super::node::Process::effect) {
            let Some(effect) = self.tampering.outbound(self.schedule.nodes, number, effect) else { continue };
            self.trace.effect(self.now, number, &effect);
            match effect {
                Effect::Send { mac, frame, .. } => self.send(number, mac, &frame, local),
                Effect::Ask { mac, from, inquiry, .. } => self.ask(number, mac, from, inquiry),
                Effect::Datagram { to, address, envelope, .. } => {
                    let Some(peer) = self.owner_of(address) else { continue };
                    let bytes = self.seal.seal(&to, &envelope);
                    let node = &self.nodes[number];
                    let from = node.addresses()[usize::from(address.is_ipv6())];
                    let content = Content::Datagram { from, to: address, bytes };
                    let packet = Packet { source: node.mac(), destination: self.nodes[peer].mac(), content };
                    self.transmit(Port(number), packet);
                }
                // The switch floods all multicast.
                Effect::Join { .. } | Effect::Leave { .. } => {}
                Effect::Report(told) => self.take_note(number, told),
            }
        }
        self.end_if_done(number);
    }

    fn send(&mut self, number: usize, mac: MacAddr, frame: &announce::Frame, local: Instant) {
        if !self.nodes[number].is_on_wire() {
            return;
        }
        self.transmit(Port(number), Packet::resolution(&frames::announcement(frame, mac)));
        if let Some(process) = &mut self.nodes[number].process {
            process.member.handle_sent(LINK, mac, frame, local);
        }
    }

    fn ask(&mut self, number: usize, mac: MacAddr, from: Option<IpAddr>, inquiry: Inquiry) {
        let packet = match inquiry {
            Inquiry::Echo { to, mac: destination } => {
                Packet { source: mac, destination, content: Content::EchoRequest { to } }
            }
            Inquiry::Resolve { .. } => match frames::question(&inquiry, from, mac) {
                Some(bytes) => Packet::resolution(&bytes),
                None => return,
            },
        };
        self.transmit(Port(number), packet);
    }

    fn take_note(&mut self, number: usize, told: Told) {
        let Told::Vip { vip, state } = told else { return };
        let Some(process) = &mut self.nodes[number].process else { return };
        if let Tenure::Announcing { epoch, .. } = state.tenure {
            process.unrecorded.insert(vip, epoch);
            let after = self.chance.between(ms(5), ms(30));
            process.states.insert(vip, state);
            self.plan(after, Event::Write(number));
        } else {
            process.states.insert(vip, state);
        }
    }

    fn end_if_done(&mut self, number: usize) {
        let Some(process) = &self.nodes[number].process else { return };
        if process.ending && !process.holds_any() {
            let life = process.life;
            self.plan(LAST_WORDS, Event::Exit(number, life));
        }
    }

    fn start(&mut self, number: usize) {
        let local = self.nodes[number].clock.at(self.now);
        if !self.nodes[number].powered || self.nodes[number].process.is_some() {
            return;
        }
        let life = self.tampering.life(number, Life(self.chance.next()));
        let config = Config {
            node: node_name(number),
            life,
            profile: self.schedule.profile,
            announce: announce::Config { seed: self.chance.next(), ..announce::Config::default() },
        };
        self.trace.line(self.now, || format!("node-{number}: speaker starts"));
        let answers = self.management.answers(number);
        self.nodes[number].start(Member::new(config, local), life, answers);
        self.management.edit_node(number, |node| node.speaker = true);
        if answers {
            self.expecting[number] = true;
            let after = self.chance.between(ms(20), ms(200));
            self.plan(after, Event::News(number));
        }
        self.go_on(number);
        self.spread();
    }

    /// SIGTERM: the speaker ends when it has nothing left, or when its time is over.
    pub(super) fn ask_to_end(&mut self, number: usize) {
        self.management.edit_node(number, |node| node.speaker = false);
        self.spread();
        let Some(process) = &mut self.nodes[number].process else { return };
        process.ending = true;
        let life = process.life;
        self.plan(GRACE, Event::Exit(number, life));
        self.nodes[number].reconsider();
        self.go_on(number);
    }

    fn exit(&mut self, number: usize, life: Life) {
        let node = &mut self.nodes[number];
        if node.process.as_ref().is_some_and(|process| process.life == life && !process.stopped) {
            self.trace.line(self.now, || format!("node-{number}: speaker ends"));
            node.process = None;
            if node.restarts {
                self.plan(ms(200), Event::Start(number));
            }
        }
    }

    // The API server.

    /// Everybody who can will hear soon that something is new.
    pub(super) fn spread(&mut self) {
        for number in 0..self.nodes.len() {
            if !self.expecting[number] && self.nodes[number].process.is_some() {
                self.expecting[number] = true;
                let after = self.chance.between(ms(1), ms(50));
                self.plan(after, Event::News(number));
            }
        }
    }

    fn tell(&mut self, number: usize) {
        self.expecting[number] = false;
        if self.nodes[number].process.is_none() || !self.management.answers(number) {
            return;
        }
        if self.nodes[number].read(&self.management) {
            let after = self.chance.between(ms(5), ms(20));
            self.plan(after, Event::Prepared(number));
        }
        self.go_on(number);
    }

    /// A speaker writes its claims, and how its interface is.
    pub(super) fn write(&mut self, number: usize) {
        if !self.management.answers(number) {
            return;
        }
        let (name, carrier) = (node_name(number), self.nodes[number].carrier);
        let Some(process) = &mut self.nodes[number].process else { return };
        if process.stopped {
            return;
        }
        for (vip, epoch) in std::mem::take(&mut process.unrecorded) {
            self.management.record(vip, Claim { epoch, node: name.clone() });
        }
        self.management
            .edit_node(number, |node| node.segments.iter_mut().for_each(|segment| segment.carrier = carrier));
        self.spread();
    }

    /// Whether a VIP is there.
    pub(super) fn exists(&self, vip: Vip) -> bool {
        self.management.subjects().contains_key(&vip)
    }
}
