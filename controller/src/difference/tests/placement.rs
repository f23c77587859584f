//! Which nodes the ledger names.

use super::*;
use herald_api::slim::TrafficPolicy;
use herald_core::balance::PACE;
use std::collections::BTreeMap;

fn with_nodes(nodes: &[&'static str]) -> Cluster {
    let mut cluster = Cluster { nodes: nodes.to_vec(), ..Cluster::new(false) };
    cluster.pool.ranges = vec!["192.0.2.1-192.0.2.200".parse().unwrap()];
    cluster.pool.probed = false;
    cluster
}

fn settle(process: &mut Process, cluster: &mut Cluster) {
    process.relist(cluster);
    process.work(cluster);
    cluster.speak();
    process.relist(cluster);
    process.work(cluster);
}

fn loads(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut loads = BTreeMap::new();
    for object in cluster.vips.values() {
        let announcer = object.status.as_ref().and_then(|status| status.announcer.as_ref());
        *loads.entry(announcer.map(|announcer| announcer.node.clone()).unwrap_or_default()).or_default() += 1;
    }
    loads
}

#[test]
fn new_addresses_are_spread_over_the_nodes_with_the_write_that_records_them() {
    let mut cluster = with_nodes(&["node-1", "node-2", "node-3"]);
    let mut process = Process::new(&cluster);
    (0..10).for_each(|number| cluster.create(&key(number), false));
    process.relist(&cluster);
    process.work(&mut cluster);
    let named: BTreeSet<_> = cluster.vips.values().map(|object| object.spec.preferred_node.clone()).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    settle(&mut process, &mut cluster);
    let counts: Vec<_> = loads(&cluster).into_values().collect();
    assert!(counts.len() == 3 && counts.iter().all(|count| (3..=4).contains(count)), "{counts:?}");
}

#[test]
fn an_address_whose_endpoints_decide_is_left_to_the_speakers() {
    let mut cluster = with_nodes(&["node-1", "node-2"]);
    let mut process = Process::new(&cluster);
    cluster.create(&key(0), false);
    cluster.services.get_mut(&key(0)).unwrap().spec.external_traffic_policy = Some(TrafficPolicy::Local);
    process.relist(&cluster);
    process.run(&mut cluster, &mut usize::MAX.clone()).unwrap();
    assert_eq!(cluster.vips.values().next().unwrap().spec.preferred_node, None);
}

#[test]
fn a_takeover_is_followed_with_one_write_each_and_balance_comes_one_by_one() {
    let mut cluster = with_nodes(&["node-1", "node-2"]);
    let mut process = Process::new(&cluster);
    (0..8).for_each(|number| cluster.create(&key(number), false));
    settle(&mut process, &mut cluster);
    cluster.take_over("node-2", "node-1");
    process.relist(&cluster);
    let effects = |lanes: Vec<Lane>| lanes.into_iter().flat_map(|lane| lane.effects).collect::<Vec<_>>();
    let follow = effects(process.lanes_now(&cluster));
    let to_node_1 = |effect: &&Effect| matches!(effect, Effect::PreferNode { node, .. } if node.as_str() == "node-1");
    assert_eq!(follow.iter().filter(to_node_1).count(), 4, "{follow:?}");
    process.work(&mut cluster);
    process.now.monotonic += PACE;
    let back = effects(process.lanes_now(&cluster));
    let to_node_2 = |effect: &&Effect| matches!(effect, Effect::PreferNode { node, .. } if node.as_str() == "node-2");
    assert_eq!(back.iter().filter(to_node_2).count(), 1, "{back:?}");
    let again = effects(process.lanes_now(&cluster));
    assert_eq!(again.iter().filter(to_node_2).count(), 0, "one move in {PACE:?}: {again:?}");
}
