//! How often a VIP is announced again because another station claims it too.

use super::schedule::after;
use std::time::{Duration, Instant};

/// Long enough after the rival's frame that ours comes last, also where the rival sends two.
const REACTION: Duration = Duration::from_millis(30);

/// Between two defences. RFC 5227 has DEFEND_INTERVAL 10 s; nodes of one cluster settle their differences faster.
const INTERVAL: Duration = Duration::from_secs(1);

/// The defence is put off in steps no smaller than this, however fast the rival's frames follow each other.
const STEP: Duration = Duration::from_millis(5);

/// However many frames the rival sends, ours doesn't wait longer than this after its first one.
const LATEST: Duration = Duration::from_millis(100);

/// Who claims a VIP that is owned here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    /// Another node of the cluster.
    Member,
    /// Anybody else.
    Stranger,
}

impl Rival {
    /// So many defences, and then none until the rival has been quiet for [`QUIET`]: an address is not fought for without
    /// end. A member gives in as soon as it knows better; a stranger doesn't know.
    const fn at_most(self) -> u8 {
        match self {
            Self::Member => 3,
            Self::Stranger => 1,
        }
    }
}

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
    /// When the defence was planned, and when it is due.
    planned: Option<Instant>,
    due: Option<Instant>,
}

impl Defence {
    /// A rival was heard. Returns when to announce again, if that is planned newly or anew.
    pub(crate) fn handle_rival(&mut self, rival: Rival, now: Instant) -> Option<Instant> {
        if is_past(self.heard, QUIET, now) {
            self.made = 0;
        }
        self.heard = Some(now);
        if self.due.is_none() && self.made >= rival.at_most() {
            return None;
        }
        let planned = *self.planned.get_or_insert(now);
        let soonest = after(now, REACTION).min(after(planned, LATEST));
        let due = self.last.map_or(soonest, |last| after(last, INTERVAL).max(soonest));
        if self.due.is_some_and(|before| due < after(before, STEP)) {
            return None;
        }
        self.due = Some(due);
        self.due
    }

    /// Whether the VIP is to be announced again now because of the plan; the plan is then done.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
            self.planned = None;
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
    fn defended(rival: Rival, frames: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut defence = Defence::default();
        let mut times = Vec::new();
        for heard in frames {
            let now = start() + Duration::from_millis(heard);
            if defence.take_due(now) {
                times.push(heard);
            }
            defence.handle_rival(rival, now);
        }
        times
    }

    #[test]
    fn a_member_that_never_stops_is_answered_three_times() {
        assert_eq!(defended(Rival::Member, (0..60_000).step_by(10)), [100, 1_100, 2_100]);
    }

    #[test]
    fn a_stranger_is_answered_once() {
        assert_eq!(defended(Rival::Stranger, (0..60_000).step_by(10)), [100]);
    }

    #[test]
    fn the_answer_comes_soon_after_the_rivals_last_frame() {
        let mut defence = Defence::default();
        let due = [0, 20, 40].map(|at| defence.handle_rival(Rival::Member, start() + Duration::from_millis(at)));
        assert_eq!(due, [30, 50, 70].map(|at| Some(start() + Duration::from_millis(at))));
    }

    #[test]
    fn a_rival_that_was_quiet_is_answered_again() {
        let bursts = (0..5_000).step_by(10).chain((20_000..25_000).step_by(10));
        assert_eq!(defended(Rival::Member, bursts), [100, 1_100, 2_100, 20_100, 21_100, 22_100]);
    }

    #[test]
    fn reports_come_at_most_once_a_second() {
        let mut defence = Defence::default();
        let news = (0..3_000).step_by(10).filter(|&heard| defence.is_news(start() + Duration::from_millis(heard)));
        assert_eq!(news.collect::<Vec<_>>(), [0, 1_000, 2_000]);
    }
}
