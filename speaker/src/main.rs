//! `herald-speaker`.

fn main() {}
