//! Both clocks of the machine, read together: the kernel stamps what it receives with the time of day, and the core counts on
//! one that never jumps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    now: Instant,
    wall: Duration,
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the driver tells the core the time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "compared with the kernel's own timestamps")]
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Clocks {
    /// Reads them. A thread that is put to sleep between the two takes what it received for newer than it is, which accuses
    /// nobody.
    pub(super) fn read() -> Self {
        let wall = wall_clock();
        Self { now: now(), wall }
    }

    /// When something stamped so arrived. Not before `nothing_waited`, the last time at which nothing was there, and not in
    /// the future, however the time of day has been set meanwhile.
    pub(super) fn arrival(&self, stamp: Option<Duration>, nothing_waited: Instant) -> Instant {
        let age = stamp.map_or(Duration::ZERO, |stamp| self.wall.saturating_sub(stamp));
        self.now.checked_sub(age).map_or(nothing_waited, |arrival| arrival.max(nothing_waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn what_waited_in_the_kernel_is_as_old_as_its_stamp_says() {
        let clocks = Clocks { now: now() + DAY, wall: DAY };
        let age = Duration::from_millis(700);
        let arrival = clocks.arrival(Some(DAY.checked_sub(age).unwrap()), clocks.now.checked_sub(DAY).unwrap());
        assert_eq!(clocks.now.duration_since(arrival), age);
    }

    #[test]
    fn a_time_of_day_that_was_set_forward_makes_nothing_older_than_the_last_look() {
        let clocks = Clocks { now: now() + DAY, wall: DAY * 400 };
        let nothing_waited = clocks.now.checked_sub(Duration::from_millis(30)).unwrap();
        assert_eq!(clocks.arrival(Some(DAY), nothing_waited), nothing_waited);
    }

    #[test]
    fn a_time_of_day_that_was_set_back_makes_nothing_come_from_the_future() {
        let clocks = Clocks { now: now() + DAY, wall: DAY };
        assert_eq!(clocks.arrival(Some(DAY * 2), clocks.now.checked_sub(DAY).unwrap()), clocks.now);
        assert_eq!(clocks.arrival(None, clocks.now.checked_sub(DAY).unwrap()), clocks.now);
    }
}
