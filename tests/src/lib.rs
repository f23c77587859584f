//! The lab, end-to-end scenarios and benchmarks.
