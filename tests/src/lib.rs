//! The lab, end-to-end scenarios and benchmarks.

pub mod artifacts;
pub mod invariants;
pub mod lab;
pub mod scenario;
pub mod simulation;
pub mod suite;
