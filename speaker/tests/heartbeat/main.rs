//! Members of a cluster on a real wire: threads and processes with real sockets in network namespaces, judged by the frames
//! that a client on the same switch sees.
//!
//! What a member makes of each message and silence is proven in virtual time, in `herald_core`; here it is the way there and
//! back: sockets, the kernel's refusals and answers, clocks, a thread that stands still.
//!
//! Needs root, `iproute2`, `nftables`, `iputils-ping`, `faketime` and `python3-scapy`.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/speaker.rs"]
mod speaker;

mod beats;
mod clocks;
mod deaths;
mod hostile;
mod processes;
mod site;
