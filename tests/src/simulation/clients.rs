//! Everybody on the segment who is no node: a client and the gateway with their neighbour tables, a newcomer that asks who has
//! each VIP every 20 ms, and a stranger that answers for what isn't its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_wire::ethernet::Frame;
use herald_wire::{arp, ndp};

use super::addresses::{self, Kind, link_local, mac, v4, v6};
use super::frames::{advertisement, arp_reply, who_has};
use super::neighbours::{Neighbours, Step};
use super::packet::{Content, Packet};
use super::schedule::Schedule;
use super::switch::{Port, Switch};
use super::world::{Event, World};
use crate::invariants::{Client, Sighting, Way, What};

/// How often everybody asks.
const INTERVAL: Duration = Duration::from_millis(20);
/// So many VIPs are watched; the others are just there.
const WATCHED: usize = 3;

/// The stations behind the nodes' ports.
#[derive(Debug)]
pub(super) struct Clients {
    /// Those with tables: the client, and the gateway that forwards for clients elsewhere.
    tables: Vec<(Station, Neighbours)>,
    newcomer: Station,
    /// Whether the newcomer was answered since it asked last.
    answered: BTreeMap<Vip, bool>,
    stranger: Station,
    taken: BTreeSet<Vip>,
    /// Whether there is a gateway that answers.
    pub(super) gateway: bool,
    watched: Vec<Vip>,
    vips: BTreeSet<Vip>,
}

#[derive(Clone, Copy, Debug)]
struct Station {
    port: Port,
    mac: MacAddr,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    link_local: Ipv6Addr,
}

impl Station {
    fn new(switch: &mut Switch, kind: Kind, number: usize) -> Self {
        let mac = mac(kind, number);
        let port = switch.plug(mac);
        Self { port, mac, v4: v4(kind, number), v6: v6(kind, number), link_local: link_local(kind, number) }
    }

    fn address(&self, of: IpAddr) -> IpAddr {
        if of.is_ipv4() { self.v4.into() } else { self.v6.into() }
    }

    /// The answer to a question for one of its addresses.
    fn answer(&self, frame: &Frame, has: impl Fn(IpAddr) -> bool) -> Option<Vec<u8>> {
        match frame {
            Frame::Arp(message) => (message.operation == arp::Operation::Request && has(message.target_ip.into()))
                .then(|| arp_reply(self.mac, message.target_ip, MacAddr(message.sender_mac), message.sender_ip)),
            Frame::Neighbor(packet) => {
                let ndp::Message::Solicitation { target, source_link } = packet.message else { return None };
                let asker = (!packet.from.is_unspecified())
                    .then(|| (source_link.map_or(MacAddr(packet.source), MacAddr), packet.from));
                has(target.into()).then(|| advertisement(self.mac, target, self.link_local, asker))
            }
        }
    }
}

impl Clients {
    pub(super) fn new(switch: &mut Switch, schedule: &Schedule) -> Self {
        let stations = [Station::new(switch, Kind::Client, 0), Station::new(switch, Kind::Gateway, 0)];
        let vips: Vec<Vip> = (0..schedule.vips).map(addresses::vip).collect();
        Self {
            tables: stations.map(|station| (station, Neighbours::new(station.v4, station.v6))).into(),
            newcomer: Station::new(switch, Kind::Client, 1),
            answered: BTreeMap::new(),
            stranger: Station::new(switch, Kind::Stranger, 0),
            taken: BTreeSet::new(),
            gateway: schedule.gateway,
            watched: vips.iter().copied().take(WATCHED).collect(),
            vips: vips.into_iter().collect(),
        }
    }

    /// How many of them ask.
    pub(super) fn count(&self) -> usize {
        self.tables.len() + 1
    }

    pub(super) fn knows(&self, vip: Vip) -> bool {
        self.vips.contains(&vip)
    }

    pub(super) fn forget(&mut self, vip: Vip) {
        self.answered.remove(&vip);
        self.tables.iter_mut().for_each(|(_, table)| table.forget(vip));
    }

    pub(super) fn set_stranger(&mut self, vip: Vip, there: bool) {
        if there {
            self.taken.insert(vip);
        } else {
            self.taken.remove(&vip);
        }
    }
}

impl World<'_> {
    /// Something for one of them.
    pub(super) fn arrive_at_client(&mut self, port: Port, packet: &Packet) {
        match &packet.content {
            Content::Resolution(frame) => self.resolve(port, frame),
            Content::EchoRequest { to } => {
                let (gateway, _) = &self.clients.tables[1];
                if gateway.port == port && self.clients.gateway && gateway.address(*to) == *to {
                    let content = Content::EchoReply { from: *to };
                    let reply = Packet { source: gateway.mac, destination: packet.source, content };
                    self.transmit(port, reply);
                }
            }
            Content::Datagram { .. } | Content::Refusal { .. } | Content::EchoReply { .. } => {}
        }
    }

    fn resolve(&mut self, port: Port, frame: &Frame) {
        let now = self.now;
        if port == self.clients.newcomer.port {
            self.note_answer(frame);
            return;
        }
        if port == self.clients.stranger.port {
            let taken = &self.clients.taken;
            let has = |address| Vip::new(address).is_ok_and(|vip| taken.contains(&vip));
            if let Some(bytes) = self.clients.stranger.answer(frame, has) {
                self.transmit(port, Packet::resolution(&bytes));
            }
            return;
        }
        let Some(index) = self.clients.tables.iter().position(|(station, _)| station.port == port) else { return };
        let is_there = index == 0 || self.clients.gateway;
        let (station, table) = &mut self.clients.tables[index];
        if let Some((vip, mac)) = table.hear(frame, now) {
            let client = Client(u32::try_from(index).unwrap_or(0));
            self.sightings.push(Sighting { at: now, vip, what: What::Entry { client, mac: Some(mac) } });
            self.trace.line(now, || format!("client {index}: {vip} is at {mac}"));
        }
        let own = [IpAddr::V4(station.v4), station.v6.into(), station.link_local.into()];
        let answer = station.answer(frame, |address| is_there && own.contains(&address));
        if let Some(bytes) = answer {
            self.transmit(port, Packet::resolution(&bytes));
        }
    }

    fn note_answer(&mut self, frame: &Frame) {
        let answered = match frame {
            Frame::Arp(message) if message.operation == arp::Operation::Reply => {
                (message.target_ip == self.clients.newcomer.v4).then_some(IpAddr::V4(message.sender_ip))
            }
            Frame::Neighbor(packet) => match packet.message {
                ndp::Message::Advertisement { target, solicited: true, .. } => Some(IpAddr::V6(target)),
                _ => None,
            },
            Frame::Arp(_) => None,
        };
        if let Some(vip) = answered.and_then(|address| Vip::new(address).ok())
            && let Some(noted) = self.clients.answered.get_mut(&vip)
        {
            *noted = true;
            self.attempt(vip, self.clients.tables.len(), Way::Newcomer, true);
        }
    }

    /// It is time for one of them to ask again.
    pub(super) fn tick(&mut self, number: usize) {
        self.plan(INTERVAL, Event::Tick(number));
        for index in 0..self.clients.watched.len() {
            let vip = self.clients.watched[index];
            if !self.exists(vip) {
                continue;
            }
            if number < self.clients.tables.len() {
                self.send_traffic(number, vip);
            } else {
                self.ask_as_newcomer(number, vip);
            }
        }
    }

    fn ask_as_newcomer(&mut self, number: usize, vip: Vip) {
        if self.clients.answered.insert(vip, false) != Some(true) {
            self.attempt(vip, number, Way::Newcomer, false);
        }
        let station = self.clients.newcomer;
        let question = who_has(vip.address(), Some(station.address(vip.address())), station.mac, None);
        self.transmit(station.port, Packet::resolution(&question));
    }

    fn send_traffic(&mut self, number: usize, vip: Vip) {
        let now = self.now;
        let (station, table) = &mut self.clients.tables[number];
        let station = *station;
        let step = table.step(vip, now);
        let to = match step {
            Step::Send(mac) | Step::Probe(mac) => Some(mac),
            Step::Ask | Step::Wait => None,
        };
        if let Step::Probe(_) | Step::Ask = step {
            let question = who_has(vip.address(), Some(station.address(vip.address())), station.mac, to);
            self.transmit(station.port, Packet::resolution(&question));
        }
        let answered = to.is_some_and(|mac| self.is_forwarded(station.port, mac));
        if answered {
            self.clients.tables[number].1.confirm(vip, now);
        }
        self.attempt(vip, number, Way::Traffic, answered);
    }

    /// Whether a packet for a VIP sent to this station is answered: any node's kernel takes it to the Service's endpoints.
    fn is_forwarded(&mut self, from: Port, mac: MacAddr) -> bool {
        let Some(to) = self.switch.station(mac) else { return false };
        let forwards = self.nodes.get(to.0).is_some_and(super::node::Node::is_on_wire);
        forwards && self.switch.round_trip(from, to, &mut self.chance)
    }

    fn attempt(&mut self, vip: Vip, number: usize, way: Way, answered: bool) {
        let client = Client(u32::try_from(number).unwrap_or(0));
        self.sightings.push(Sighting { at: self.now, vip, what: What::Attempt { client, way, answered } });
    }
}
