//! The lowest free address of each pool and family, found without looking at the same address twice.

use super::territory::Territory;
use crate::address::{AddressRange, Family, Vip};
use crate::names::PoolName;
use std::collections::{BTreeMap, HashSet};

/// Free addresses. While one plan is made addresses are only taken, so that each search goes on where the last ended:
/// a plan costs as many steps as there are addresses taken, however large the pools are.
#[derive(Debug)]
pub(super) struct Vacancies {
    taken: HashSet<Vip>,
    /// Requested by somebody whose turn is yet to come.
    reserved: HashSet<Vip>,
    searches: BTreeMap<(PoolName, Family), Search>,
}

/// Where to look in one pool for addresses of one family.
#[derive(Debug)]
struct Search {
    /// What hasn't been searched, in the reverse of the pool's order.
    ranges: Vec<AddressRange>,
    /// All lower addresses of the last range are taken.
    lowest: Option<Vip>,
}

impl Vacancies {
    /// Starts with the addresses taken so far.
    pub(super) fn new(taken: HashSet<Vip>) -> Self {
        Self { taken, reserved: HashSet::new(), searches: BTreeMap::new() }
    }

    /// Whether somebody has the address.
    pub(super) fn is_taken(&self, vip: Vip) -> bool {
        self.taken.contains(&vip)
    }

    /// Takes an address.
    pub(super) fn take(&mut self, vip: Vip) {
        self.taken.insert(vip);
    }

    /// Keeps an address from being found, though not from being taken.
    pub(super) fn reserve(&mut self, vip: Vip) {
        self.reserved.insert(vip);
    }

    /// Lets all addresses be found again that nobody took.
    pub(super) fn end_reservations(&mut self) {
        self.reserved.clear();
        self.searches.clear();
    }

    /// The free address that the pool gives out next.
    pub(super) fn next(&mut self, territory: &Territory, pool: &PoolName, family: Family) -> Option<Vip> {
        let search = self.searches.entry((pool.clone(), family)).or_insert_with(|| {
            let mut ranges: Vec<_> = territory.ranges(pool, family).collect();
            ranges.reverse();
            Search { ranges, lowest: None }
        });
        search.next(|vip| !self.taken.contains(&vip) && !self.reserved.contains(&vip))
    }
}

impl Search {
    fn next(&mut self, is_free: impl Fn(Vip) -> bool) -> Option<Vip> {
        while let Some(range) = self.ranges.last() {
            let lowest = self.lowest.unwrap_or_else(|| range.first());
            if let Some(free) = range.addresses_from(lowest).find(|vip| is_free(*vip)) {
                self.lowest = Some(free);
                return Some(free);
            }
            self.ranges.pop();
            self.lowest = None;
        }
        None
    }
}
