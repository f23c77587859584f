//! Network namespaces, cables and switches for tests, and programs run inside them.
//!
//! Needs root and the programs that are named when they are missing. Everything made here disappears with its value:
//! a namespace lives as long as the process holds it, a program is ended when its handle is dropped.

#![allow(dead_code, reason = "every test binary uses a part of it")]

pub(crate) mod lan;
pub(crate) mod namespace;
pub(crate) mod station;

use std::time::{Duration, Instant};

/// The monotonic clock, for deadlines of tests.
#[expect(clippy::disallowed_methods, reason = "a test that waits for the kernel reads the kernel's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again and again until there is an answer; `what` says what was awaited and `seen` what was there instead.
///
/// # Panics
/// When `within` has passed.
pub(crate) fn eventually<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = now() + within;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(seen) => assert!(now() < deadline, "{what}: not within {within:?}; seen instead: {seen}"),
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
