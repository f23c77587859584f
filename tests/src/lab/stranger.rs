//! A machine on the LAN that is none of the cluster's and has an address it should not have.

use std::fs;
use std::net::IpAddr;

use anyhow::Result;

use super::Lab;
use super::room::netns_name;
use super::topology::{LAN_INTERFACE, STRANGER, ip};

/// The stranger's Ethernet address.
pub const STRANGER_MAC: &str = "02:00:5e:10:ff:01";

impl Lab {
    /// The stranger gets this address: it says so to all at once, as hosts do that come up, and its kernel answers whoever
    /// asks for the address.
    pub fn let_stranger_have(&self, address: IpAddr) -> Result<()> {
        self.silence_stranger()?;
        let (prefix, nodad) = if address.is_ipv4() { (24, "") } else { (64, " nodad") };
        self.host(STRANGER)?.within(|| {
            fs::write(format!("/proc/sys/net/ipv4/conf/{LAN_INTERFACE}/arp_notify"), "1")?;
            fs::write(format!("/proc/sys/net/ipv6/conf/{LAN_INTERFACE}/ndisc_notify"), "1")
        })??;
        // The kernel tells its addresses when its Ethernet address is set, be it the same. (It also does when the link comes
        // up, but then the switch does not forward yet.)
        let batch = format!(
            "addr add {address}/{prefix} dev {LAN_INTERFACE}{nodad}\nlink set {LAN_INTERFACE} address {STRANGER_MAC}\n"
        );
        ip(&["-n", &netns_name(self.name(), STRANGER)], &batch)
    }

    /// The stranger has no address any more, and is silent.
    pub fn silence_stranger(&self) -> Result<()> {
        ip(&["-n", &netns_name(self.name(), STRANGER)], &format!("addr flush dev {LAN_INTERFACE}\n"))
    }
}
