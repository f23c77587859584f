//! How often a VIP is announced again because another station claims it too.

use super::schedule::after;
use std::time::{Duration, Instant};

/// Long enough after the rival's frame that ours comes last, also where the rival sends two.
const REACTION: Duration = Duration::from_millis(30);

/// Between two defences. RFC 5227 has DEFEND_INTERVAL 10 s; nodes of one cluster settle their differences faster.
const INTERVAL: Duration = Duration::from_secs(1);

/// So many defences, and then none until the rival has been quiet for [`QUIET`]: an address is not fought for without end.
const AT_MOST: u8 = 3;

/// The rival is thought to have given up.
const QUIET: Duration = Duration::from_secs(10);

/// Between two reports of a rival.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The state of one VIP's defence on one interface.
#[derive(Debug, Default)]
pub(crate) struct Defence {
    made: u8,
    last: Option<Instant>,
    heard: Option<Instant>,
    reported: Option<Instant>,
    due: Option<Instant>,
}

impl Defence {
    /// A rival was heard. Returns when to announce again, if that is newly planned.
    pub(crate) fn handle_rival(&mut self, now: Instant) -> Option<Instant> {
        if is_past(self.heard, QUIET, now) {
            self.made = 0;
        }
        self.heard = Some(now);
        if self.due.is_some() || self.made >= AT_MOST {
            return None;
        }
        let soonest = after(now, REACTION);
        let due = self.last.map_or(soonest, |last| after(last, INTERVAL).max(soonest));
        self.due = Some(due);
        self.due
    }

    /// Whether the VIP is to be announced again now because of the plan; the plan is then done.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
            self.last = Some(now);
            self.made = self.made.saturating_add(1);
        }
        is_due
    }

    /// Whether the rival should be reported now; asked once for each of its frames.
    pub(crate) fn is_news(&mut self, now: Instant) -> bool {
        let news = is_past(self.reported, REPORT_INTERVAL, now);
        if news {
            self.reported = Some(now);
        }
        news
    }
}

/// Whether at least so much time has passed, or it never was.
fn is_past(time: Option<Instant>, span: Duration, now: Instant) -> bool {
    time.is_none_or(|time| now.saturating_duration_since(time) >= span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;

    /// Rival frames at these milliseconds; when is the VIP defended?
    fn defended(rival: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut defence = Defence::default();
        let mut times = Vec::new();
        for heard in rival {
            let now = start() + Duration::from_millis(heard);
            if defence.take_due(now) {
                times.push(heard);
            }
            defence.handle_rival(now);
        }
        times
    }

    #[test]
    fn a_rival_that_never_stops_is_answered_three_times() {
        assert_eq!(defended((0..60_000).step_by(10)), [30, 1_030, 2_030]);
    }

    #[test]
    fn a_rival_that_was_quiet_is_answered_again() {
        let bursts = (0..5_000).step_by(10).chain((20_000..25_000).step_by(10));
        assert_eq!(defended(bursts), [30, 1_030, 2_030, 20_030, 21_030, 22_030]);
    }

    #[test]
    fn reports_come_at_most_once_a_second() {
        let mut defence = Defence::default();
        let news = (0..3_000).step_by(10).filter(|&heard| defence.is_news(start() + Duration::from_millis(heard)));
        assert_eq!(news.collect::<Vec<_>>(), [0, 1_000, 2_000]);
    }
}
