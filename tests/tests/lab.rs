//! The lab itself: what it promises to the tests that are played in it.

#[path = "lab/faults.rs"]
mod faults;
#[path = "lab/network.rs"]
mod network;
#[path = "lab/remains.rs"]
mod remains;
#[path = "lab/web.rs"]
mod web;

use herald_tests::lab::{Options, SharedLab};

/// Three nodes and DNS, no Herald.
static LAB: SharedLab = SharedLab::new(|| Options { herald: false, ..Options::named("lab-test") });
