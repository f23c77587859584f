//! VIPs and served ports as keys of the table's sets, and back.

use super::guard::{PORTS, VIPS, elements};
use herald_core::address::{Family as AddressFamily, Vip};
use herald_core::service::{Protocol, ServicePort};
use herald_core::steering::Elements;
use herald_wire::nft::{self, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn family_of(vip: Vip) -> Family {
    match vip.family() {
        AddressFamily::V4 => Family::Ip,
        AddressFamily::V6 => Family::Ip6,
    }
}

const fn number_of(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

fn vip_key(vip: Vip) -> Vec<u8> {
    match vip.address() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Address, protocol and port, each padded to four bytes.
fn port_key((vip, port): (Vip, ServicePort)) -> Vec<u8> {
    let [high, low] = port.port.to_be_bytes();
    [vip_key(vip), vec![number_of(port.protocol), 0, 0, 0, high, low, 0, 0]].concat()
}

fn read_vip(key: &[u8]) -> Option<Vip> {
    let address = match key.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(key).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(key).ok()?)),
    };
    Vip::new(address).ok()
}

fn read_port(key: &[u8]) -> Option<(Vip, ServicePort)> {
    let (address, [number, 0, 0, 0, high, low, 0, 0]) = key.split_last_chunk::<8>()? else { return None };
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|it| number_of(*it) == *number)?;
    Some((read_vip(address)?, ServicePort { protocol, port: u16::from_be_bytes([*high, *low]) }))
}

/// The sets' elements for one family. Ports come before addresses, the order in which an observer between two batches
/// would want them.
pub(super) fn write(family: Family, all: &Elements) -> impl Iterator<Item = nft::Elements> {
    let ports = all.ports.iter().filter(|(vip, _)| family_of(*vip) == family).map(|port| port_key(*port));
    let vips = all.vips.iter().filter(|vip| family_of(**vip) == family).map(|vip| vip_key(*vip));
    let sets = [elements(family, PORTS, ports.collect()), elements(family, VIPS, vips.collect())];
    sets.into_iter().filter(|set| !set.keys.is_empty())
}

/// Adds the keys of a set to the elements; `false` if one of them can't have been written by us. The others are added.
pub(super) fn read(set: &nft::Elements, into: &mut Elements) -> bool {
    let mut ours = true;
    for key in &set.keys {
        let read = match set.set.as_str() {
            VIPS => read_vip(key).map(|vip| into.vips.insert(vip)),
            PORTS => read_port(key).map(|port| into.ports.insert(port)),
            _ => None,
        };
        ours &= read.is_some();
    }
    ours
}
