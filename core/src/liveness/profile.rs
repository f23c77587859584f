//! How fast silence is noticed.

use std::time::Duration;

/// The three numbers that everything about liveness follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Between two beats to one neighbour.
    pub beat: Duration,
    /// So many beats must be missing before a neighbour is suspected.
    pub misses: u32,
    /// How long a suspect's kernel and other nodes are asked before it is held dead.
    pub confirm: Duration,
}

impl Profile {
    /// For machines of one's own: takeover after 0.5 s, 1.0 s at most.
    pub const BALANCED: Self =
        Self { beat: Duration::from_millis(100), misses: 4, confirm: Duration::from_millis(120) };
    /// For machines of one's own on which the speaker gets real-time priority: 0.4 s at most.
    pub const FAST: Self = Self { beat: Duration::from_millis(50), misses: 4, confirm: Duration::from_millis(80) };
    /// For virtual machines, which stand still while they are moved: 5 s at most.
    pub const VIRTUAL: Self = Self { beat: Duration::from_millis(500), misses: 8, confirm: Duration::from_millis(500) };

    /// The bounds that hold between two nodes while they disagree: the slower of each.
    #[must_use]
    pub fn slower(self, other: Self) -> Self {
        Self {
            beat: self.beat.max(other.beat),
            misses: self.misses.max(other.misses),
            confirm: self.confirm.max(other.confirm),
        }
    }

    /// How long a neighbour may be silent before it is suspected.
    pub const fn patience(self) -> Duration {
        self.beat.saturating_mul(self.misses)
    }

    /// After so long without any sign from anybody, a node stops answering: half a beat before others can act.
    pub fn passive_after(self) -> Duration {
        self.patience().saturating_sub(self.beat.mul_f32(0.5))
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::BALANCED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_profiles_the_slower_bounds_hold() {
        assert_eq!(Profile::FAST.slower(Profile::BALANCED), Profile::BALANCED);
        assert_eq!(Profile::BALANCED.slower(Profile::VIRTUAL), Profile::VIRTUAL);
    }

    #[test]
    fn a_node_falls_silent_before_others_can_take_its_addresses() {
        for profile in [Profile::BALANCED, Profile::FAST, Profile::VIRTUAL] {
            assert!(profile.passive_after() < profile.patience() + profile.confirm, "{profile:?}");
            assert!(profile.passive_after() > profile.beat * 2, "{profile:?}");
        }
    }
}
