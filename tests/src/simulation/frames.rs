//! Between bytes on the wire and what the core and the judge speak of, with the speaker's own codecs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use herald_core::address::Vip;
use herald_core::announce::{Claim, Frame, Heard, Question};
use herald_core::liveness::Inquiry;
use herald_core::mac::MacAddr;
use herald_wire::ethernet::{self, BROADCAST, Mac};
use herald_wire::{arp, ndp};

const NOBODY: Mac = [0; 6];

/// What a frame says to a speaker whose interface has this MAC address.
pub(super) fn heard(frame: &ethernet::Frame, own: MacAddr) -> Heard {
    match *frame {
        ethernet::Frame::Arp(message) => {
            let mac = MacAddr(message.sender_mac);
            let sender = (!message.sender_ip.is_unspecified()).then_some(IpAddr::V4(message.sender_ip));
            let asks = message.operation == arp::Operation::Request;
            let unasked = asks || message.sender_ip == message.target_ip;
            Heard {
                source: MacAddr(message.source),
                directed: message.destination == own.0,
                claim: sender.map(|address| Claim { address, mac, unasked }),
                question: asks.then_some(Question { target: IpAddr::V4(message.target_ip), asker: sender, mac }),
            }
        }
        ethernet::Frame::Neighbor(packet) => {
            let (source, directed) = (MacAddr(packet.source), packet.destination == own.0);
            let asker = (!packet.from.is_unspecified()).then_some(IpAddr::V6(packet.from));
            match packet.message {
                ndp::Message::Solicitation { target, source_link } => {
                    let mac = source_link.map_or(source, MacAddr);
                    let claim = asker.map(|address| Claim { address, mac, unasked: true });
                    let question = Some(Question { target: IpAddr::V6(target), asker, mac });
                    Heard { source, directed, claim, question }
                }
                ndp::Message::Advertisement { target, target_link, solicited, overriding, .. } => {
                    let mac = target_link.map_or(source, MacAddr);
                    let claim = Claim { address: IpAddr::V6(target), mac, unasked: overriding && !solicited };
                    Heard { source, directed, claim: Some(claim), question: None }
                }
            }
        }
    }
}

/// Which VIP a frame says is where, and whether it says so to all.
pub(super) fn assertion(frame: &ethernet::Frame) -> Option<(Vip, MacAddr, bool)> {
    let said = heard(frame, MacAddr::ZERO).claim?;
    let destination = match frame {
        ethernet::Frame::Arp(message) => message.destination,
        ethernet::Frame::Neighbor(packet) => packet.destination,
    };
    let told_all = destination == BROADCAST || destination == ndp::multicast_mac(ndp::ALL_NODES);
    Some((Vip::new(said.address).ok()?, said.mac, told_all))
}

/// A frame of the announcer as bytes.
pub(super) fn announcement(frame: &Frame, MacAddr(mac): MacAddr) -> Vec<u8> {
    match *frame {
        Frame::ArpReply { vip, asker, to } => arp_reply(MacAddr(mac), vip, to, asker),
        Frame::GratuitousRequest { vip } => arp_frame(mac, vip, BROADCAST, arp::Operation::Request, (NOBODY, vip)),
        Frame::GratuitousReply { vip } => arp_frame(mac, vip, BROADCAST, arp::Operation::Reply, (mac, vip)),
        Frame::DirectedRequest { vip, target, to: MacAddr(to) } => {
            arp_frame(mac, vip, to, arp::Operation::Request, (NOBODY, target))
        }
        Frame::Advertisement { vip, from, asker, to } => advertisement(MacAddr(mac), vip, from, Some((to, asker))),
        Frame::ProbeAnswer { vip, from } | Frame::UnsolicitedAdvertisement { vip, from } => {
            advertisement(MacAddr(mac), vip, from, None)
        }
        Frame::DirectedSolicitation { vip, target } => solicitation(MacAddr(mac), Some(vip), target, None),
    }
}

/// The frame of a question about an address; `None` for echo requests, which are no such frames.
pub(super) fn question(inquiry: &Inquiry, from: Option<IpAddr>, own: MacAddr) -> Option<Vec<u8>> {
    let Inquiry::Resolve { target, mac, probe } = *inquiry else { return None };
    Some(who_has(target, from.filter(|_| !probe), own, mac))
}

/// Who has the target? Asked of one station or of all.
pub(super) fn who_has(target: IpAddr, from: Option<IpAddr>, own: MacAddr, to: Option<MacAddr>) -> Vec<u8> {
    match (target, from) {
        (IpAddr::V4(target), from) => {
            let sender = match from {
                Some(IpAddr::V4(sender)) => sender,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let to = to.map_or(BROADCAST, |MacAddr(to)| to);
            arp_frame(own.0, sender, to, arp::Operation::Request, (NOBODY, target))
        }
        (IpAddr::V6(target), Some(IpAddr::V6(from))) => solicitation(own, Some(from), target, to),
        (IpAddr::V6(target), _) => solicitation(own, None, target, to),
    }
}

/// A unicast ARP reply: the address is at this MAC address.
pub(super) fn arp_reply(MacAddr(own): MacAddr, address: Ipv4Addr, MacAddr(to): MacAddr, asker: Ipv4Addr) -> Vec<u8> {
    arp_frame(own, address, to, arp::Operation::Reply, (to, asker))
}

/// An advertisement of an address: to who asked, or to all.
pub(super) fn advertisement(
    MacAddr(own): MacAddr,
    address: Ipv6Addr,
    from: Ipv6Addr,
    asker: Option<(MacAddr, Ipv6Addr)>,
) -> Vec<u8> {
    let (destination, to) =
        asker.map_or_else(|| (ndp::multicast_mac(ndp::ALL_NODES), ndp::ALL_NODES), |(mac, to)| (mac.0, to));
    let message = ndp::Message::Advertisement {
        target: address,
        router: false,
        solicited: asker.is_some(),
        overriding: true,
        target_link: Some(own),
    };
    ndp::Packet { destination, source: own, from, to, message }.encode()
}

fn solicitation(MacAddr(own): MacAddr, from: Option<Ipv6Addr>, target: Ipv6Addr, to: Option<MacAddr>) -> Vec<u8> {
    let group = ndp::solicited_node_group(target);
    let (destination, to) = to.map_or_else(|| (ndp::multicast_mac(group), group), |MacAddr(to)| (to, target));
    let message = ndp::Message::Solicitation { target, source_link: from.map(|_| own) };
    ndp::Packet { destination, source: own, from: from.unwrap_or(Ipv6Addr::UNSPECIFIED), to, message }.encode()
}

fn arp_frame(own: Mac, sender: Ipv4Addr, to: Mac, operation: arp::Operation, target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let (target_mac, target_ip) = target;
    let message = arp::Message {
        destination: to,
        source: own,
        operation,
        sender_mac: own,
        sender_ip: sender,
        target_mac,
        target_ip,
    };
    message.encode()
}
