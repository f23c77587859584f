//! Conditions: how one is set so that its transition time tells when the status last changed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition's status.
pub const fn status(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

/// What a condition should say; without times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Condition type.
    pub type_: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Reason: one CamelCase word.
    pub reason: &'static str,
    /// One sentence for people.
    pub message: String,
}

impl Verdict {
    /// States a condition.
    pub fn new(type_: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, holds, reason, message: message.into() }
    }

    /// Whether the conditions say this already.
    pub fn is_said_by(&self, conditions: &[Condition], generation: Option<i64>) -> bool {
        conditions.iter().any(|condition| {
            condition.type_ == self.type_
                && condition.status == status(self.holds)
                && condition.reason == self.reason
                && condition.message == self.message
                && condition.observed_generation == generation
        })
    }

    /// The condition to write, given those there are: the transition time stays while the status does.
    pub fn condition(&self, conditions: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let status = status(self.holds);
        let since = conditions
            .iter()
            .find(|condition| condition.type_ == self.type_ && condition.status == status)
            .map_or(Time(now), |condition| condition.last_transition_time.clone());
        Condition {
            type_: self.type_.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message.clone(),
            last_transition_time: since,
            observed_generation: generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let [early, late] = [1_000, 2_000].map(|second| Timestamp::from_second(second).unwrap());
        let first = Verdict::new("Ready", true, "Ready", "fine").condition(&[], Some(1), early);
        let reworded = Verdict::new("Ready", true, "Ready", "still fine");
        assert!(!reworded.is_said_by(std::slice::from_ref(&first), Some(1)));
        let second = reworded.condition(std::slice::from_ref(&first), Some(1), late);
        assert_eq!((second.last_transition_time.0, second.message.as_str()), (early, "still fine"));
        assert!(reworded.is_said_by(std::slice::from_ref(&second), Some(1)));
        assert!(!reworded.is_said_by(std::slice::from_ref(&second), Some(2)), "a new generation is news");
        let flipped = Verdict::new("Ready", false, "Broken", "no").condition(&[second], Some(2), late);
        assert_eq!(flipped.last_transition_time.0, late);
    }
}
