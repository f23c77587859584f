//! A network interface of this node as announcement and ownership see it.

use crate::address::Vip;
use crate::mac::MacAddr;
use crate::names::{IfIndex, InterfaceName};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// One Ethernet interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: IfIndex,
    /// Its name.
    pub name: InterfaceName,
    /// The MAC address it sends from now.
    pub mac: MacAddr,
    /// Administratively up, and the cable (or its like) has a signal.
    pub carrier: bool,
    /// The node's own addresses on it with their prefix lengths, host bits kept; link-local ones left out.
    pub addresses: BTreeSet<IpNet>,
    /// Its IPv6 link-local address, once duplicate address detection has passed.
    pub link_local: Option<Ipv6Addr>,
    /// Next hops of routes through it.
    pub gateways: BTreeSet<IpAddr>,
}

impl Link {
    /// Whether one of the interface's subnets holds the address.
    pub fn has_subnet_of(&self, vip: Vip) -> bool {
        self.addresses.iter().any(|net| net.contains(&vip.address()))
    }
}

/// All Ethernet interfaces of this node.
pub type Links = BTreeMap<IfIndex, Link>;
