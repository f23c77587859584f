//! Services of two families.

use super::*;

const BOTH: [Family; 2] = [Family::V4, Family::V6];

#[test]
fn both_families_come_from_one_pool_if_one_has_both() {
    let mut cluster = Cluster::default();
    cluster.pool("first", &["192.0.2.0/24"]).priority = 1;
    cluster.pool("second", &["198.51.100.0/24", "2001:db8::/64"]);
    cluster.service("web").families = BOTH.to_vec();
    assert_eq!(cluster.addresses("web"), ["198.51.100.0", "2001:db8::"]);
    cluster.service("v6-first").families = vec![Family::V6, Family::V4];
    assert_eq!(cluster.addresses("v6-first"), ["2001:db8::", "198.51.100.0"], "in the order of the Service");
}

#[test]
fn two_pools_serve_where_none_has_both() {
    let mut cluster = Cluster::default();
    cluster.pool("v4", &["192.0.2.0/24"]);
    cluster.pool("v6", &["2001:db8::/64"]);
    cluster.service("web").families = BOTH.to_vec();
    assert_eq!(cluster.addresses("web"), ["192.0.2.0", "2001:db8::"]);
}

#[test]
fn a_second_family_that_is_only_preferred_may_be_missing_and_comes_later() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web").families = BOTH.to_vec();
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "web"), refusal(&plan, "web")), (vec!["192.0.2.0".to_owned()], String::new()));
    cluster.pool("lan", &["192.0.2.0/24", "2001:db8::/64"]);
    assert_eq!(cluster.addresses("web"), ["192.0.2.0", "2001:db8::"]);
}

#[test]
fn a_first_family_that_is_missing_is_a_refusal_even_if_the_second_is_there() {
    let mut cluster = Cluster::with_lan(&["2001:db8::/64"]);
    cluster.service("web").families = BOTH.to_vec();
    let plan = cluster.plan();
    assert_eq!(addresses(&plan, "web"), ["2001:db8::"]);
    assert!(refusal(&plan, "web").starts_with("FamilyUnavailable"), "{}", refusal(&plan, "web"));
}

#[test]
fn two_families_required_are_two_or_nothing() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    let web = cluster.service("web");
    (web.families, web.require_all_families) = (BOTH.to_vec(), true);
    let plan = cluster.step();
    assert_eq!(addresses(&plan, "web"), [""; 0]);
    assert!(refusal(&plan, "web").starts_with("FamilyUnavailable"), "{}", refusal(&plan, "web"));
    cluster.pool("lan", &["192.0.2.0/24", "2001:db8::/64"]);
    assert_eq!(cluster.addresses("web"), ["192.0.2.0", "2001:db8::"]);
}

#[test]
fn a_requirement_that_can_not_be_met_takes_nothing_away() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    cluster.step();
    let web = cluster.change("web");
    (web.families, web.require_all_families) = (BOTH.to_vec(), true);
    let plan = cluster.step();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
    assert!(refusal(&plan, "web").starts_with("FamilyUnavailable"), "{}", refusal(&plan, "web"));
}

#[test]
fn a_family_no_longer_wanted_is_released_and_the_other_stays() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24", "2001:db8::/64"]);
    cluster.service("web").families = BOTH.to_vec();
    cluster.step();
    cluster.change("web").families = vec![Family::V4];
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "web"), plan.ledger.len()), (vec!["192.0.2.0".to_owned()], 1));
}

#[test]
fn the_family_that_is_added_comes_from_the_pool_of_the_first() {
    let mut cluster = Cluster::default();
    cluster.pool("a", &["2001:db8:a::/64"]);
    cluster.pool("b", &["192.0.2.0/24", "2001:db8:b::/64"]);
    cluster.service("web");
    cluster.step();
    cluster.change("web").families = BOTH.to_vec();
    assert_eq!(cluster.addresses("web"), ["192.0.2.0", "2001:db8:b::"]);
}

#[test]
fn one_family_may_be_requested_and_the_other_not() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24", "2001:db8::/64"]);
    let web = cluster.service("web");
    (web.families, web.addresses) = (BOTH.to_vec(), vec![vip("2001:db8::7")]);
    assert_eq!(cluster.addresses("web"), ["192.0.2.0", "2001:db8::7"]);
}

#[test]
fn of_two_addresses_of_one_family_the_requested_stays_then_the_published_then_the_lowest() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    let entry = cluster.step().ledger.pop_last().unwrap().1;
    for last in ["192.0.2.0", "192.0.2.1", "192.0.2.2"] {
        cluster.0.ledger.insert(vip(last), entry.clone());
    }
    assert_eq!(cluster.addresses("web"), ["192.0.2.0"]);
    cluster.change("web").published = vec![vip("192.0.2.1")];
    assert_eq!(cluster.addresses("web"), ["192.0.2.1"]);
    cluster.change("web").addresses = vec![vip("192.0.2.2")];
    assert_eq!(cluster.addresses("web"), ["192.0.2.2"]);
    assert_eq!(cluster.plan().ledger.len(), 1, "the others are released");
}

#[test]
fn a_family_given_out_along_with_a_requested_one_is_not_what_another_asks_for() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24", "2001:db8::/64"]);
    let first = cluster.service("first");
    (first.families, first.addresses) = (BOTH.to_vec(), vec![vip("192.0.2.7")]);
    let second = cluster.service("second");
    (second.families, second.addresses) = (vec![Family::V6], vec![vip("2001:db8::")]);
    let plan = cluster.plan();
    assert_eq!(
        (addresses(&plan, "first"), addresses(&plan, "second")),
        (vec!["192.0.2.7".to_owned(), "2001:db8::1".to_owned()], vec!["2001:db8::".to_owned()])
    );
}

#[test]
fn an_address_asked_for_in_vain_is_anybodys() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24", "2001:db8::/64"]);
    let early = cluster.service("early");
    (early.families, early.addresses) = (BOTH.to_vec(), vec![vip("192.0.2.7")]);
    let vain = cluster.service("vain");
    (vain.families, vain.require_all_families) = (BOTH.to_vec(), true);
    vain.addresses = vec![vip("2001:db8::"), vip("203.0.113.7")];
    cluster.service("web").families = vec![Family::V6];
    let plan = cluster.plan();
    assert!(refusal(&plan, "vain").starts_with("AddressNotInPool"), "{}", refusal(&plan, "vain"));
    assert_eq!(addresses(&plan, "early"), ["192.0.2.7", "2001:db8::1"], "it came while the other's wish was open");
    assert_eq!(addresses(&plan, "web"), ["2001:db8::"]);
}
