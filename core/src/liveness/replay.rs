//! Which messages were there before, and which of our own are recent: sequence numbers on both ways.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The sequence numbers heard from one life of a peer. One that was there before, or is more than 63 behind the highest,
/// is refused: a replayed message proves nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest - n` was heard.
    heard: u64,
}

impl Window {
    pub(super) const fn new(first: u64) -> Self {
        Self { highest: first, heard: 1 }
    }

    pub(super) const fn highest(self) -> u64 {
        self.highest
    }

    /// Takes note of a number; false when it was there before or is too old to tell.
    pub(super) fn admit(&mut self, sequence: u64) -> bool {
        if let Some(ahead) = sequence.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.heard = u32::try_from(ahead).ok().and_then(|ahead| self.heard.checked_shl(ahead)).unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let behind = u32::try_from(self.highest.saturating_sub(sequence)).ok();
        let Some(bit) = behind.and_then(|behind| 1_u64.checked_shl(behind)) else { return false };
        let new = self.heard & bit == 0;
        self.heard |= bit;
        new
    }
}

/// The sequence numbers given to messages to one peer, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    last: u64,
    /// At this time, the first message that had this number; the oldest first. Half a beat apart at least.
    marks: VecDeque<(Instant, u64)>,
}

impl Sent {
    /// More than half beats of the longest patience there is (8 beats).
    const MARKS: usize = 24;

    /// The number of the next message.
    pub(super) fn number(&mut self, now: Instant, beat: Duration) -> u64 {
        self.last = self.last.saturating_add(1);
        let half = beat.checked_div(2).unwrap_or(beat);
        if self.marks.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= half) {
            if self.marks.len() >= Self::MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back((now, self.last));
        }
        self.last
    }

    /// Whether a message was sent after a time.
    pub(super) fn is_since(&self, sequence: u64, time: Instant) -> bool {
        let first = self.marks.iter().find(|(at, _)| *at >= time);
        sequence <= self.last && first.is_some_and(|(_, first)| sequence >= *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liveness::tests::epoch;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_number_is_admitted_once_and_never_when_64_behind(numbers in proptest::collection::vec(1..200_u64, 1..300)) {
            let mut window = Window::new(numbers[0]);
            let mut seen = BTreeSet::from([numbers[0]]);
            for number in &numbers[1..] {
                let highest = *seen.last().unwrap();
                let expected = !seen.contains(number) && number + 64 > highest;
                prop_assert_eq!(window.admit(*number), expected, "{} after {:?}", number, seen);
                seen.insert(*number);
                prop_assert_eq!(window.highest(), *seen.last().unwrap());
            }
        }
    }

    #[test]
    fn a_leap_forgets_what_was_before_and_nothing_overflows() {
        let mut window = Window::new(1);
        assert!(window.admit(u64::MAX));
        assert!(!window.admit(1));
        assert!(!window.admit(u64::MAX));
        assert!(window.admit(u64::MAX - 63));
        assert!(!window.admit(u64::MAX - 64));
    }

    #[test]
    fn a_number_is_recent_when_it_was_given_after_that_time() {
        let (start, beat) = (epoch(), Duration::from_millis(100));
        let mut sent = Sent::default();
        for n in 0..100 {
            assert_eq!(sent.number(start + beat * n, beat), u64::from(n) + 1);
        }
        let at = |n: u32| start + beat * n;
        assert!(sent.is_since(96, at(95)));
        assert!(!sent.is_since(95, at(95)));
        assert!(!sent.is_since(101, at(95)), "never sent");
        assert!(!sent.is_since(100, at(100)), "nothing was sent since");
    }
}
