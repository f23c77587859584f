//! The speaker: answers ARP and NDP for VIPs and steers their traffic.

pub mod admin;
pub mod args;
pub mod intake;
