//! The speaker: answers ARP and NDP for VIPs and steers their traffic.

pub mod admin;
pub mod args;
pub mod duties;
pub mod intake;
pub mod picture;
pub mod report;
pub mod steering;
