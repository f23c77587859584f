//! What holds for any cluster. Names, addresses and pools are few, so that they meet often.

use super::reference::{Decisions, decide};
use super::*;
use proptest::prelude::*;

fn any_vip() -> impl Strategy<Value = Vip> {
    (any::<bool>(), 0..12_u8)
        .prop_map(|(v6, last)| if v6 { vip(&format!("2001:db8::{last:x}")) } else { vip(&format!("192.0.2.{last}")) })
}

fn any_range() -> impl Strategy<Value = AddressRange> {
    (any_vip(), 0..5_u8).prop_map(|(first, length)| {
        let upwards = AddressRange::new(
            first.address(),
            if first.family() == Family::V4 { vip("192.0.2.20") } else { vip("2001:db8::20") }.address(),
        );
        let last = upwards.unwrap().addresses_from(first).nth(usize::from(length)).unwrap();
        AddressRange::new(first.address(), last.address()).unwrap()
    })
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let selector = prop::option::weighted(0.3, Just(selector("app", "web")));
    let namespaces =
        prop::collection::btree_set(prop::sample::select(vec!["default", "other"]).prop_map(Namespace::from), 0..2);
    (name, prop::collection::vec(any_range(), 1..3), prop::bool::weighted(0.8), 0..3, selector, namespaces).prop_map(
        |(name, ranges, auto_assign, priority, service_selector, namespaces)| Pool {
            name: name.into(),
            ranges,
            auto_assign,
            priority,
            service_selector,
            namespace_selector: None,
            namespaces,
            probed: true,
        },
    )
}

fn any_service() -> impl Strategy<Value = ServiceRequest> {
    let name = prop::sample::select(vec!["s1", "s2", "s3", "s4", "s5"]);
    let families = prop::sample::select(vec![
        vec![Family::V4],
        vec![Family::V6],
        vec![Family::V4, Family::V6],
        vec![Family::V6, Family::V4],
    ]);
    let pools = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "gone"]).prop_map(str::to_owned), 0..3);
    let pools = prop_oneof![3 => Just(Vec::new()), 1 => pools];
    let addresses = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any_vip(), 1..3)];
    let published = prop::collection::vec(any_vip(), 0..2);
    (name, 0..2_u8, any::<bool>(), families, any::<bool>(), pools, addresses, published).prop_map(
        |(name, life, labelled, families, require_all_families, pools, mut addresses, published)| {
            addresses.retain(|vip| families.contains(&vip.family()));
            addresses.dedup_by_key(|vip| vip.family());
            ServiceRequest {
                key: key(name),
                uid: format!("{name} {life}").into(),
                labels: if labelled { labels("app", "web") } else { BTreeMap::new() },
                families,
                require_all_families,
                pools,
                addresses,
                invalid: None,
                ports: BTreeSet::new(),
                published,
            }
        },
    )
}

fn any_entry() -> impl Strategy<Value = LedgerEntry> {
    let name = prop::sample::select(vec!["s1", "s2", "s3", "s4", "s5", "gone"]);
    let pool = prop::sample::select(vec!["a", "b", "c", "gone"]);
    (pool, prop::option::weighted(0.9, (name, 0..2_u8))).prop_map(|(pool, holder)| LedgerEntry {
        pool: pool.into(),
        holder: holder.map(|(name, life)| Holder {
            key: key(name),
            uid: format!("{name} {life}").into(),
            ports: BTreeSet::new(),
        }),
    })
}

fn any_cluster() -> impl Strategy<Value = Cluster> {
    let pools = prop::collection::vec(any_pool(), 0..4);
    let services = prop::collection::vec(any_service(), 0..6);
    let ledger = prop::collection::btree_map(any_vip(), any_entry(), 0..6);
    let [silent, occupied] = [0..3, 0..4].map(|size| prop::collection::btree_set(any_vip(), size));
    (pools, services, ledger, silent, occupied).prop_map(|(pools, services, ledger, silent, occupied)| {
        Cluster(Snapshot {
            pools: pools.into_iter().map(|pool| (pool.name.clone(), pool)).collect(),
            services: services.into_iter().map(|service| (service.key.clone(), Arc::new(service))).collect(),
            ledger,
            silent,
            occupied,
            ..Snapshot::default()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_plan_is_that_of_the_slow_reference(cluster in any_cluster()) {
        let plan = cluster.plan();
        let decisions: Decisions = plan.services.iter().map(|(key, outcome)| {
            let addresses = outcome.addresses.iter().map(|(vip, _)| *vip).collect();
            (key.clone(), (addresses, outcome.refusal.as_ref().map(Refusal::reason)))
        }).collect();
        prop_assert_eq!(decisions, decide(&cluster.0));
    }

    #[test]
    fn ledger_and_outcomes_are_two_views_of_one_thing(cluster in any_cluster()) {
        let plan = cluster.plan();
        let from_ledger: BTreeSet<_> = plan.ledger.iter()
            .map(|(vip, entry)| (*vip, entry.pool.clone(), entry.holder.clone().unwrap().key)).collect();
        let from_outcomes: BTreeSet<_> = plan.services.iter()
            .flat_map(|(key, outcome)| outcome.addresses.iter().map(|(vip, pool)| (*vip, pool.clone(), key.clone())))
            .collect();
        let given_out: usize = plan.services.values().map(|outcome| outcome.addresses.len()).sum();
        prop_assert_eq!(given_out, plan.ledger.len(), "an address is given out twice");
        prop_assert_eq!(from_ledger, from_outcomes);
        for (key, outcome) in &plan.services {
            let families: Vec<_> = outcome.addresses.iter().map(|(vip, _)| vip.family()).collect();
            let wanted = &cluster.0.services[key].families;
            prop_assert!(families.iter().all(|family| wanted.contains(family)));
            prop_assert!(families.first() != families.get(1) || families.is_empty(), "one address per family");
            prop_assert!(!families.is_empty() || outcome.refusal.is_some(), "nothing, and no reason");
        }
    }

    #[test]
    fn nobody_gets_an_address_that_the_ledger_has_for_somebody_else(cluster in any_cluster()) {
        for (vip, entry) in cluster.plan().ledger {
            if let Some(before) = cluster.0.ledger.get(&vip) {
                let life = |entry: &LedgerEntry| entry.holder.as_ref().map(|holder| (holder.key.clone(), holder.uid.clone()));
                prop_assert_eq!(life(before), life(&entry), "{} changed hands without leaving the ledger", vip);
            }
        }
    }

    #[test]
    fn planning_again_moves_nobody(mut cluster in any_cluster()) {
        let mut before = cluster.step();
        for _ in 0..12 {
            let after = cluster.step();
            for (key, outcome) in &before.services {
                let stays = |address: &(Vip, PoolName)| {
                    after.services[key].addresses.contains(address) || cluster.0.occupied.contains(&address.0)
                };
                let stays = outcome.refusal.is_some() || outcome.addresses.iter().all(stays);
                prop_assert!(stays, "{} had {:?} and has {:?}", key, outcome, after.services[key]);
            }
            if after == before {
                return Ok(());
            }
            before = after;
        }
        prop_assert!(false, "the plan comes to no rest");
    }

    #[test]
    fn a_service_that_asks_for_nothing_in_particular_keeps_what_it_has(mut cluster in any_cluster()) {
        let before = cluster.step();
        cluster.0.pools.clear();
        let after = cluster.plan();
        for (key, service) in cluster.0.services.iter().filter(|(_, service)| service.pools.is_empty()) {
            let has: BTreeSet<_> = before.services[key].addresses.iter().map(|(vip, _)| *vip).collect();
            let keeps = after.services[key].addresses.iter().map(|(vip, _)| *vip).collect();
            prop_assert_eq!(has, keeps, "{:?}", service);
        }
    }

    #[test]
    fn what_belongs_to_a_pool_is_assigned_or_available(cluster in any_cluster()) {
        let plan = cluster.plan();
        for (name, report) in &plan.pools {
            for counts in [report.ipv4, report.ipv6] {
                prop_assert_eq!(counts.total, counts.assigned + counts.available, "{}", name);
            }
        }
        let total: u64 = plan.pools.values().map(|report| report.ipv4.total + report.ipv6.total).sum();
        let distinct: BTreeSet<_> = cluster.0.pools.values()
            .flat_map(|pool| pool.ranges.iter().flat_map(|range| range.addresses_from(range.first()))).collect();
        prop_assert_eq!(total, distinct.len() as u64, "an overlapped address counts once");
    }

    #[test]
    fn the_same_cluster_always_has_the_same_plan(cluster in any_cluster()) {
        prop_assert_eq!(cluster.plan(), cluster.clone().plan());
    }
}
