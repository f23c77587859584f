//! Allocation once more, slowly and without cleverness: every question is answered by looking at everything.

use super::*;

/// The addresses of each Service and the reason of its refusal.
pub(super) type Decisions = BTreeMap<ServiceKey, (Vec<Vip>, Option<&'static str>)>;

pub(super) fn decide(snapshot: &Snapshot) -> Decisions {
    let mut taken: BTreeSet<Vip> = snapshot.ledger.keys().copied().collect();
    let (asking, others): (Vec<_>, Vec<_>) = snapshot.services.values().partition(|s| !s.addresses.is_empty());
    let wanted: BTreeSet<Vip> = asking
        .iter()
        .flat_map(|service| service.addresses.iter().filter(|vip| may_have(snapshot, service, **vip).is_ok()))
        .copied()
        .collect();
    let mut decisions = Decisions::new();
    for (services, avoid) in [(asking, wanted), (others, BTreeSet::new())] {
        for service in services {
            let decision = decide_one(snapshot, service, &taken, &avoid);
            taken.extend(&decision.0);
            decisions.insert(service.key.clone(), decision);
        }
    }
    decisions
}

fn decide_one(
    snapshot: &Snapshot,
    service: &ServiceRequest,
    taken: &BTreeSet<Vip>,
    avoid: &BTreeSet<Vip>,
) -> (Vec<Vip>, Option<&'static str>) {
    let held: BTreeMap<Family, Vip> =
        service.families.iter().filter_map(|family| Some((*family, held(snapshot, service, *family)?))).collect();
    let in_order =
        |gets: &BTreeMap<Family, Vip>| service.families.iter().filter_map(|f| gets.get(f).copied()).collect();
    let mut gets = held.clone();
    let mut refused: BTreeMap<Family, &'static str> = BTreeMap::new();
    for vip in &service.addresses {
        if gets.get(&vip.family()) != Some(vip) {
            match may_have(snapshot, service, *vip) {
                Err(reason) => drop(refused.insert(vip.family(), reason)),
                Ok(()) if taken.contains(vip) => drop(refused.insert(vip.family(), "AddressInUse")),
                Ok(()) => drop(gets.insert(vip.family(), *vip)),
            }
        }
    }
    let pools = candidates(snapshot, service);
    let free = |pool: &Pool, family: Family| {
        let is_free = |vip: &Vip| vip.family() == family && !taken.contains(vip) && !avoid.contains(vip);
        next_of(snapshot, pool, is_free)
    };
    let spoiled = |vip: &Vip| {
        snapshot.occupied.contains(vip) && !service.published.contains(vip) && !service.addresses.contains(vip)
    };
    let lacking: Vec<Family> = service
        .families
        .iter()
        .copied()
        .filter(|family| !service.addresses.iter().any(|vip| vip.family() == *family))
        .filter(|family| {
            let keeps = |vip: &Vip| from_pools_asked_for(snapshot, service, *vip) && !spoiled(vip);
            !gets.get(family).is_some_and(keeps)
        })
        .collect();
    let partner = gets
        .values()
        .map(|vip| home(snapshot, *vip))
        .find_map(|name| pools.iter().find(|pool| Some(&pool.name) == name.as_ref()));
    let common = pools.iter().find(|pool| lacking.iter().all(|family| free(pool, *family).is_some()));
    for family in &lacking {
        let kept = gets.get(family).copied().filter(|vip| from_pools_asked_for(snapshot, service, *vip));
        let found = partner.or(common).into_iter().chain(&pools).filter_map(|pool| free(pool, *family));
        match best(snapshot, kept, found) {
            Some(vip) => drop(gets.insert(*family, vip)),
            None if gets.contains_key(family) || service.require_all_families || service.families[0] == *family => {
                refused.insert(*family, why_nothing(snapshot, &pools, *family));
            }
            None => {}
        }
    }
    if service.require_all_families && gets.len() < service.families.len() {
        gets = held;
    }
    (in_order(&gets), service.families.iter().find_map(|family| refused.get(family).copied()))
}

/// What a pool gives out next, of what is free.
fn next_of(snapshot: &Snapshot, pool: &Pool, is_free: impl Fn(&Vip) -> bool) -> Option<Vip> {
    let mut free: Vec<Vip> = Vec::new();
    for vip in all_of(pool).filter(|vip| owner(snapshot, *vip) == Some(&pool.name) && is_free(vip)) {
        if !free.contains(&vip) {
            free.push(vip);
        }
    }
    let silent = free.iter().take(UPCOMING).find(|vip| snapshot.silent.contains(vip));
    let unanswered = free.iter().find(|vip| !snapshot.occupied.contains(vip));
    silent.or(unanswered).or_else(|| free.first()).copied()
}

/// The first that nobody answers for, else what the Service has, else the first.
fn best(snapshot: &Snapshot, kept: Option<Vip>, found: impl Iterator<Item = Vip>) -> Option<Vip> {
    let found: Vec<_> = found.collect();
    let good = found.iter().find(|vip| !snapshot.occupied.contains(vip)).copied();
    good.or(kept).or_else(|| found.first().copied())
}

fn held(snapshot: &Snapshot, service: &ServiceRequest, family: Family) -> Option<Vip> {
    let is_mine = |entry: &LedgerEntry| {
        entry.holder.as_ref().is_some_and(|holder| holder.key == service.key && holder.uid == service.uid)
    };
    let mut mine: Vec<Vip> = snapshot.ledger.iter().filter(|(_, entry)| is_mine(entry)).map(|(vip, _)| *vip).collect();
    mine.retain(|vip| vip.family() == family);
    let requested = mine.iter().find(|vip| service.addresses.contains(vip));
    let published = mine.iter().find(|vip| service.published.contains(vip));
    let unanswered = mine.iter().find(|vip| !snapshot.occupied.contains(vip));
    requested.or(published).or(unanswered).or_else(|| mine.first()).copied()
}

fn by_precedence(snapshot: &Snapshot) -> Vec<&Pool> {
    let mut pools: Vec<_> = snapshot.pools.values().collect();
    pools.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    pools
}

fn owner(snapshot: &Snapshot, vip: Vip) -> Option<&PoolName> {
    by_precedence(snapshot).into_iter().find(|pool| all_of(pool).any(|other| other == vip)).map(|pool| &pool.name)
}

fn home(snapshot: &Snapshot, vip: Vip) -> Option<PoolName> {
    let recorded = snapshot.ledger.get(&vip).map(|entry| &entry.pool);
    let there =
        recorded.filter(|name| snapshot.pools.get(name).is_some_and(|pool| all_of(pool).any(|other| other == vip)));
    there.or_else(|| owner(snapshot, vip)).or(recorded).cloned()
}

fn all_of(pool: &Pool) -> impl Iterator<Item = Vip> {
    pool.ranges.iter().flat_map(|range| range.addresses_from(range.first()))
}

fn admits(snapshot: &Snapshot, pool: &Pool, service: &ServiceRequest) -> bool {
    pool.admit(service, snapshot.namespaces.get(&service.key.namespace)).is_ok()
}

fn candidates<'a>(snapshot: &'a Snapshot, service: &ServiceRequest) -> Vec<&'a Pool> {
    let named = service.pools.iter().filter_map(|name| snapshot.pools.get(&PoolName::new(name)));
    let automatic = by_precedence(snapshot).into_iter().filter(|pool| pool.auto_assign);
    let pools: Vec<_> = if service.pools.is_empty() { automatic.collect() } else { named.collect() };
    pools.into_iter().filter(|pool| admits(snapshot, pool, service)).collect()
}

fn from_pools_asked_for(snapshot: &Snapshot, service: &ServiceRequest, vip: Vip) -> bool {
    let asked = |name: &PoolName| service.pools.iter().any(|asked| asked == name.as_str());
    service.pools.is_empty()
        || home(snapshot, vip).is_some_and(|name| asked(&name))
        || owner(snapshot, vip).is_some_and(asked)
}

fn may_have(snapshot: &Snapshot, service: &ServiceRequest, vip: Vip) -> Result<(), &'static str> {
    let nothing = if snapshot.pools.is_empty() { "NoPool" } else { "AddressNotInPool" };
    let name = owner(snapshot, vip).ok_or(nothing)?;
    if !service.pools.is_empty() && !service.pools.iter().any(|asked| asked == name.as_str()) {
        return Err("InvalidRequest");
    }
    if admits(snapshot, &snapshot.pools[name], service) { Ok(()) } else { Err("NoMatchingPool") }
}

fn why_nothing(snapshot: &Snapshot, candidates: &[&Pool], family: Family) -> &'static str {
    let has_family =
        |pool: &Pool| all_of(pool).any(|vip| vip.family() == family && owner(snapshot, vip) == Some(&pool.name));
    if snapshot.pools.is_empty() {
        "NoPool"
    } else if candidates.is_empty() {
        "NoMatchingPool"
    } else if candidates.iter().any(|pool| has_family(pool)) {
        "PoolExhausted"
    } else {
        "FamilyUnavailable"
    }
}
