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
