//! The clocks of the nodes: each started at another time and runs a little too fast or too slow.

use std::time::{Duration, Instant};

use super::chance::Chance;

/// How wrong a clock may run, in millionths: ten times what a bad crystal does.
const MOST: usize = 1000;

/// One node's monotonic clock. Its times mean nothing to others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// Nanoseconds that it counts in a millisecond of true time, beyond a million.
    drift: i64,
}

impl Clock {
    pub(super) fn new(epoch: Instant, chance: &mut Chance) -> Self {
        let drift = i64::try_from(chance.below(2 * MOST + 1)).unwrap_or(0) - 1000;
        Self { origin: epoch + chance.between(Duration::from_secs(1), Duration::from_hours(24)), drift }
    }

    /// What it says at a true time.
    pub(super) fn at(&self, time: Duration) -> Instant {
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(0);
        let shown = nanos + nanos * i128::from(self.drift) / 1_000_000;
        self.origin + Duration::from_nanos(u64::try_from(shown).unwrap_or(0))
    }

    /// The true time at which it says that; never earlier.
    pub(super) fn when(&self, shown: Instant) -> Duration {
        let nanos = i128::try_from(shown.saturating_duration_since(self.origin).as_nanos()).unwrap_or(0);
        let time = nanos * 1_000_000 / (1_000_000 + i128::from(self.drift)) + 1;
        Duration::from_nanos(u64::try_from(time).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a clock needs a time to start from")]
    fn a_wrong_clock_still_finds_the_true_time() {
        let epoch = Instant::now();
        for seed in 0..100 {
            let clock = Clock::new(epoch, &mut Chance::new(seed));
            for millis in [0, 1, 999, 3_600_000] {
                let time = Duration::from_millis(millis);
                let found = clock.when(clock.at(time));
                assert!(found >= time && found < time + Duration::from_nanos(10), "seed {seed}: {time:?}, {found:?}");
            }
        }
    }
}
