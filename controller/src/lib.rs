//! The controller: gives addresses from pools to Services and writes their status.
//!
//! Watches fill the [`state`]; [`herald_core::allocation`] plans from it what should be; the [`difference`] to what is
//! becomes [`effects`]; the [`executor`] carries them out, and its answers go back into the state. The [`driver`] turns
//! the wheel.

#![forbid(unsafe_code)]

pub mod admin;
pub mod announced;
pub mod args;
pub mod connection;
pub mod difference;
pub mod driver;
pub mod effects;
pub mod events;
pub mod executor;
pub mod intake;
pub mod metrics;
pub mod records;
pub mod start;
pub mod state;
