//! What the network said about addresses, and what comes of it.

use super::*;

fn vips(last: impl IntoIterator<Item = u8>) -> BTreeSet<Vip> {
    last.into_iter().map(|last| vip(&format!("192.0.2.{last}"))).collect()
}

#[test]
fn of_the_next_addresses_one_that_was_found_silent_is_given_out_first() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    cluster.0.silent = vips([3, 200]);
    assert_eq!(cluster.addresses("web"), ["192.0.2.3"]);
    cluster.0.silent = vips([200]);
    assert_eq!(cluster.addresses("web"), ["192.0.2.0"], "one far away is nobody's next");
}

#[test]
fn an_address_that_somebody_answers_for_is_given_out_only_when_nothing_else_is_left() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0-192.0.2.20"]);
    cluster.service("web");
    cluster.0.occupied = vips(0..12);
    assert_eq!(cluster.addresses("web"), ["192.0.2.12"]);
    cluster.0.occupied = vips(0..=20);
    assert_eq!(cluster.addresses("web"), ["192.0.2.0"]);
    cluster.pool("reserve", &["198.51.100.7"]).priority = 200;
    assert_eq!(cluster.addresses("web"), ["198.51.100.7"], "better from another pool");
}

#[test]
fn a_service_gets_another_address_when_somebody_answers_for_one_that_it_does_not_show_yet() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0-192.0.2.1"]);
    cluster.service("web");
    cluster.step();
    cluster.0.occupied = vips([0]);
    assert_eq!(cluster.addresses("web"), ["192.0.2.1"]);
    cluster.change("web").published = vec![vip("192.0.2.0")];
    assert_eq!(cluster.addresses("web"), ["192.0.2.0"], "what it shows never changes in silence");
    cluster.change("web").published.clear();
    cluster.change("web").addresses = vec![vip("192.0.2.0")];
    assert_eq!(cluster.addresses("web"), ["192.0.2.0"], "it asked for this one");
    cluster.change("web").addresses.clear();
    cluster.0.occupied = vips([0, 1]);
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "web"), refusal(&plan, "web")), (vec!["192.0.2.0".to_owned()], String::new()));
}

#[test]
fn the_next_addresses_are_those_that_the_plan_gives_out_next() {
    let mut cluster = Cluster::with_lan(&["192.0.2.10", "192.0.2.0-192.0.2.8", "2001:db8::/64"]);
    cluster.pool("dmz", &["192.0.2.3-192.0.2.4", "198.51.100.0/24"]).priority = 10;
    cluster.pool("quiet", &["203.0.113.0/24"]).probed = false;
    cluster.0.ledger.insert(vip("192.0.2.1"), LedgerEntry { pool: "lan".into(), holder: None });
    let next = upcoming(cluster.0.pools.values(), |vip| !cluster.0.ledger.contains_key(&vip));
    let mut expected = vips([0, 2, 3, 4, 5, 6, 7, 8, 10]);
    expected.extend((0..6).map(|last| vip(&format!("198.51.100.{last}"))));
    expected.extend((0..8).map(|last| vip(&format!("2001:db8::{last}"))));
    assert_eq!(next, expected);
    cluster.0.pools.remove(&PoolName::new("quiet"));
    for number in 0..8 {
        cluster.service(&format!("web-{number}"));
    }
    let given: BTreeSet<_> = cluster.plan().ledger.into_keys().collect();
    assert!(given.is_subset(&next), "{given:?} were not all among {next:?}");
}
