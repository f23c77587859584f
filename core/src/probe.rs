//! Asking the wire who has an address (RFC 5227, section 2.1.1; RFC 4862, section 5.4): how often, how far apart, and when
//! silence is an answer.
//!
//! Owns the timing only. Who asks, and what an answer means, is [`crate::member`]'s affair.

use crate::announce::schedule::after;
use std::time::{Duration, Instant};

/// So many questions, and a wait after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    left: u8,
    gap: Duration,
    next: Instant,
}

impl Probe {
    /// How long a probe before an announcement takes. RFC 5227 has three questions one to two seconds apart; a switch and a
    /// host answer within a millisecond, and clients wait.
    pub const SPAN: Duration = Duration::from_millis(100);

    /// Before an announcement: two questions 50 ms apart, the first one now.
    pub const fn new(now: Instant) -> Self {
        Self { left: 2, gap: Duration::from_millis(50), next: now }
    }

    /// Where nobody waits: three questions 200 ms apart, the first one now.
    pub const fn unhurried(now: Instant) -> Self {
        Self { left: 3, gap: Duration::from_millis(200), next: now }
    }

    /// Whether to ask now.
    pub fn asks(&self, now: Instant) -> bool {
        self.left > 0 && self.next <= now
    }

    /// The next question waits until then.
    pub fn postpone(&mut self, until: Instant) {
        self.next = self.next.max(until);
    }

    /// The question that was taken leaves only now: its answer has time from now on.
    pub fn note_departure(&mut self, now: Instant) {
        self.next = self.next.max(after(now, self.gap));
    }

    /// Whether to ask now; that is taken for done.
    pub fn take_question(&mut self, now: Instant) -> bool {
        let asks = self.asks(now);
        if asks {
            self.left = self.left.saturating_sub(1);
            self.next = after(now, self.gap);
        }
        asks
    }

    /// Whether every question has been asked and had time for an answer.
    pub fn is_over(&self, now: Instant) -> bool {
        self.left == 0 && self.next <= now
    }

    /// When there is something to do next.
    pub const fn next_deadline(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;

    #[test]
    fn two_questions_are_asked_and_each_gets_time_for_an_answer() {
        let mut probe = Probe::new(start());
        let mut asked = Vec::new();
        let over = (0..1_000).find(|&millisecond| {
            let now = start() + Duration::from_millis(millisecond);
            if probe.take_question(now) {
                asked.push(millisecond);
            }
            probe.is_over(now)
        });
        assert_eq!((asked, over), (vec![0, 50], Some(100)));
    }

    #[test]
    fn a_question_asked_late_gets_its_time_all_the_same() {
        let mut probe = Probe::new(start());
        assert!(probe.take_question(start()));
        let late = start() + Duration::from_secs(3);
        assert!(probe.take_question(late));
        assert!(!probe.is_over(late));
        assert!(probe.is_over(late + Duration::from_millis(50)));
    }
}
