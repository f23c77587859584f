//! Who is who on the simulated segment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_core::names::NodeName;

/// Of the IPv4 subnet 198.18.0.0/16.
pub(super) const PREFIX_V4: u8 = 16;
/// Of the IPv6 subnet 2001:db8::/64.
pub(super) const PREFIX_V6: u8 = 64;

/// Kinds of stations, which tell their addresses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gateway = 0,
    Node = 1,
    Vip = 2,
    Client = 3,
    Stranger = 4,
}

/// A station's Ethernet address.
pub(super) const fn mac(kind: Kind, number: usize) -> MacAddr {
    let [high, low] = bytes(number);
    MacAddr([2, 0, 0x5e, kind as u8, high, low])
}

/// A station's IPv4 address: up to 250 of each kind.
pub(super) const fn v4(kind: Kind, number: usize) -> Ipv4Addr {
    let [_, low] = bytes(number + 1);
    Ipv4Addr::new(198, 18, kind as u8, low)
}

/// A station's IPv6 address.
pub(super) fn v6(kind: Kind, number: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, kind as u16, u16::from_be_bytes(bytes(number + 1)))
}

/// A station's link-local IPv6 address.
pub(super) fn link_local(kind: Kind, number: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, kind as u16, u16::from_be_bytes(bytes(number + 1)))
}

/// VIPs are IPv4 and IPv6 in turn.
pub(super) fn vip(number: usize) -> Vip {
    let address = if number.is_multiple_of(2) {
        IpAddr::V4(v4(Kind::Vip, number / 2))
    } else {
        IpAddr::V6(v6(Kind::Vip, number / 2))
    };
    Vip::new(address).expect("a global unicast address")
}

pub(super) fn node_name(number: usize) -> NodeName {
    NodeName::new(format!("node-{number}"))
}

#[expect(clippy::cast_possible_truncation, reason = "there are fewer stations than that")]
const fn bytes(number: usize) -> [u8; 2] {
    (number as u16).to_be_bytes()
}
