//! Between frames on the wire and what the core speaks of.

use herald_core::announce::{Claim, Frame, Heard, Question};
use herald_core::mac::MacAddr;
use herald_wire::ethernet::{self, BROADCAST, DecodeError, Mac};
use herald_wire::{arp, icmp, ndp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const NOBODY: Mac = [0; 6];

/// What was heard.
pub(super) enum Sound {
    /// Address resolution.
    Resolution(Heard),
    /// A kernel's answer to an echo request of ours.
    Echo {
        /// Who answers.
        from: IpAddr,
        /// Where it came from.
        mac: MacAddr,
    },
}

/// Reads a frame. An ARP sender address that no host can have is as good as none.
pub(super) fn heard(frame: &[u8]) -> Result<Sound, DecodeError> {
    if icmp::is_echo(frame) {
        return icmp::Echo::decode(frame).map(|echo| Sound::Echo { from: echo.from, mac: MacAddr(echo.source) });
    }
    Ok(Sound::Resolution(match ethernet::Frame::decode(frame)? {
        ethernet::Frame::Arp(message) => heard_arp(&message),
        ethernet::Frame::Neighbor(packet) => heard_neighbor(&packet),
    }))
}

fn heard_arp(message: &arp::Message) -> Heard {
    let mac = MacAddr(message.sender_mac);
    let sender = message.sender_ip;
    let is_host = !(sender.is_unspecified() || sender.is_multicast() || sender.is_broadcast() || sender.is_loopback());
    let sender = is_host.then_some(IpAddr::V4(message.sender_ip));
    let unasked = message.operation == arp::Operation::Request || message.sender_ip == message.target_ip;
    let asks = message.operation == arp::Operation::Request && (is_host || message.sender_ip.is_unspecified());
    Heard {
        source: MacAddr(message.source),
        directed: MacAddr(message.destination).is_station(),
        claim: sender.map(|address| Claim { address, mac, unasked }),
        question: asks.then_some(Question { target: IpAddr::V4(message.target_ip), asker: sender, mac }),
    }
}

fn heard_neighbor(packet: &ndp::Packet) -> Heard {
    let source = MacAddr(packet.source);
    let directed = MacAddr(packet.destination).is_station();
    match packet.message {
        ndp::Message::Solicitation { target, source_link } => {
            let mac = source_link.map_or(source, MacAddr);
            let asker = (!packet.from.is_unspecified()).then_some(IpAddr::V6(packet.from));
            Heard {
                source,
                directed,
                claim: asker.map(|address| Claim { address, mac, unasked: true }),
                question: Some(Question { target: IpAddr::V6(target), asker, mac }),
            }
        }
        ndp::Message::Advertisement { target, target_link, solicited, overriding, .. } => {
            let mac = target_link.map_or(source, MacAddr);
            let claim = Claim { address: IpAddr::V6(target), mac, unasked: overriding && !solicited };
            Heard { source, directed, claim: Some(claim), question: None }
        }
    }
}

/// A frame as bytes, from this MAC address.
pub(super) fn encode(frame: &Frame, MacAddr(mac): MacAddr) -> Vec<u8> {
    let gratuitous = |vip, operation, target_mac| arp_frame(mac, vip, BROADCAST, operation, target_mac, vip);
    match *frame {
        Frame::ArpReply { vip, asker, to: MacAddr(to) } => arp_frame(mac, vip, to, arp::Operation::Reply, to, asker),
        Frame::GratuitousRequest { vip } => gratuitous(vip, arp::Operation::Request, NOBODY),
        Frame::GratuitousReply { vip } => gratuitous(vip, arp::Operation::Reply, mac),
        Frame::DirectedRequest { vip, target, to: MacAddr(to) } => {
            arp_frame(mac, vip, to, arp::Operation::Request, NOBODY, target)
        }
        Frame::Advertisement { vip, from, asker, to: MacAddr(to) } => advertisement(mac, vip, from, (to, asker), true),
        Frame::ProbeAnswer { vip, from } | Frame::UnsolicitedAdvertisement { vip, from } => {
            advertisement(mac, vip, from, (ndp::multicast_mac(ndp::ALL_NODES), ndp::ALL_NODES), false)
        }
        Frame::DirectedSolicitation { vip, target } => {
            let to = ndp::solicited_node_group(target);
            let message = ndp::Message::Solicitation { target, source_link: Some(mac) };
            ndp::Packet { destination: ndp::multicast_mac(to), source: mac, from: vip, to, message }.encode()
        }
    }
}

fn arp_frame(
    mac: Mac,
    vip: Ipv4Addr,
    destination: Mac,
    operation: arp::Operation,
    target_mac: Mac,
    target_ip: Ipv4Addr,
) -> Vec<u8> {
    let message =
        arp::Message { destination, source: mac, operation, sender_mac: mac, sender_ip: vip, target_mac, target_ip };
    message.encode()
}

/// The router flag is never set: all nodes say the same, and a VIP is nobody's way out.
fn advertisement(mac: Mac, vip: Ipv6Addr, from: Ipv6Addr, to: (Mac, Ipv6Addr), solicited: bool) -> Vec<u8> {
    let message =
        ndp::Message::Advertisement { target: vip, router: false, solicited, overriding: true, target_link: Some(mac) };
    ndp::Packet { destination: to.0, source: mac, from, to: to.1, message }.encode()
}

/// What a frame is, as a metric's label.
pub(super) const fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::ArpReply { .. } => "arp_reply",
        Frame::GratuitousRequest { .. } => "gratuitous_request",
        Frame::GratuitousReply { .. } => "gratuitous_reply",
        Frame::DirectedRequest { .. } => "directed_request",
        Frame::Advertisement { .. } | Frame::ProbeAnswer { .. } => "solicited_advertisement",
        Frame::UnsolicitedAdvertisement { .. } => "unsolicited_advertisement",
        Frame::DirectedSolicitation { .. } => "directed_solicitation",
    }
}
