//! The plan, made Service by Service.

use super::refusal::{Exclusions, Request};
use super::territory::Territory;
use super::vacancy::{Network, Vacancies};
use super::{Counts, Holder, LedgerEntry, Outcome, OutsidePool, Plan, PoolReport, Refusal, Snapshot};
use crate::address::{Family, Vip};
use crate::names::{PoolName, ServiceKey};
use crate::pool::{Exclusion, Pool};
use crate::service::ServiceRequest;
use std::collections::{BTreeMap, HashMap};

/// An address with its pool, by family.
type Grants = BTreeMap<Family, (Vip, PoolName)>;

/// A plan in the making.
pub(super) struct Planner<'a> {
    snapshot: &'a Snapshot,
    territory: Territory,
    /// Pools in the order in which they are tried.
    pools: Vec<&'a Pool>,
    vacancies: Vacancies,
    /// What each Service has in the ledger.
    held: HashMap<&'a ServiceKey, Vec<Vip>>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut pools: Vec<_> = snapshot.pools.values().collect();
        pools.sort_by_key(|pool| pool.precedence());
        let mut held: HashMap<_, Vec<Vip>> = HashMap::new();
        for (vip, holder) in snapshot.ledger.iter().filter_map(|(vip, entry)| Some((vip, entry.holder.as_ref()?))) {
            if snapshot.services.get(&holder.key).is_some_and(|service| service.uid == holder.uid) {
                held.entry(&holder.key).or_default().push(*vip);
            }
        }
        Self {
            snapshot,
            territory: Territory::new(pools.iter().copied()),
            pools,
            vacancies: Vacancies::new(snapshot.ledger.keys().copied().collect()),
            held,
            plan: Plan::default(),
        }
    }

    pub(super) fn plan(mut self) -> Plan {
        let (asking, others): (Vec<_>, Vec<_>) =
            self.snapshot.services.values().partition(|service| !service.addresses.is_empty());
        for service in &asking {
            for vip in &service.addresses {
                if self.eligible(service, *vip).is_ok() {
                    self.vacancies.reserve(*vip);
                }
            }
        }
        for service in asking {
            self.serve(service);
        }
        self.vacancies.end_reservations();
        for service in others {
            self.serve(service);
        }
        self.report();
        self.plan
    }

    /// Decides what one Service gets.
    fn serve(&mut self, service: &ServiceRequest) {
        let held = self.kept(service);
        if let Some(message) = &service.invalid {
            return self.commit(service, &held, Some(Refusal::InvalidRequest { message: message.clone() }));
        }
        let mut grants = held.clone();
        let mut refusals = BTreeMap::new();
        self.grant_requested(service, &mut grants, &mut refusals);
        self.grant_automatic(service, &mut grants, &mut refusals);
        if service.require_all_families && service.families.iter().any(|family| !grants.contains_key(family)) {
            grants = held;
        }
        let refusal = service.families.iter().find_map(|family| refusals.remove(family));
        self.commit(service, &grants, refusal);
    }

    /// What the Service keeps of what it holds: one address for each family it wants.
    fn kept(&self, service: &ServiceRequest) -> Grants {
        let mut kept = Grants::new();
        let held = self.held.get(&service.key).map_or(&[][..], Vec::as_slice);
        for family in &service.families {
            let worth = |vip: &Vip| {
                let (asked, shown) = (service.addresses.contains(vip), service.published.contains(vip));
                (!asked, !shown, self.snapshot.occupied.contains(vip), *vip)
            };
            let best = held.iter().filter(|vip| vip.family() == *family).min_by_key(|vip| worth(vip));
            kept.extend(best.map(|vip| (*family, (*vip, self.home(*vip)))));
        }
        kept
    }

    /// The pool of an address in the ledger: the one it came from, unless that one has it no more and another has.
    fn home(&self, vip: Vip) -> PoolName {
        let recorded = self.snapshot.ledger.get(&vip).map(|entry| &entry.pool);
        let still_there = recorded.filter(|pool| self.snapshot.pools.get(pool).is_some_and(|pool| pool.holds(vip)));
        let elsewhere = || self.territory.pool_of(vip).or(recorded);
        still_there.or_else(elsewhere).cloned().unwrap_or_else(|| "".into())
    }

    fn grant_requested(&self, service: &ServiceRequest, grants: &mut Grants, refusals: &mut BTreeMap<Family, Refusal>) {
        for vip in service.addresses.iter().filter(|vip| service.families.contains(&vip.family())) {
            if grants.get(&vip.family()).is_some_and(|(held, _)| held == vip) {
                continue;
            }
            match self.eligible(service, *vip).and_then(|pool| self.free(service, *vip).map(|()| pool)) {
                Ok(pool) => {
                    grants.insert(vip.family(), (*vip, pool));
                }
                Err(refusal) => {
                    refusals.insert(vip.family(), refusal);
                }
            }
        }
    }

    /// The pool from which the Service may have this very address.
    fn eligible(&self, service: &ServiceRequest, vip: Vip) -> Result<PoolName, Refusal> {
        let request = Request { service, snapshot: self.snapshot };
        let Some(name) = self.territory.pool_of(vip) else { return Err(request.not_in_pool(vip)) };
        if !service.pools.is_empty() && !service.pools.iter().any(|asked| asked == name.as_str()) {
            return Err(request.not_in_pool_asked_for(vip, name));
        }
        match self.snapshot.pools.get(name).map(|pool| self.admit(service, pool)) {
            Some(Err(exclusion)) => Err(request.not_admitted(vip, name, &exclusion)),
            _ => Ok(name.clone()),
        }
    }

    fn free(&self, service: &ServiceRequest, vip: Vip) -> Result<(), Refusal> {
        if !self.vacancies.is_taken(vip) {
            return Ok(());
        }
        let entry = self.plan.ledger.get(&vip).or_else(|| self.snapshot.ledger.get(&vip));
        Err(Request { service, snapshot: self.snapshot }.in_use(vip, entry))
    }

    fn admit(&self, service: &ServiceRequest, pool: &Pool) -> Result<(), Exclusion> {
        pool.admit(service, self.snapshot.namespaces.get(&service.key.namespace))
    }

    /// Finds an address for each family that has none yet, or has one from a pool not asked for.
    fn grant_automatic(
        &mut self,
        service: &ServiceRequest,
        grants: &mut Grants,
        refusals: &mut BTreeMap<Family, Refusal>,
    ) {
        let requested = |family: Family| service.addresses.iter().any(|vip| vip.family() == family);
        let lacking: Vec<_> = service
            .families
            .iter()
            .copied()
            .filter(|family| {
                let does = |grant| self.is_asked_for(service, grant) && !self.is_spoiled(service, grant);
                !requested(*family) && !grants.get(family).is_some_and(does)
            })
            .collect();
        if lacking.is_empty() {
            return;
        }
        let (candidates, exclusions) = self.candidates(service);
        let partner = grants.values().map(|(_, pool)| pool).find(|pool| candidates.contains(pool)).cloned();
        let common = candidates.iter().find(|pool| lacking.iter().all(|family| self.vacancy(pool, *family).is_some()));
        let first = partner.or_else(|| common.cloned());
        for family in lacking {
            let order: Vec<_> = first.iter().chain(&candidates).collect();
            let found = self.find(&order, family);
            let optional = service.families.first() != Some(&family) && !service.require_all_families;
            let spoiled = grants.get(&family).is_some_and(|grant| self.is_asked_for(service, grant));
            match found {
                // It keeps the one that it has until there is one that nobody answers for.
                found if spoiled && found.as_ref().is_none_or(|(vip, _)| self.snapshot.occupied.contains(vip)) => {}
                Some(grant) => {
                    grants.insert(family, grant);
                }
                None if optional && !grants.contains_key(&family) => {}
                None => {
                    let request = Request { service, snapshot: self.snapshot };
                    refusals.insert(family, request.nothing_left(family, &candidates, &exclusions, &self.territory));
                }
            }
        }
    }

    /// Whether the pools that the Service names, if it names any, include this address's.
    fn is_asked_for(&self, service: &ServiceRequest, (vip, pool): &(Vip, PoolName)) -> bool {
        let asked = |pool: &PoolName| service.pools.iter().any(|asked| asked == pool.as_str());
        service.pools.is_empty() || asked(pool) || self.territory.pool_of(*vip).is_some_and(asked)
    }

    /// Whether somebody else answers for an address that the Service neither asked for nor shows.
    fn is_spoiled(&self, service: &ServiceRequest, (vip, _): &(Vip, PoolName)) -> bool {
        self.snapshot.occupied.contains(vip) && !service.published.contains(vip) && !service.addresses.contains(vip)
    }

    /// The pools to look into, in this order; and why not into the others.
    fn candidates(&self, service: &ServiceRequest) -> (Vec<PoolName>, Exclusions) {
        let mut candidates = Vec::new();
        let mut exclusions = Exclusions::default();
        let named = service.pools.iter().filter_map(|name| self.snapshot.pools.get(&PoolName::new(name)));
        let all = self.pools.iter().copied().filter(|_| service.pools.is_empty());
        for pool in named.chain(all) {
            let automatic = pool.auto_assign || !service.pools.is_empty();
            let verdict = if automatic { self.admit(service, pool) } else { Err(Exclusion::NotAutomatic) };
            match verdict {
                Ok(()) => candidates.push(pool.name.clone()),
                Err(exclusion) => exclusions.add(&pool.name, exclusion),
            }
        }
        (candidates, exclusions)
    }

    /// The next address from the first of the pools that has one, if possible one that nobody answers for.
    fn find(&mut self, pools: &[&PoolName], family: Family) -> Option<(Vip, PoolName)> {
        let occupied = &self.snapshot.occupied;
        let mut vacancies = pools.iter().filter_map(|pool| Some((self.vacancy(pool, family)?, (*pool).clone())));
        let first = vacancies.next()?;
        if !occupied.contains(&first.0) {
            return Some(first);
        }
        vacancies.find(|(vip, _)| !occupied.contains(vip)).or(Some(first))
    }

    fn vacancy(&mut self, pool: &PoolName, family: Family) -> Option<Vip> {
        let network = Network { silent: &self.snapshot.silent, occupied: &self.snapshot.occupied };
        self.vacancies.next(&self.territory, pool, family, network)
    }

    fn commit(&mut self, service: &ServiceRequest, grants: &Grants, refusal: Option<Refusal>) {
        let holder = Holder { key: service.key.clone(), uid: service.uid.clone(), ports: service.ports.clone() };
        for (vip, pool) in grants.values() {
            self.vacancies.take(*vip);
            self.plan.ledger.insert(*vip, LedgerEntry { pool: pool.clone(), holder: Some(holder.clone()) });
        }
        let addresses = service.families.iter().filter_map(|family| grants.get(family).cloned()).collect();
        self.plan.services.insert(service.key.clone(), Outcome { addresses, refusal });
    }

    /// Says what pools' and addresses' statuses should say.
    fn report(&mut self) {
        let mut assigned: HashMap<(&PoolName, Family), u64> = HashMap::new();
        for (vip, entry) in &self.plan.ledger {
            if let Some(pool) = self.territory.pool_of(*vip) {
                let count = assigned.entry((pool, vip.family())).or_default();
                *count = count.saturating_add(1);
            } else if self.snapshot.pools.contains_key(&entry.pool) {
                self.plan.outside.insert(*vip, OutsidePool::OutsidePool);
            } else if !self.snapshot.pools_set_aside.contains_key(&entry.pool) {
                self.plan.outside.insert(*vip, OutsidePool::PoolGone);
            }
        }
        for name in self.snapshot.pools.keys() {
            let counts = |family| {
                let total = self.territory.total(name, family);
                let assigned = assigned.get(&(name, family)).copied().unwrap_or_default();
                Counts { total, assigned, available: total.saturating_sub(assigned) }
            };
            let (ipv4, ipv6) = (counts(Family::V4), counts(Family::V6));
            self.plan.pools.insert(name.clone(), PoolReport { ipv4, ipv6, overlaps: self.territory.overlaps(name) });
        }
    }
}
