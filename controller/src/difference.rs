//! From what is and what should be to what has to be done: lanes of effects, in the order that loses and leaks nothing
//! when the process dies between any two of them.
//!
//! - allocate: finalizer (if wanted), ledger, Service status;
//! - change: ledger, Service status, then release of what is not wanted any more;
//! - release: ask for the Service itself, clear its status, ledger, then conditions and finalizer.
//!
//! A controller that starts anew finds any of these half done and comes to the same lanes again.

mod releases;
mod reports;
mod services;

use crate::announced::Patience;
use crate::effects::{Lane, LaneKey, Seen};
use crate::state::State;
use herald_core::address::Vip;
use herald_core::allocation::Plan;
use herald_core::names::Uid;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

pub use reports::Pacer;

/// Both clocks, read once per pass.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For conditions.
    pub wall: Timestamp,
    /// For waiting.
    pub monotonic: Instant,
}

/// What was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Our Services get a finalizer.
    pub finalizer: bool,
    /// The namespace that Herald runs in, for messages.
    pub namespace: String,
}

/// What came of comparing.
#[derive(Debug, Default, PartialEq)]
pub struct Difference {
    /// What to do now.
    pub lanes: Vec<Lane>,
    /// There was more than fitted.
    pub more: bool,
}

/// What the comparison of one pass needs everywhere.
struct Comparison<'a> {
    state: &'a State,
    plan: &'a Plan,
    policy: &'a Policy,
    now: Now,
    /// Recorded addresses by holder.
    held: HashMap<&'a Uid, BTreeSet<Vip>>,
    capacity: usize,
    result: Difference,
}

/// Compares; returns at most `capacity` lanes, none of them for something that is under way or waits for a retry.
pub fn between(
    state: &State,
    plan: &Plan,
    policy: &Policy,
    (patience, pacer): (&mut Patience, &mut Pacer),
    now: Now,
    capacity: usize,
) -> Difference {
    let mut held: HashMap<&Uid, BTreeSet<Vip>> = HashMap::new();
    for (vip, entry) in &state.cluster.ledger {
        if let Some(holder) = &entry.holder
            && state.vips.contains_key(vip)
        {
            held.entry(&holder.uid).or_default().insert(*vip);
        }
    }
    let mut comparison = Comparison { state, plan, policy, now, held, capacity, result: Difference::default() };
    comparison.refetches();
    comparison.services(patience);
    comparison.releases();
    comparison.traces();
    comparison.reports(pacer);
    comparison.result
}

impl Comparison<'_> {
    fn is_idle(&self, key: &LaneKey) -> bool {
        self.state.is_idle(key, self.now.monotonic)
    }

    fn is_full(&self) -> bool {
        self.result.lanes.len() >= self.capacity
    }

    fn push(&mut self, lane: Lane) {
        if lane.effects.is_empty() {
            return;
        }
        if self.is_full() {
            self.result.more = true;
        } else {
            self.result.lanes.push(lane);
        }
    }

    /// The recorded object of an address.
    fn seen(&self, vip: Vip) -> Option<Seen> {
        self.state.vips.get(&vip).map(crate::records::VipFacts::seen)
    }
}

#[cfg(test)]
mod tests;
