//! Questions to kernels, as frames.

use herald_core::liveness::{Inquiry, Life};
use herald_core::mac::MacAddr;
use herald_wire::ethernet::{BROADCAST, Mac};
use herald_wire::{arp, icmp, ndp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What makes the questions of this run of the speaker its own.
#[derive(Debug)]
pub(super) struct Questions {
    identifier: u16,
    sequence: u16,
}

impl Questions {
    pub(super) const fn new(Life(life): Life) -> Self {
        let [.., high, low] = life.to_be_bytes();
        Self { identifier: u16::from_be_bytes([high, low]), sequence: 0 }
    }

    /// What echo requests bear, and so their replies.
    pub(super) const fn identifier(&self) -> u16 {
        self.identifier
    }

    /// A question as bytes, from this MAC address. `None`: it can't be asked from this address, or from none.
    pub(super) fn encode(
        &mut self,
        inquiry: &Inquiry,
        MacAddr(source): MacAddr,
        from: Option<IpAddr>,
    ) -> Option<Vec<u8>> {
        match *inquiry {
            Inquiry::Echo { to, mac: MacAddr(destination) } => {
                self.sequence = self.sequence.wrapping_add(1);
                let Self { identifier, sequence } = *self;
                icmp::Echo { destination, source, from: from?, to, identifier, sequence }.encode()
            }
            Inquiry::Resolve { target, mac, probe } => {
                let from = from.filter(|_| !probe);
                let mac = mac.map(|MacAddr(mac)| mac);
                match (target, from) {
                    (IpAddr::V4(target), Some(IpAddr::V4(from))) => Some(request(source, from, target, mac)),
                    (IpAddr::V4(target), None) => Some(request(source, Ipv4Addr::UNSPECIFIED, target, mac)),
                    (IpAddr::V6(target), Some(IpAddr::V6(from))) => Some(solicitation(source, Some(from), target, mac)),
                    (IpAddr::V6(target), None) => Some(solicitation(source, None, target, mac)),
                    _ => None,
                }
            }
        }
    }
}

fn request(source: Mac, sender_ip: Ipv4Addr, target_ip: Ipv4Addr, mac: Option<Mac>) -> Vec<u8> {
    let message = arp::Message {
        destination: mac.unwrap_or(BROADCAST),
        source,
        operation: arp::Operation::Request,
        sender_mac: source,
        sender_ip,
        target_mac: [0; 6],
        target_ip,
    };
    message.encode()
}

/// To one station as reachability is confirmed (RFC 4861, 7.3.3), or to everybody who may have the target; without a sender
/// as duplicate address detection asks (RFC 4862, 5.4.2), which must go to the group.
fn solicitation(source: Mac, from: Option<Ipv6Addr>, target: Ipv6Addr, mac: Option<Mac>) -> Vec<u8> {
    let group = ndp::solicited_node_group(target);
    let to = if mac.is_some() && from.is_some() { target } else { group };
    let message = ndp::Message::Solicitation { target, source_link: from.map(|_| source) };
    let destination = mac.unwrap_or_else(|| ndp::multicast_mac(group));
    ndp::Packet { destination, source, from: from.unwrap_or(Ipv6Addr::UNSPECIFIED), to, message }.encode()
}

/// What a question is, as a metric's label.
pub(super) const fn kind(inquiry: &Inquiry) -> &'static str {
    match inquiry {
        Inquiry::Echo { .. } => "echo_request",
        Inquiry::Resolve { target: IpAddr::V4(_), probe: true, .. } => "arp_probe",
        Inquiry::Resolve { target: IpAddr::V4(_), .. } => "arp_request",
        Inquiry::Resolve { target: IpAddr::V6(_), probe: true, .. } => "duplicate_address_detection",
        Inquiry::Resolve { target: IpAddr::V6(_), .. } => "neighbour_solicitation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herald_wire::ethernet::Frame;

    const SOURCE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn encode(inquiry: Inquiry, from: Option<&str>) -> Option<Vec<u8>> {
        let from = from.map(|from| from.parse().unwrap());
        Questions::new(Life(0x0123_4567_89ab_cdef)).encode(&inquiry, SOURCE, from)
    }

    fn resolve(target: &str, mac: Option<MacAddr>, probe: bool) -> Inquiry {
        Inquiry::Resolve { target: target.parse().unwrap(), mac, probe }
    }

    fn arp(inquiry: Inquiry, from: Option<&str>) -> arp::Message {
        match Frame::decode(&encode(inquiry, from).unwrap()) {
            Ok(Frame::Arp(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn solicited(inquiry: Inquiry, from: Option<&str>) -> ndp::Packet {
        match Frame::decode(&encode(inquiry, from).unwrap()) {
            Ok(Frame::Neighbor(packet)) => packet,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_kernel_is_asked_by_unicast_and_the_segment_by_broadcast() {
        let asked = arp(resolve("192.0.2.2", Some(PEER), false), Some("192.0.2.1"));
        assert_eq!((asked.destination, asked.operation), (PEER.0, arp::Operation::Request));
        assert_eq!((asked.sender_mac, asked.sender_ip.to_string()), (SOURCE.0, "192.0.2.1".to_owned()));
        assert_eq!((asked.target_ip.to_string(), asked.target_mac), ("192.0.2.2".to_owned(), [0; 6]));
        assert_eq!(arp(resolve("192.0.2.2", None, false), Some("192.0.2.1")).destination, BROADCAST);
    }

    #[test]
    fn a_probe_has_no_sender_whatever_addresses_there_are() {
        for from in [None, Some("192.0.2.1")] {
            let probe = arp(resolve("192.0.2.9", None, true), from);
            assert!(probe.sender_ip.is_unspecified());
            assert_eq!(probe.sender_mac, SOURCE.0);
        }
        for from in [None, Some("2001:db8::1")] {
            let probe = solicited(resolve("2001:db8::9", None, true), from);
            assert!(probe.from.is_unspecified());
            assert_eq!(probe.to, ndp::solicited_node_group("2001:db8::9".parse().unwrap()));
            let ndp::Message::Solicitation { source_link, .. } = probe.message else { panic!("{probe:?}") };
            assert_eq!(source_link, None, "RFC 4861, 4.3");
        }
    }

    #[test]
    fn a_neighbour_is_solicited_at_its_address_or_in_its_group() {
        let target = "2001:db8::2";
        let asked = solicited(resolve(target, Some(PEER), false), Some("2001:db8::1"));
        assert_eq!((asked.destination, asked.to.to_string()), (PEER.0, target.to_owned()));
        let group = ndp::solicited_node_group(target.parse().unwrap());
        let asked = solicited(resolve(target, None, false), Some("2001:db8::1"));
        assert_eq!((asked.destination, asked.to), (ndp::multicast_mac(group), group));
    }

    #[test]
    fn echo_requests_bear_the_identifier_that_the_filter_lets_through() {
        let questions = Questions::new(Life(0x0123_4567_89ab_cdef));
        assert_eq!(questions.identifier(), 0xcdef);
        for (from, to, at) in [("192.0.2.1", "192.0.2.2", 38), ("2001:db8::1", "2001:db8::2", 58)] {
            let frame = encode(Inquiry::Echo { to: to.parse().unwrap(), mac: PEER }, Some(from)).unwrap();
            assert_eq!(frame[..6], PEER.0);
            assert_eq!(frame[at..at + 2], [0xcd, 0xef]);
        }
    }

    #[test]
    fn what_can_not_be_asked_from_an_address_is_not_asked() {
        assert_eq!(encode(Inquiry::Echo { to: "192.0.2.2".parse().unwrap(), mac: PEER }, None), None);
        assert_eq!(encode(resolve("192.0.2.2", None, false), Some("2001:db8::1")), None);
    }
}
