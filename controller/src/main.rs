//! `herald-controller`.

fn main() {}
