//! `heraldctl`, also `kubectl herald`.

fn main() {}
