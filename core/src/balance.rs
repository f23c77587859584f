//! Which node an address should be on, so that every node has about as many as the others.
//!
//! Owns where a new address goes, when one is moved for balance alone, and how the wish in the ledger follows what
//! happened. Moves nothing itself: a wish that changes makes the node that announces the address hand it over.
//!
//! A takeover is a fact to follow, never one to undo: an address stays where it went until balance asks for some address
//! to move, and then any of them may be the one.

use crate::address::Vip;
use crate::liveness::Claim;
use crate::names::NodeName;
use crate::ownership::score;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Between two moves for balance; also how long the nodes must have been the same, and no address have gone elsewhere by
/// itself, before the first one, so that restarts and updates pass without any.
pub const PACE: Duration = Duration::from_secs(30);

/// How long a wish may stay unfulfilled before it is taken back: a handover takes a second for each node that is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// One address as the balancer sees it.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// The address.
    pub vip: Vip,
    /// The node that announces it, in which epoch.
    pub at: Option<&'a Claim>,
    /// The node that the ledger names for it.
    pub preferred: Option<&'a NodeName>,
    /// A person has chosen that node.
    pub pinned: bool,
    /// Whether any node would do: with `externalTrafficPolicy: Local` the endpoints decide.
    pub movable: bool,
}

impl<'a> Placement<'a> {
    /// Where it counts.
    pub fn node(&self) -> Option<&'a NodeName> {
        self.at.map(|claim| &claim.node).or(self.preferred)
    }
}

/// How many addresses each node has, or is about to get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads(BTreeMap<NodeName, usize>);

impl Loads {
    /// Counts them.
    pub fn of<'a>(placements: impl Iterator<Item = Placement<'a>>) -> Self {
        let mut loads = Self::default();
        placements.filter_map(|placement| placement.node()).for_each(|node| loads.add(node));
        loads
    }

    /// Counts one more.
    pub fn add(&mut self, node: &NodeName) {
        match self.0.get_mut(node) {
            Some(load) => *load = load.saturating_add(1),
            None => _ = self.0.insert(node.clone(), 1),
        }
    }

    /// Counts one less.
    pub fn remove(&mut self, node: &NodeName) {
        if let Some(load) = self.0.get_mut(node) {
            *load = load.saturating_sub(1);
        }
        self.0.retain(|_, load| *load > 0);
    }

    fn get(&self, node: &NodeName) -> usize {
        self.0.get(node).copied().unwrap_or_default()
    }
}

/// The node for a new address: of the choices the one that has the fewest, and among equals the one with the highest
/// [`score`].
pub fn place<'n>(vip: Vip, choices: impl IntoIterator<Item = &'n NodeName>, loads: &Loads) -> Option<&'n NodeName> {
    choices.into_iter().min_by_key(|node| (loads.get(node), Reverse(score(vip, node)), *node))
}

/// An address that should move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub vip: Vip,
    /// The node that announces it.
    pub from: NodeName,
    /// The node that should.
    pub to: NodeName,
}

/// The next move towards balance: from the node that has the most to a choice that has at least two fewer. `None`: no
/// address could be on a node that has two fewer than the one it is on.
///
/// While all addresses have the same choices, following this to its end makes no move too many.
pub fn next_move<'a>(
    placements: &(impl Iterator<Item = Placement<'a>> + Clone),
    choices: impl Fn(Vip) -> Vec<&'a NodeName>,
) -> Option<Move> {
    let loads = Loads::of(placements.clone());
    let movable = |placement: &Placement<'a>| placement.movable && !placement.pinned;
    let mut crowded: Vec<_> = loads.0.iter().filter(|(_, load)| **load >= 2).collect();
    crowded.sort_by_key(|(node, load)| (Reverse(**load), *node));
    crowded.into_iter().find_map(|(from, load)| {
        let here = placements.clone().filter(|placement| placement.at.is_some_and(|claim| claim.node == *from));
        let targets = here.filter(movable).filter_map(|placement| {
            let to = place(placement.vip, choices(placement.vip), &loads)?;
            (loads.get(to).saturating_add(2) <= *load).then_some((placement.vip, to))
        });
        let (vip, to) = targets.min_by_key(|(vip, to)| (loads.get(to), Reverse(score(*vip, to)), *vip))?;
        Some(Move { vip, from: from.clone(), to: to.clone() })
    })
}

/// An address that is not where the ledger wishes it.
#[derive(Clone, Debug)]
struct Stray {
    /// Where it is.
    at: NodeName,
    /// It went there after the wish was made.
    moved: bool,
    /// When the wish is to be taken back; `None` = not seen by a pass yet.
    due: Option<Instant>,
}

/// Paces moves, and lets wishes follow.
#[derive(Debug, Default)]
pub struct Balancer {
    strays: BTreeMap<Vip, Stray>,
    /// The nodes that run, as of the last pass.
    nodes: BTreeSet<NodeName>,
    /// No move before.
    rest_until: Option<Instant>,
    /// What was balanced when last looked at, by the caller's count of changes.
    balanced: Option<u64>,
    /// When to look again.
    due: Option<Instant>,
}

impl Balancer {
    /// Takes note that the record of an address has changed.
    pub fn observe(&mut self, before: Option<Placement<'_>>, after: Placement<'_>) {
        let vip = after.vip;
        let (Some(at), Some(preferred), false) = (after.at, after.preferred, after.pinned) else {
            return self.forget(vip);
        };
        if at.node == *preferred {
            return self.forget(vip);
        }
        let moved = before.and_then(|before| before.at).is_some_and(|before| before.epoch != at.epoch);
        let wished = before.is_none_or(|before| before.preferred != after.preferred);
        if moved || wished || !self.strays.contains_key(&vip) {
            self.strays.insert(vip, Stray { at: at.node.clone(), moved, due: None });
        }
    }

    /// Forgets an address that is gone.
    pub fn forget(&mut self, vip: Vip) {
        self.strays.remove(&vip);
    }

    /// The nodes that the ledger should name for addresses instead of those it names: where a takeover brought them, or
    /// where they stayed although another was wished for.
    pub fn follow(&mut self, now: Instant) -> Vec<(Vip, NodeName)> {
        let mut due = Vec::new();
        let mut moved = false;
        for (vip, stray) in &mut self.strays {
            moved |= stray.moved && stray.due.is_none();
            let patience = if stray.moved { Duration::ZERO } else { PATIENCE };
            let due_at = stray.due.get_or_insert_with(|| now.checked_add(patience).unwrap_or(now));
            if *due_at <= now {
                due.push((*vip, stray.at.clone()));
            }
        }
        if moved {
            // What made it go may not be over, and the node that it left is the one that has the fewest now.
            self.rest(now);
        }
        due
    }

    /// The move to make now, if it is time for one. `changes` counts changes of anything that the answer depends on: what
    /// was balanced stays so until it grows.
    pub fn rebalance<'a>(
        &mut self,
        changes: u64,
        nodes: BTreeSet<NodeName>,
        placements: &(impl Iterator<Item = Placement<'a>> + Clone),
        choices: impl Fn(Vip) -> Vec<&'a NodeName>,
        now: Instant,
    ) -> Option<Move> {
        if nodes != self.nodes {
            self.nodes = nodes;
            self.rest(now);
        }
        if self.balanced == Some(changes) {
            return None;
        }
        if self.rest_until.is_some_and(|end| now < end) {
            self.due = self.rest_until;
            return None;
        }
        self.rest(now);
        // One thing after another: an address on its way somewhere counts nowhere yet.
        if !self.strays.is_empty() {
            return None;
        }
        let found = next_move(placements, choices);
        if found.is_none() {
            self.balanced = Some(changes);
            self.due = None;
        }
        found
    }

    fn rest(&mut self, now: Instant) {
        self.balanced = None;
        self.rest_until = now.checked_add(PACE);
        self.due = self.rest_until;
    }

    /// When the first thing after this moment is due although nothing happens.
    pub fn next_due(&self, after: Instant) -> Option<Instant> {
        let wishes = self.strays.values().filter_map(|stray| stray.due);
        wishes.chain(self.due).filter(|due| *due > after).min()
    }
}

#[cfg(test)]
mod tests;
