//! The lab, end-to-end scenarios and benchmarks.

pub mod artifacts;
pub mod lab;
