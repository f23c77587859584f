//! What Herald decides, as pure functions and state machines that are told the time: no I/O, no clock, no async,
//! no Kubernetes types.
//!
//! | question | module |
//! |---|---|
//! | what may stand in a pool, and is an address in it? | [`address`], [`pool`] |
//! | which address does a Service get, or why none? | [`allocation`] |
//! | which nodes are alive? | [`liveness`] |
//! | who has claimed which address? | [`claims`] |
//! | which node announces an address? | [`ownership`] |
//! | what does this node do about an address, moment by moment? | [`member`] |
//! | which node should an address be on, for balance? | [`balance`] |
//! | who has an address, according to the wire? | [`probe`] |
//! | what does a takeover send, and when? | [`announce`] |
//! | what does the kernel do with packets to an address? | [`steering`] |
//! | what is the difference between what is and what should be? | [`diff`] |

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::panic,
        clippy::expect_used
    )
)]

pub mod address;
pub mod allocation;
pub mod announce;
pub mod balance;
pub mod claims;
pub mod diff;
pub mod link;
pub mod liveness;
pub mod mac;
pub mod member;
pub mod names;
pub mod ownership;
pub mod pool;
pub mod probe;
pub mod selector;
pub mod service;
pub mod steering;
pub(crate) mod tenure;
