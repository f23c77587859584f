//! The guard in real kernels' hands: programmed in network namespaces, shown by `nft`, tried with real packets.
//!
//! Needs root, `nftables`, `iproute2`, `tcpdump`, `iputils-ping`, `util-linux` and `python3-scapy`.

mod behaviour;
mod capture;
mod lacking;
mod leaks;
mod program;
mod site;
mod table;

#[path = "../support/mod.rs"]
mod support;
