//! A member alone on a real wire: frames crafted and taken apart by scapy, neighbour tables kept by real kernels.
//!
//! Test names begin with the number of the item they prove in the project's list of what answering and announcing must do:
//! ARP 1 to 21, neighbour discovery 22 to 32. Each test has namespaces of its own. Exact schedule times and all that takes
//! longer than some seconds are proven in virtual time beside the code, in `herald_core::announce`.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/speaker.rs"]
mod speaker;

mod arp;
mod arp_announcing;
mod interfaces;
mod load;
mod ndp;
mod ndp_groups;
mod site;
