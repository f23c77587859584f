//! Which pool each address belongs to, now that pools may overlap.

use super::Overlap;
use crate::address::{AddressRange, Family, Vip};
use crate::names::PoolName;
use crate::pool::Pool;
use std::collections::BTreeMap;

/// The addresses of all pools, each in exactly one of them.
#[derive(Debug, Default)]
pub(super) struct Territory {
    /// Disjoint ranges by their first address.
    owners: BTreeMap<Vip, (AddressRange, PoolName)>,
    /// The same by pool, in the order the pool names them.
    ranges: BTreeMap<PoolName, Vec<AddressRange>>,
    overlaps: BTreeMap<PoolName, BTreeMap<PoolName, Overlap>>,
}

impl Territory {
    /// Divides the addresses: pools, in the order of their precedence, take what is left.
    pub(super) fn new<'a>(pools: impl Iterator<Item = &'a Pool>) -> Self {
        let mut territory = Self::default();
        for pool in pools {
            territory.ranges.insert(pool.name.clone(), Vec::new());
            for range in &pool.ranges {
                territory.take(&pool.name, *range);
            }
        }
        territory
    }

    fn take(&mut self, pool: &PoolName, range: AddressRange) {
        let mut left = vec![range];
        for (taken, owner) in self.overlapping(range) {
            left = left.iter().flat_map(|part| part.without(&taken)).collect();
            if owner != *pool {
                self.note_overlap(pool, &owner, range, taken);
            }
        }
        for part in &left {
            self.owners.insert(part.first(), (*part, pool.clone()));
        }
        self.ranges.entry(pool.clone()).or_default().extend(left);
    }

    /// The ranges taken so far that overlap the given one.
    fn overlapping(&self, range: AddressRange) -> Vec<(AddressRange, PoolName)> {
        let below = self.owners.range(..range.first()).next_back();
        let within = self.owners.range(range.first()..=range.last());
        below
            .into_iter()
            .chain(within)
            .map(|(_, owned)| owned)
            .filter(|(taken, _)| taken.overlaps(&range))
            .cloned()
            .collect()
    }

    fn note_overlap(&mut self, pool: &PoolName, owner: &PoolName, range: AddressRange, taken: AddressRange) {
        let Some(common) = range.common(&taken) else { return };
        for (here, with, belongs_here) in [(pool, owner, false), (owner, pool, true)] {
            let overlap = Overlap { with: with.clone(), range: common, belongs_here };
            self.overlaps.entry(here.clone()).or_default().entry(with.clone()).or_insert(overlap);
        }
    }

    /// The pool the address belongs to.
    pub(super) fn pool_of(&self, vip: Vip) -> Option<&PoolName> {
        let (_, (range, pool)) = self.owners.range(..=vip).next_back()?;
        range.contains(vip).then_some(pool)
    }

    /// The addresses of one family that belong to a pool.
    pub(super) fn ranges(&self, pool: &PoolName, family: Family) -> impl Iterator<Item = AddressRange> + '_ {
        self.ranges.get(pool).into_iter().flatten().copied().filter(move |range| range.family() == family)
    }

    /// How many they are; ends at `u64::MAX`.
    pub(super) fn total(&self, pool: &PoolName, family: Family) -> u64 {
        self.ranges(pool, family).fold(0, |total, range| total.saturating_add(range.size()))
    }

    /// The pools that a pool overlaps.
    pub(super) fn overlaps(&self, pool: &PoolName) -> BTreeMap<PoolName, Overlap> {
        self.overlaps.get(pool).cloned().unwrap_or_default()
    }
}
