//! The speaker: answers ARP and NDP for VIPs and steers their traffic.
//!
//! | question | module |
//! |---|---|
//! | what does it know of the cluster? | [`intake`], [`picture`] |
//! | what must this node do now? | [`duties`], and `herald_core::ownership` for who owns an address |
//! | in which order is it done? | [`driver`] |
//! | what is said and heard on the wire? | [`announcer`], [`links`], [`heard`] |
//! | what does the kernel do with packets? | [`steering`], [`guard`] |
//! | what is written to the API server? | [`report`] |
//! | how is it started and watched? | [`app`], [`args`], [`admin`], [`metrics`] |

pub mod admin;
pub mod announcer;
pub mod app;
pub mod args;
pub mod driver;
pub mod duties;
pub mod guard;
pub mod heard;
pub mod intake;
pub mod kube_proxy;
pub mod links;
pub mod member;
pub mod metrics;
pub mod picture;
pub mod report;
pub mod state_file;
pub mod steering;
