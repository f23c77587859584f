//! Why a Service lacks an address, in sentences that name the object and the field to change.

use super::territory::Territory;
use super::{LedgerEntry, Refusal, Snapshot};
use crate::address::{Family, Vip};
use crate::names::PoolName;
use crate::pool::Exclusion;
use crate::service::{ADDRESSES_ANNOTATION, POOL_ANNOTATION, ServiceRequest};
use std::collections::{BTreeMap, BTreeSet};

/// The most objects one sentence names, so that it stays under an event's 1,024 characters.
const MAX_NAMED: usize = 5;

/// Pools that give a Service nothing, each with the reason.
#[derive(Debug, Default)]
pub(super) struct Exclusions(BTreeMap<PoolName, Exclusion>);

impl Exclusions {
    pub(super) fn add(&mut self, pool: &PoolName, exclusion: Exclusion) {
        self.0.insert(pool.clone(), exclusion);
    }
}

/// A Service that is about to be refused, and what it is refused by.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) service: &'a ServiceRequest,
    pub(super) snapshot: &'a Snapshot,
}

impl Request<'_> {
    /// The requested address is in no pool.
    pub(super) fn not_in_pool(self, vip: Vip) -> Refusal {
        let Snapshot { pools, pools_set_aside, .. } = self.snapshot;
        if pools.is_empty() && pools_set_aside.is_empty() {
            return Refusal::NoPool;
        }
        let written = pools
            .values()
            .map(|pool| format!("{}: {}", pool.name, enumerate(pool.ranges.iter().map(ToString::to_string), ", ")));
        let pools = enumerate(written.chain(self.set_aside()), "; ");
        let message = format!(
            "{vip} is in no AddressPool ({pools}): change annotation {ADDRESSES_ANNOTATION} of {self}, \
             or add it to spec.addresses of a pool"
        );
        Refusal::AddressNotInPool { message }
    }

    /// The requested address is in another pool than the one requested.
    pub(super) fn not_in_pool_asked_for(self, vip: Vip, pool: &PoolName) -> Refusal {
        let asked = enumerate(self.service.pools.iter().cloned(), ", ");
        let message = format!(
            "{vip} belongs to AddressPool {pool}, but {self} asks for addresses from {asked} only: \
             change its annotation {ADDRESSES_ANNOTATION} or {POOL_ANNOTATION}"
        );
        Refusal::InvalidRequest { message }
    }

    /// The requested address is in a pool that is not for this Service.
    pub(super) fn not_admitted(self, vip: Vip, pool: &PoolName, exclusion: &Exclusion) -> Refusal {
        let message = format!("{vip} belongs to AddressPool {pool}, which does not admit {self}: {exclusion}");
        Refusal::NoMatchingPool { message }
    }

    /// The requested address is recorded for somebody else.
    pub(super) fn in_use(self, vip: Vip, entry: Option<&LedgerEntry>) -> Refusal {
        let holder = entry.and_then(|entry| entry.holder.as_ref());
        let alive = holder
            .filter(|holder| self.snapshot.services.get(&holder.key).is_some_and(|service| service.uid == holder.uid));
        let message = match (alive, holder) {
            (Some(holder), _) => format!(
                "{vip} is in use by Service {}: change annotation {ADDRESSES_ANNOTATION} of one of them",
                holder.key
            ),
            (None, Some(holder)) => format!(
                "{vip} is still recorded for Service {}, which is gone: it will be free in a moment",
                holder.key
            ),
            (None, None) => format!("{vip} is still recorded as in use: it will be free in a moment"),
        };
        Refusal::AddressInUse { message }
    }

    /// No address of the family could be found in any pool.
    pub(super) fn nothing_left(
        self,
        family: Family,
        candidates: &[PoolName],
        exclusions: &Exclusions,
        territory: &Territory,
    ) -> Refusal {
        let Snapshot { pools, pools_set_aside, .. } = self.snapshot;
        if pools.is_empty() && pools_set_aside.is_empty() {
            return Refusal::NoPool;
        }
        if candidates.is_empty() {
            return self.no_matching_pool(exclusions);
        }
        let full: Vec<_> = candidates
            .iter()
            .map(|pool| (pool, territory.total(pool, family)))
            .filter(|(_, total)| *total > 0)
            .map(|(pool, total)| format!("all {total} of {pool} are in use"))
            .collect();
        if full.is_empty() {
            return self.family_unavailable(family, candidates, territory);
        }
        let message = format!(
            "no {family} address is left for {self} ({}): add to spec.addresses of an AddressPool, or create another",
            enumerate(full, "; ")
        );
        Refusal::PoolExhausted { message }
    }

    fn no_matching_pool(self, exclusions: &Exclusions) -> Refusal {
        let excluded = exclusions.0.iter().map(|(pool, exclusion)| format!("{pool}: {exclusion}"));
        let message = if self.service.pools.is_empty() {
            let reasons = enumerate(excluded.chain(self.set_aside()), "; ");
            format!("no AddressPool admits {self} ({reasons})")
        } else {
            let Snapshot { pools, pools_set_aside, .. } = self.snapshot;
            let unknown = self
                .service
                .pools
                .iter()
                .map(PoolName::new)
                .filter(|name| !pools.contains_key(name) && !pools_set_aside.contains_key(name));
            let unknown = unknown.map(|name| format!("{name}: there is no such pool"));
            let reasons = enumerate(excluded.chain(self.set_aside()).chain(unknown), "; ");
            format!("no AddressPool that annotation {POOL_ANNOTATION} of {self} names admits it ({reasons})")
        };
        Refusal::NoMatchingPool { message }
    }

    fn family_unavailable(self, family: Family, candidates: &[PoolName], territory: &Territory) -> Refusal {
        let rivals: BTreeSet<_> = candidates.iter().flat_map(|pool| territory.overlaps(pool).into_keys()).collect();
        let names_family = |pool: &&PoolName| {
            let pool = self.snapshot.pools.get(*pool);
            pool.is_some_and(|pool| pool.ranges.iter().any(|range| range.family() == family))
        };
        let overlapped: Vec<_> = candidates.iter().filter(names_family).map(ToString::to_string).collect();
        let message = if overlapped.is_empty() {
            let looked_at = enumerate(candidates.iter().map(ToString::to_string), ", ");
            format!(
                "no AddressPool that admits {self} has {family} addresses (looked into {looked_at}): \
                 add some to spec.addresses of one, or drop {family} from spec.ipFamilies of the Service"
            )
        } else {
            format!(
                "all {family} addresses of AddressPool {} belong to overlapping pools ({}), which do not admit {self}: \
                 change spec.addresses of one of them",
                enumerate(overlapped, ", "),
                enumerate(rivals.iter().map(ToString::to_string), ", ")
            )
        };
        Refusal::FamilyUnavailable { message, family }
    }

    /// The pools that can't be read, as far as they matter to the Service.
    fn set_aside(self) -> impl Iterator<Item = String> {
        let asked = move |name: &PoolName| {
            self.service.pools.is_empty() || self.service.pools.iter().any(|asked| asked == name.as_str())
        };
        let set_aside = self.snapshot.pools_set_aside.iter().filter(move |(name, _)| asked(name));
        set_aside.map(|(name, reason)| format!("{name} is set aside: {reason}"))
    }
}

impl std::fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service {}", self.service.key)
    }
}

/// The first few, and how many more there are.
fn enumerate(items: impl IntoIterator<Item = String>, separator: &str) -> String {
    let mut items = items.into_iter();
    let mut named: Vec<_> = items.by_ref().take(MAX_NAMED).collect();
    let more = items.count();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join(separator)
}
