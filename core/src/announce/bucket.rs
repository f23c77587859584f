//! Token buckets: at most so many a second, with a burst.

use std::time::{Duration, Instant};

/// Allows a burst at once, and then a steady rate. In any span of time no more pass than the burst plus what the rate
/// gives for that span.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    interval: Duration,
    /// How much earlier than the steady rate one may come: all of the burst but the one that is due.
    tolerance: Duration,
    /// When the bucket will be full, less one; `None` while nothing has been taken.
    next: Option<Instant>,
}

impl Bucket {
    /// A full bucket: one token per interval, `burst` (at least 1) of them at once.
    pub const fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, tolerance: interval.saturating_mul(burst.saturating_sub(1)), next: None }
    }

    /// When a token will be there: `now` if there is one.
    pub fn ready_at(&self, now: Instant) -> Instant {
        let ready = self.next.and_then(|next| next.checked_sub(self.tolerance));
        ready.map_or(now, |ready| ready.max(now))
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let taken = self.ready_at(now) <= now;
        if taken {
            let next = self.next.map_or(now, |next| next.max(now));
            self.next = Some(next.checked_add(self.interval).unwrap_or(next));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let mut bucket = Bucket::new(Duration::from_millis(5), 50);
        let now = start();
        assert_eq!((0..100).filter(|_| bucket.take(now)).count(), 50);
        let later = bucket.ready_at(now);
        assert_eq!(later - now, Duration::from_millis(5));
        assert!(bucket.take(later));
        assert!(!bucket.take(later));
    }

    proptest! {
        #[test]
        fn no_span_of_time_lets_more_pass_than_burst_and_rate(
            burst in 1..20_u32,
            waits in proptest::collection::vec(0..30_u64, 1..200),
        ) {
            let interval = Duration::from_millis(10);
            let mut bucket = Bucket::new(interval, burst);
            let mut now = start();
            let mut passed = Vec::new();
            for wait in waits {
                now += Duration::from_millis(wait);
                if bucket.take(now) {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, until) in passed.iter().enumerate().skip(first) {
                    let allowed = u128::from(burst) + (*until - *from).as_millis() / interval.as_millis();
                    prop_assert!(((last - first) as u128) < allowed);
                }
            }
        }
    }
}
