//! How often an address may be moved without need: fabrics with EVPN take one that moves five times in 180 s for a
//! duplicate and block it.

use crate::announce::schedule::after;
use std::time::{Duration, Instant};

/// So many moves within [`SPAN`] and no more.
const MOST: usize = 3;
const SPAN: Duration = Duration::from_mins(3);
/// What follows is held down so long, and twice as long the next time, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(5);

/// The moves of one address. It counts all of them and delays only those that need not be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damper {
    /// The latest, oldest first; `None` while there was none, which spares the memory for most addresses.
    moves: Option<Box<[Option<Instant>; MOST]>>,
    held_until: Option<Instant>,
    hold: Option<Duration>,
}

impl Damper {
    /// The address has changed nodes.
    pub(crate) fn note(&mut self, now: Instant) {
        let moves = self.moves.get_or_insert_default();
        moves.rotate_left(1);
        if let Some(last) = moves.last_mut() {
            *last = Some(now);
        }
    }

    /// When the next elective move may begin: now, or later.
    pub(crate) fn next(&mut self, now: Instant) -> Instant {
        if let Some(until) = self.held_until.filter(|until| now < *until) {
            return until;
        }
        let is_recent = |time: &Option<Instant>| time.is_some_and(|time| now.saturating_duration_since(time) < SPAN);
        if !self.moves.as_ref().is_some_and(|moves| moves.iter().all(is_recent)) {
            if self.held_until.is_some_and(|until| now.saturating_duration_since(until) >= SPAN) {
                (self.held_until, self.hold) = (None, None);
            }
            return now;
        }
        // The hold-down begins with the wish that comes too often; it may end later than the moves have aged.
        let hold = self.hold.map_or(FIRST, |hold| hold.saturating_mul(2).min(LONGEST));
        self.hold = Some(hold);
        let oldest = self.moves.as_ref().and_then(|moves| moves.iter().flatten().min().copied());
        let until = oldest.map_or(now, |oldest| after(oldest, SPAN)).max(after(now, hold));
        self.held_until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;

    fn at(seconds: u64) -> Instant {
        start() + Duration::from_secs(seconds)
    }

    #[test]
    fn three_moves_in_three_minutes_are_free_and_the_fourth_waits() {
        let mut damper = Damper::default();
        for second in [0, 10, 20] {
            assert_eq!(damper.next(at(second)), at(second));
            damper.note(at(second));
        }
        assert_eq!(damper.next(at(30)), at(180));
        assert_eq!(damper.next(at(100)), at(180), "asking again doesn't prolong it");
        assert_eq!(damper.next(at(180)), at(180));
    }

    #[test]
    fn whoever_goes_on_waits_twice_as_long_each_time() {
        let mut damper = Damper::default();
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..40 {
            let next = damper.next(at(now));
            let wait = (next - at(now)).as_secs();
            if wait > 0 {
                waits.push(wait);
            }
            now += wait;
            damper.note(at(now));
        }
        assert!(waits.iter().all(|wait| *wait <= 300), "{waits:?}");
        assert_eq!(waits.last(), Some(&300), "{waits:?}");
    }

    #[test]
    fn any_three_minutes_hold_three_elective_moves_at_most() {
        let mut damper = Damper::default();
        let mut moves = Vec::new();
        let mut now = at(0);
        while now < at(3_600) {
            now = damper.next(now);
            damper.note(now);
            moves.push(now);
            now += Duration::from_secs(1);
        }
        for (first, time) in moves.iter().enumerate() {
            let within = moves.iter().skip(first).filter(|later| **later - *time < SPAN).count();
            assert!(within <= MOST, "{within} moves within three minutes");
        }
    }
}
