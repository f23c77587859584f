//! Who has claimed which address, and with which epoch: what every member knows, merges alike, and compares with others by
//! digests.
//!
//! Owns the merge rule and what is to be told to whom to make two tables equal. Knows neither who is alive nor who may claim.

use crate::address::Vip;
use crate::liveness::{Body, Claim, Offer};
use crate::names::NodeName;
use crate::ownership::{mingle, score};
use std::collections::{BTreeMap, BTreeSet};

/// A table is compared in so many parts, so that only what differs is sent: 512 bytes of digests.
pub const BUCKETS: usize = 64;

/// Claims on addresses that nobody uses, as far as this node knows, are kept too: a member may know of an address before
/// this one does. So many at most; beyond that they are not taken.
const MOST_UNUSED: usize = 16_384;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It is the highest, and another than before.
    News {
        /// The one before.
        before: Option<Claim>,
    },
    /// It was known.
    Known,
    /// A higher one is known.
    Lower,
    /// There is no room for it.
    Refused,
}

#[derive(Clone, Debug)]
struct Entry {
    claim: Claim,
    /// Whether the address is in use: only then does it count in the digest, so that members agree that have learned of an
    /// address's end at different times.
    used: bool,
}

/// Claims of all nodes.
#[derive(Clone, Debug)]
pub struct Claims {
    entries: BTreeMap<Vip, Entry>,
    by_node: BTreeMap<NodeName, BTreeSet<Vip>>,
    unused: usize,
    buckets: [u64; BUCKETS],
    digest: u64,
}

impl Default for Claims {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), by_node: BTreeMap::new(), unused: 0, buckets: [0; BUCKETS], digest: 0 }
    }
}

impl Claims {
    /// The highest claim on an address.
    pub fn get(&self, vip: Vip) -> Option<&Claim> {
        self.entries.get(&vip).map(|entry| &entry.claim)
    }

    /// The addresses whose highest claim is this node's.
    pub fn of(&self, node: &NodeName) -> impl Iterator<Item = Vip> {
        self.by_node.get(node).into_iter().flatten().copied()
    }

    /// Takes note of a claim.
    pub fn merge(&mut self, vip: Vip, claim: Claim) -> Merged {
        let before = match self.entries.get(&vip) {
            Some(entry) if entry.claim == claim => return Merged::Known,
            Some(entry) if !wins(vip, &claim, &entry.claim) => return Merged::Lower,
            Some(entry) => Some(entry.clone()),
            None if self.unused >= MOST_UNUSED => return Merged::Refused,
            None => None,
        };
        let used = before.as_ref().is_some_and(|before| before.used);
        match &before {
            Some(before) => self.unlist(vip, before),
            None => self.unused = self.unused.saturating_add(1),
        }
        self.list(vip, Entry { claim, used });
        Merged::News { before: before.map(|before| before.claim) }
    }

    /// Takes note that an address is used, so that its claim counts.
    pub fn use_address(&mut self, vip: Vip) {
        if let Some(entry) = self.entries.get(&vip).filter(|entry| !entry.used).cloned() {
            self.unused = self.unused.saturating_sub(1);
            self.list(vip, Entry { used: true, ..entry });
        }
    }

    /// Forgets what was claimed about an address that nobody uses any more.
    pub fn forget(&mut self, vip: Vip) {
        if let Some(entry) = self.entries.remove(&vip) {
            self.unlist(vip, &entry);
            if !entry.used {
                self.unused = self.unused.saturating_sub(1);
            }
        }
    }

    /// Of everything that counts.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// The same by bucket.
    pub const fn buckets(&self) -> &[u64; BUCKETS] {
        &self.buckets
    }

    /// What to send to somebody who has these digests: the claims of the buckets that differ, by node, in messages of
    /// [`Body::MOST`] entries. No more than `most` messages, beginning with bucket `first`, so that with another one the next time all
    /// get their turn.
    pub fn pages(&self, theirs: &[u64], first: usize, most: usize) -> Vec<Body> {
        let differing: BTreeSet<usize> = self
            .buckets
            .iter()
            .zip(theirs.iter().copied().chain(std::iter::repeat(0)))
            .enumerate()
            .filter(|(_, (ours, theirs))| **ours != *theirs)
            .map(|(number, _)| number)
            .collect();
        let first = first.checked_rem(BUCKETS).unwrap_or(0);
        let turns = differing.range(first..).chain(differing.range(..first));
        let place: BTreeMap<usize, usize> = turns.enumerate().map(|(place, number)| (*number, place)).collect();
        let mut sorted: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.used)
            .filter_map(|(vip, entry)| Some((place.get(&bucket(*vip))?, vip, &entry.claim)))
            .collect();
        sorted.sort_by_key(|(place, ..)| **place);
        // Within what fits, by node.
        let mut by_node: BTreeMap<&NodeName, Vec<Offer>> = BTreeMap::new();
        for (_, vip, claim) in sorted.into_iter().take(most.saturating_mul(Body::MOST)) {
            by_node.entry(&claim.node).or_default().push(Offer { vip: *vip, epoch: claim.epoch });
        }
        by_node.into_iter().flat_map(|(node, offers)| told(node, &offers)).take(most).collect()
    }

    fn list(&mut self, vip: Vip, entry: Entry) {
        if entry.used {
            self.toggle(vip, &entry.claim);
        }
        self.by_node.entry(entry.claim.node.clone()).or_default().insert(vip);
        self.entries.insert(vip, entry);
    }

    fn unlist(&mut self, vip: Vip, entry: &Entry) {
        if entry.used {
            self.toggle(vip, &entry.claim);
        }
        if let Some(vips) = self.by_node.get_mut(&entry.claim.node) {
            vips.remove(&vip);
            if vips.is_empty() {
                self.by_node.remove(&entry.claim.node);
            }
        }
    }

    /// Puts a claim into the digests, or takes it out again: the same operation.
    fn toggle(&mut self, vip: Vip, claim: &Claim) {
        let mark = mingle(score(vip, &claim.node), claim.epoch);
        self.digest ^= mark;
        if let Some(bucket) = self.buckets.get_mut(bucket(vip)) {
            *bucket ^= mark;
        }
    }
}

/// Messages that tell claims of a node.
pub fn told(node: &NodeName, offers: &[Offer]) -> Vec<Body> {
    offers.chunks(Body::MOST).map(|page| Body::Claims { node: node.clone(), entries: page.to_vec() }).collect()
}

/// Whether the first of two different claims is the one that counts: the higher epoch, then the higher score.
pub fn wins(vip: Vip, first: &Claim, second: &Claim) -> bool {
    let rank = |claim: &Claim| (claim.epoch, score(vip, &claim.node), claim.node.clone());
    rank(first) > rank(second)
}

fn bucket(vip: Vip) -> usize {
    let spread = score(vip, &NodeName::from(""));
    usize::try_from(spread.checked_rem(BUCKETS as u64).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
