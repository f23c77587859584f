//! The speaker: answers ARP and NDP for VIPs and steers their traffic.
//!
//! | question | module |
//! |---|---|
//! | what does it know of the cluster? | [`intake`], [`state_file`], [`picture`] |
//! | what holds for all speakers? | [`settings`] |
//! | what is said and heard on the wire, and who has which address? | [`member`], and `herald_core::member` for the rules |
//! | what came of it? | [`situation`], [`health`], [`namesake`] |
//! | in which order is it done? | [`driver`] |
//! | what does this node have and how is it? | [`links`], [`kube_proxy`] |
//! | what does the kernel do with packets? | [`steering`], [`guard`] |
//! | what is written to the API server? | [`report`], [`transitions`], [`events`] |
//! | how is it started and watched? | [`app`], [`args`], [`admin`], [`metrics`] |

pub mod admin;
pub mod app;
pub mod args;
pub mod driver;
pub mod events;
pub mod guard;
pub mod health;
pub mod intake;
pub mod kube_proxy;
pub mod links;
pub mod member;
pub mod metrics;
pub mod namesake;
pub mod picture;
pub mod probes;
pub mod report;
pub mod settings;
pub mod situation;
pub mod state_file;
pub mod steering;
pub mod transitions;
