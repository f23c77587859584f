use super::*;
use std::sync::OnceLock;

/// The beginning of virtual time.
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock; tests count from it")]
pub(super) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}
