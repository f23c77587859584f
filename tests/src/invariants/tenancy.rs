//! Who announced a VIP when, as far as frames tell.

use std::time::Duration;

use herald_core::address::Vip;
use herald_core::mac::MacAddr;

use super::{Fault, Plan, Record, Sighting, What};

/// A member asserts a VIP, and no other does so but for what is left of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenancy {
    /// The member's address.
    pub mac: MacAddr,
    /// Its first assertion.
    pub from: Duration,
    /// Its last one before the next tenancy.
    pub last: Duration,
    /// Its last one that was said to all.
    pub told_all: Option<Duration>,
    /// The last assertion of the tenant before, if it came after the first of this one.
    pub remains: Option<Duration>,
}

/// The tenancies of the VIP that these sightings, sorted by time, are about.
pub(super) fn tenancies(record: &Record, sightings: &[Sighting]) -> Vec<Tenancy> {
    let mut found: Vec<Tenancy> = Vec::new();
    for sighting in sightings {
        let What::Assertion { mac, to_all } = sighting.what else { continue };
        if !record.members.contains_key(&mac) {
            continue;
        }
        let at = sighting.at;
        let before = found.len().checked_sub(2).map(|index| found[index].mac);
        match found.last_mut() {
            Some(now) if now.mac == mac => {
                now.last = at;
                now.told_all = if to_all { Some(at) } else { now.told_all };
            }
            Some(now) if before == Some(mac) && at <= now.from + record.limits.overlap => now.remains = Some(at),
            _ => found.push(Tenancy { mac, from: at, last: at, told_all: to_all.then_some(at), remains: None }),
        }
    }
    found
}

/// Why a VIP moved.
pub(super) enum Reason<'r> {
    /// Something broke.
    Fault(&'r Fault),
    /// It was called for.
    Plan(&'r Plan),
}

impl Record {
    /// Why a VIP may have moved from one member to another at this moment, plans first.
    pub(super) fn reasons(
        &self,
        vip: Vip,
        (from, to): (MacAddr, MacAddr),
        at: Duration,
    ) -> impl Iterator<Item = Reason<'_>> {
        let planned = self.plans.iter().filter(move |plan| {
            plan.at <= at
                && at <= plan.until
                && plan.vip.is_none_or(|planned| planned == vip)
                && plan.from.is_none_or(|planned| planned == from)
                && plan.to.is_none_or(|planned| planned == to)
        });
        let broken = self.faults.iter().filter(move |fault| {
            fault.moves && fault.victim.is_none_or(|victim| victim == from) && fault.touches(at, at, self.limits.settle)
        });
        planned.map(Reason::Plan).chain(broken.map(Reason::Fault))
    }
}
