//! The address plan. Every lab uses the same addresses, each in namespaces of its own; only the link by which the host
//! reaches the API server lies in the host's namespace and differs from lab to lab.
//!
//! All ranges are for documentation (RFC 5737, RFC 3849), benchmarking (RFC 2544) or private use (RFC 1918, RFC 4193).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The switch's subnet.
pub const LAN_V4: &str = "192.0.2.0/24";
/// The switch's IPv6 subnet.
pub const LAN_V6: &str = "2001:db8:1::/64";
/// Addresses on the LAN that no host of the lab has, for address pools.
pub const POOL_V4: &str = "192.0.2.100-192.0.2.250";
/// IPv6 addresses on the LAN that no host of the lab has, for address pools.
pub const POOL_V6: &str = "2001:db8:1::1:0/112";
/// All pods' addresses.
pub const PODS: &str = "10.244.0.0/16,fd44::/48";
/// All ClusterIPs: room for ten thousand Services and more.
pub const SERVICES: &str = "10.96.0.0/14,fd96::/108";
/// Where CoreDNS answers: the tenth service address.
pub const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The API server's ClusterIP: the first service address.
pub(super) const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The port of the API server.
pub(super) const API_PORT: u16 = 6443;

/// The router on the LAN, and behind it.
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The router on the LAN, IPv6.
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
/// The router's address on the client's side.
pub(super) const FAR_ROUTER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(super) const FAR_ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
/// The client behind the router.
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The client behind the router, IPv6.
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2);
/// The client on the LAN.
pub const LAN_CLIENT_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The client on the LAN, IPv6.
pub const LAN_CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
/// The control plane on the management network: the address the API server advertises.
pub(super) const API_V4: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
pub(super) const API_V6: Ipv6Addr = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1);
pub(super) const CLIENT_MGMT_V4: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 2);
pub(super) const CLIENT_MGMT_V6: Ipv6Addr = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 2);

/// The addresses of one node. Nodes count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAddresses {
    number: u8,
}

impl NodeAddresses {
    /// Those of node `number` (1 to [`super::MOST_NODES`]).
    pub fn of(number: u8) -> Self {
        Self { number }
    }

    /// Its address on the LAN, `192.0.2.11` for node 1; its InternalIP.
    pub fn v4(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, 10 + self.number)
    }

    /// Its IPv6 address on the LAN, `2001:db8:1::11` for node 1: the last group reads like IPv4's.
    pub fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, reads_as(10 + u16::from(self.number)))
    }

    /// Both, IPv4 first.
    pub fn both(self) -> [IpAddr; 2] {
        [self.v4().into(), self.v6().into()]
    }

    pub(super) fn mgmt_v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 200, 0, 10 + self.number)
    }

    pub(super) fn mgmt_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, reads_as(10 + u16::from(self.number)))
    }

    /// Its pods' IPv4 range.
    pub fn pods_v4(self) -> String {
        format!("10.244.{}.0/24", self.number)
    }

    /// Its pods' IPv6 range.
    pub fn pods_v6(self) -> String {
        format!("fd44:0:0:{:x}::/64", reads_as(self.number.into()))
    }

    /// Its MAC address on the LAN: `02:00:5e:10:00:NN`, so that frames can be read.
    pub fn mac(self) -> String {
        format!("02:00:5e:10:00:{:02x}", self.number)
    }
}

/// The link between the host and one lab's control plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostLink {
    index: u8,
}

impl HostLink {
    pub(super) fn of(index: u8) -> Self {
        Self { index }
    }

    /// The interface in the host's namespace.
    pub(super) fn interface(self) -> String {
        format!("herald-lab{}", self.index)
    }

    pub(super) fn host(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.index, 1)
    }

    pub(super) fn control_plane(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.index, 2)
    }
}

/// The number whose hexadecimal digits read like `decimal`.
fn reads_as(decimal: u16) -> u16 {
    let (hundreds, tens, ones) = (decimal / 100 % 10, decimal / 10 % 10, decimal % 10);
    hundreds << 8 | tens << 4 | ones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_of_a_node_end_in_the_same_digits() {
        let node = NodeAddresses::of(23);
        assert_eq!(node.v4().to_string(), "192.0.2.33");
        assert_eq!(node.v6().to_string(), "2001:db8:1::33");
        assert_eq!(node.pods_v6(), "fd44:0:0:23::/64");
    }

    #[test]
    fn no_range_overlaps_another() {
        let links = ["198.51.100.0/24", "198.18.0.0/16", "10.200.0.0/24", "2001:db8:2::/64", "fd99::/64"];
        let ranges = [LAN_V4, LAN_V6].into_iter().chain(PODS.split(',')).chain(SERVICES.split(',')).chain(links);
        let ranges: Vec<ipnet::IpNet> = ranges.map(|range| range.parse().unwrap()).collect();
        for (index, one) in ranges.iter().enumerate() {
            for other in &ranges[..index] {
                assert!(!one.contains(other) && !other.contains(one), "{one} overlaps {other}");
            }
        }
        assert!(ranges.iter().any(|range| range.contains(&IpAddr::from(API_V4))));
    }

    #[test]
    fn the_last_node_ends_before_the_pools_begin() {
        let last = NodeAddresses::of(super::super::MOST_NODES).v4();
        let pool: Ipv4Addr = POOL_V4.split('-').next().unwrap().parse().unwrap();
        assert!(last < pool, "{last} is not below {pool}");
    }
}
