//! From what is and what should be to what has to be done: lanes of effects, in the order that loses and leaks nothing
//! when the process dies between any two of them.
//!
//! - allocate: finalizer (if wanted), ledger, Service status;
//! - change: ledger, Service status, then release of what is not wanted any more;
//! - release: ask for the Service itself, clear its status, ledger, then conditions and finalizer;
//! - balance: the ledger's wish for a node, nothing else.
//!
//! A controller that starts anew finds any of these half done and comes to the same lanes again.

mod placement;
mod releases;
mod reports;
mod secret;
mod services;

use crate::announced::Patience;
use crate::effects::{Lane, LaneKey, Seen};
use crate::state::State;
use herald_core::address::Vip;
use herald_core::allocation::Plan;
use herald_core::balance::{Balancer, Loads};
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

/// What a pass remembers for the next ones.
#[derive(Debug, Default)]
pub struct Books {
    /// How long addresses have waited for an announcer.
    pub patience: Patience,
    /// When pools' counts may be written.
    pub pacer: Pacer,
    /// Which addresses should be elsewhere.
    pub balancer: Balancer,
}

impl Books {
    /// When something that waits, after this moment, is due.
    pub fn next_due(&self, after: Instant) -> Option<Instant> {
        let dues = [self.patience.next_due(after), self.pacer.next_due(after), self.balancer.next_due(after)];
        dues.into_iter().flatten().min()
    }
}

/// What the comparison of one pass needs everywhere.
struct Comparison<'a> {
    state: &'a State,
    plan: &'a Plan,
    policy: &'a Policy,
    now: Now,
    /// Recorded addresses by holder.
    held: HashMap<&'a Uid, BTreeSet<Vip>>,
    /// How many addresses each node has, with those that this pass gives out.
    loads: Loads,
    capacity: usize,
    result: Difference,
}

/// Compares; returns at most `capacity` lanes, none of them for something that is under way or waits for a retry.
pub fn between(
    state: &State,
    plan: &Plan,
    policy: &Policy,
    books: &mut Books,
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
    let (loads, result) = (state.loads.clone(), Difference::default());
    let mut comparison = Comparison { state, plan, policy, now, held, loads, capacity, result };
    comparison.secret();
    comparison.refetches();
    comparison.services(&mut books.patience);
    comparison.releases();
    comparison.traces();
    comparison.placement(&mut books.balancer);
    comparison.reports(&mut books.pacer);
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
