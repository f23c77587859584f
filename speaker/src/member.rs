//! Carries out on real sockets what [`herald_core::member`] decides.
mod batch;
mod beat;
mod clocks;
pub(crate) mod groups;
mod packet;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;


/// Why the member can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The capability is missing.
    #[error("packet sockets are not permitted: the speaker needs the capability NET_RAW to answer ARP and NDP")]
    NotPermitted(#[source] std::io::Error),
    /// The kernel has none.
    #[error("the kernel gives no packet socket (CONFIG_PACKET), without which ARP and NDP can't be answered")]
    Unsupported(#[source] std::io::Error),
    /// No thread or event loop.
    #[error("starting the member's thread")]
    Thread(#[source] std::io::Error),
}
