//! The lowest free address of each pool and family, found without looking at the same address twice.

use super::UPCOMING;
use super::territory::Territory;
use crate::address::{AddressRange, Family, Vip};
use crate::names::PoolName;
use std::collections::{BTreeMap, BTreeSet, HashSet};

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
pub(super) struct Search {
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
    pub(super) fn next(
        &mut self,
        territory: &Territory,
        pool: &PoolName,
        family: Family,
        network: Network<'_>,
    ) -> Option<Vip> {
        let fresh = || Search::new(territory.ranges(pool, family));
        let search = self.searches.entry((pool.clone(), family)).or_insert_with(fresh);
        let is_free = |vip: Vip| !self.taken.contains(&vip) && !self.reserved.contains(&vip);
        let lowest = search.next(is_free)?;
        // Nearly always the lowest is as good as any.
        if network.silent.contains(&lowest) || network.knows_nothing() {
            return Some(lowest);
        }
        let silent = search.ahead(is_free).take(UPCOMING).find(|vip| network.silent.contains(vip));
        silent.or_else(|| search.ahead(is_free).find(|vip| !network.occupied.contains(vip))).or(Some(lowest))
    }
}

/// What the network said about free addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'a> {
    /// Nobody answers for these.
    pub(super) silent: &'a BTreeSet<Vip>,
    /// Somebody answers for these.
    pub(super) occupied: &'a BTreeSet<Vip>,
}

impl Network<'_> {
    fn knows_nothing(&self) -> bool {
        self.silent.is_empty() && self.occupied.is_empty()
    }
}

impl Search {
    /// Starts at the first of the ranges.
    pub(super) fn new(ranges: impl Iterator<Item = AddressRange>) -> Self {
        let mut ranges: Vec<_> = ranges.collect();
        ranges.reverse();
        Self { ranges, lowest: None }
    }

    /// The free addresses from where the search is, in order; it stays there.
    pub(super) fn ahead(&self, is_free: impl Fn(Vip) -> bool) -> impl Iterator<Item = Vip> {
        let starts = std::iter::once(self.lowest).chain(std::iter::repeat(None));
        let all = self.ranges.iter().rev().zip(starts);
        all.flat_map(|(range, lowest)| range.addresses_from(lowest.unwrap_or_else(|| range.first())))
            .filter(move |vip| is_free(*vip))
    }

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
