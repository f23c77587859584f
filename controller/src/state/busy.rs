//! What is under way, what came of it, and when to try again what failed.

use crate::effects::{Effect, EffectKind, Lane, LaneKey};
use crate::records::{Observation, Version};
use herald_core::address::Vip;
use herald_core::names::NodeName;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// First wait after a failure that may pass; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Longest wait between tries. A user who mends what was wrong sees it work soon.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// So many conflicts in a row are answered at once; more point to somebody who writes all the time.
const PROMPT_CONFLICTS: u32 = 3;

/// What became of a lane.
#[derive(Debug)]
pub struct Completion {
    /// Which.
    pub lane: LaneKey,
    /// The objects as the API server returned them, in order.
    pub written: Vec<Observation>,
    /// Whether all effects succeeded, or which didn't.
    pub outcome: Result<(), Failure>,
}

/// An effect failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", effect.name())]
pub struct Failure {
    /// Which.
    pub effect: EffectKind,
    /// What to do about it.
    pub class: FailureClass,
    /// What the API server or the network said.
    pub message: String,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The object had changed: plan again with what it is now.
    Conflict,
    /// The API server is away, busy or slow: wait a little.
    Transient,
    /// A right is missing.
    Forbidden,
    /// The API server refuses the content.
    Invalid,
}

impl FailureClass {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Transient => "transient",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
        }
    }
}

/// A lane under way.
#[derive(Debug, Default)]
pub(super) struct BusyLane {
    /// What it does.
    pub(super) kinds: Vec<EffectKind>,
    /// Addresses it is recording, with the nodes that they are for.
    pub(super) creations: Vec<(Vip, Option<NodeName>)>,
    /// Whether somebody may wait for an address it frees.
    pub(super) frees: bool,
    /// Versions of its objects that watches showed meanwhile.
    pub(super) touched: Vec<Version>,
    /// A pass found it under way, and may have found something more to do for it.
    pub(super) passed_over: bool,
}

/// All lanes under way.
#[derive(Debug, Default)]
pub(super) struct BusyLanes {
    lanes: BTreeMap<LaneKey, BusyLane>,
    creating: BTreeSet<Vip>,
}

impl BusyLanes {
    pub(super) fn begin(&mut self, lane: &Lane) {
        let creations: Vec<_> = lane.creations().map(|(vip, _, preferred)| (vip, preferred.cloned())).collect();
        self.creating.extend(creations.iter().map(|(vip, _)| *vip));
        let kinds = lane.effects.iter().map(Effect::kind).collect();
        let begun = BusyLane { kinds, creations, frees: lane.frees(), ..BusyLane::default() };
        self.lanes.insert(lane.key.clone(), begun);
    }

    pub(super) fn end(&mut self, key: &LaneKey) -> Option<BusyLane> {
        let lane = self.lanes.remove(key)?;
        for (vip, _) in &lane.creations {
            self.creating.remove(vip);
        }
        Some(lane)
    }

    /// Notes that an object of the lane has this version now; `false` = no such lane is under way.
    pub(super) fn touch(&mut self, key: &LaneKey, version: &Version) -> bool {
        let lane = self.lanes.get_mut(key);
        lane.map(|lane| lane.touched.push(version.clone())).is_some()
    }

    /// Notes that a pass leaves these lanes alone.
    pub(super) fn pass_over(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.passed_over = true;
        }
    }

    pub(super) fn contains(&self, key: &LaneKey) -> bool {
        self.lanes.contains_key(key)
    }

    pub(super) fn is_creating(&self, vip: Vip) -> bool {
        self.creating.contains(&vip)
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }
}

/// Lanes that failed, and when each may be tried again.
#[derive(Debug, Default)]
pub(super) struct Retries {
    lanes: BTreeMap<LaneKey, (u32, Instant)>,
}

impl Retries {
    pub(super) fn is_due(&self, key: &LaneKey, now: Instant) -> bool {
        self.lanes.get(key).is_none_or(|(_, due)| *due <= now)
    }

    pub(super) fn succeeded(&mut self, key: &LaneKey) {
        self.lanes.remove(key);
    }

    /// Notes a failure; `true` = try again at once.
    pub(super) fn failed(&mut self, key: LaneKey, class: FailureClass, now: Instant) -> bool {
        // Objects that failed once and went away leave nothing behind.
        self.lanes.retain(|_, (_, due)| *due + LONGEST_WAIT * 2 > now);
        let spread = spread(&key);
        let (failures, due) = self.lanes.entry(key).or_insert((0, now));
        *failures = failures.saturating_add(1);
        let at_once = class == FailureClass::Conflict && *failures <= PROMPT_CONFLICTS;
        let doublings = failures.saturating_sub(1).min(16);
        let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
        *due = if at_once { now } else { now + wait.mul_f64(spread) };
        at_once
    }

    pub(super) fn next_due(&self, after: Instant) -> Option<Instant> {
        self.lanes.values().map(|(_, due)| *due).filter(|due| *due > after).min()
    }
}

/// 0.75 to 1.25, different for each key, so that what failed together isn't tried again all at once.
fn spread(key: &LaneKey) -> f64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    let share = u16::try_from(hash & 0x3ff).unwrap_or_default();
    0.75 + f64::from(share) / 2048.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use herald_core::names::PoolName;

    #[test]
    fn waits_double_up_to_half_a_minute_and_end_with_a_success() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin of a test's time")]
        let start = Instant::now();
        let key = LaneKey::Pool(PoolName::new("lan"));
        let mut retries = Retries::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert!(!retries.failed(key.clone(), FailureClass::Transient, start));
            waits.push(retries.next_due(start).unwrap() - start);
        }
        let limits = (LONGEST_WAIT.mul_f64(0.75), LONGEST_WAIT.mul_f64(1.25));
        assert!(waits[0] <= FIRST_WAIT.mul_f64(1.25) && waits[11] >= limits.0 && waits[11] <= limits.1, "{waits:?}");
        assert!(!retries.is_due(&key, start));
        retries.succeeded(&key);
        assert!(retries.is_due(&key, start) && retries.next_due(start).is_none());
    }

    #[test]
    fn a_few_conflicts_are_answered_at_once_and_many_are_not() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin of a test's time")]
        let start = Instant::now();
        let key = LaneKey::Pool(PoolName::new("lan"));
        let mut retries = Retries::default();
        let answers: Vec<_> = (0..5).map(|_| retries.failed(key.clone(), FailureClass::Conflict, start)).collect();
        assert_eq!(answers, [true, true, true, false, false]);
    }
}
