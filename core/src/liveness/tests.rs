//! The detector in virtual time.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The beginning of virtual time.
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock; tests count from it")]
pub(super) fn epoch() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000))
}
