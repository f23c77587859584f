use super::*;
use crate::service::Protocol;

mod families;
mod network;
mod properties;
mod reference;
mod sentences;

/// A cluster to plan for.
#[derive(Clone, Debug, Default)]
struct Cluster(Snapshot);

impl Cluster {
    /// With one pool, `lan`.
    fn with_lan(ranges: &[&str]) -> Self {
        let mut cluster = Self::default();
        cluster.pool("lan", ranges);
        cluster
    }

    fn pool(&mut self, name: &str, ranges: &[&str]) -> &mut Pool {
        let pool = Pool {
            name: name.into(),
            ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            auto_assign: true,
            priority: 100,
            service_selector: None,
            namespace_selector: None,
            namespaces: BTreeSet::new(),
            probed: true,
        };
        self.0.pools.insert(name.into(), pool);
        self.0.pools.get_mut(&PoolName::new(name)).unwrap()
    }

    /// A Service of namespace `default` that wants one IPv4 address.
    fn service(&mut self, name: &str) -> &mut ServiceRequest {
        let request = ServiceRequest {
            key: key(name),
            uid: format!("uid of {name}").into(),
            labels: BTreeMap::new(),
            families: vec![Family::V4],
            require_all_families: false,
            pools: Vec::new(),
            addresses: Vec::new(),
            invalid: None,
            ports: BTreeSet::from([ServicePort { protocol: Protocol::Tcp, port: 80 }]),
            published: Vec::new(),
        };
        self.0.services.insert(key(name), Arc::new(request));
        self.change(name)
    }

    fn change(&mut self, name: &str) -> &mut ServiceRequest {
        Arc::make_mut(self.0.services.get_mut(&key(name)).unwrap())
    }

    fn delete(&mut self, name: &str) {
        self.0.services.remove(&key(name)).unwrap();
    }

    fn plan(&self) -> Plan {
        plan(&self.0)
    }

    /// Plans, and records the plan as the controller does.
    fn step(&mut self) -> Plan {
        let plan = self.plan();
        self.0.ledger.clone_from(&plan.ledger);
        plan
    }

    fn addresses(&self, name: &str) -> Vec<String> {
        addresses(&self.plan(), name)
    }
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

fn addresses(plan: &Plan, name: &str) -> Vec<String> {
    plan.services[&key(name)].addresses.iter().map(|(vip, _)| vip.to_string()).collect()
}

fn refusal(plan: &Plan, name: &str) -> String {
    plan.services[&key(name)]
        .refusal
        .as_ref()
        .map(|refusal| format!("{}: {refusal}", refusal.reason()))
        .unwrap_or_default()
}

fn selector(label: &str, value: &str) -> crate::selector::Selector {
    crate::selector::Selector { match_labels: labels(label, value), match_expressions: Vec::new() }
}

fn labels(label: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(label.to_owned(), value.to_owned())])
}

#[test]
fn addresses_are_given_out_in_the_order_of_the_ranges_lowest_first() {
    let mut cluster = Cluster::with_lan(&["192.0.2.20-192.0.2.21", "192.0.2.10"]);
    for name in ["a", "b", "c", "d"] {
        cluster.service(name);
    }
    let plan = cluster.step();
    assert_eq!(["a", "b", "c"].map(|name| addresses(&plan, name)), [["192.0.2.20"], ["192.0.2.21"], ["192.0.2.10"]]);
    assert!(refusal(&plan, "d").starts_with("PoolExhausted"), "{}", refusal(&plan, "d"));
    let counts = plan.pools[&PoolName::new("lan")].ipv4;
    assert_eq!(counts, Counts { total: 3, assigned: 3, available: 0 });
}

#[test]
fn an_address_held_stays_whatever_becomes_of_its_pool() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    cluster.step();
    cluster.pool("lan", &["198.51.100.0/24"]).namespaces.insert("elsewhere".into());
    let shrunk = cluster.step();
    assert_eq!((addresses(&shrunk, "web"), refusal(&shrunk, "web")), (vec!["192.0.2.0".to_owned()], String::new()));
    assert_eq!(shrunk.outside, BTreeMap::from([(vip("192.0.2.0"), OutsidePool::OutsidePool)]));
    let lan = cluster.0.pools.remove(&PoolName::new("lan")).unwrap();
    let gone = cluster.step();
    assert_eq!(addresses(&gone, "web"), ["192.0.2.0"]);
    assert_eq!(gone.outside, BTreeMap::from([(vip("192.0.2.0"), OutsidePool::PoolGone)]));
    cluster.0.pools_set_aside.insert(lan.name, "it can't be read".to_owned());
    assert_eq!(cluster.step().outside, BTreeMap::new(), "nobody knows what a pool holds that can't be read");
}

#[test]
fn an_address_whose_pool_is_gone_is_at_home_in_the_pool_that_has_it_now() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    cluster.step();
    cluster.0.pools.clear();
    cluster.pool("office", &["192.0.2.0/24"]);
    let plan = cluster.step();
    assert_eq!(plan.ledger[&vip("192.0.2.0")].pool.as_str(), "office");
    assert_eq!(plan.outside, BTreeMap::new());
}

#[test]
fn a_service_deleted_and_created_again_is_another_one() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    cluster.step();
    cluster.change("web").uid = "another uid".into();
    cluster.change("web").addresses = vec![vip("192.0.2.0")];
    let plan = cluster.step();
    assert_eq!((plan.ledger.len(), addresses(&plan, "web").len()), (0, 0), "the old holder goes first");
    assert_eq!(
        refusal(&plan, "web"),
        "AddressInUse: 192.0.2.0 is still recorded for Service default/web, which is gone: it will be free in a moment"
    );
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "web"), refusal(&plan, "web")), (vec!["192.0.2.0".to_owned()], String::new()));
    assert_eq!(plan.ledger[&vip("192.0.2.0")].holder.as_ref().unwrap().uid.as_str(), "another uid");
}

#[test]
fn an_address_just_released_is_given_out_only_once_it_has_left_the_ledger() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/31"]);
    cluster.service("old");
    cluster.step();
    cluster.delete("old");
    cluster.service("new");
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "new"), plan.ledger.len()), (vec!["192.0.2.1".to_owned()], 1));
    cluster.service("next");
    assert_eq!(cluster.addresses("next"), ["192.0.2.0"]);
}

#[test]
fn an_entry_without_holder_is_released() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.0.ledger.insert(vip("192.0.2.7"), LedgerEntry { pool: "lan".into(), holder: None });
    assert_eq!(cluster.plan().ledger, BTreeMap::new());
}

#[test]
fn requested_addresses_are_given_out_before_others() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/30"]);
    cluster.service("a");
    cluster.service("b").addresses = vec![vip("192.0.2.0")];
    assert_eq!(
        (cluster.addresses("a"), cluster.addresses("b")),
        (vec!["192.0.2.1".to_owned()], vec!["192.0.2.0".to_owned()])
    );
}

#[test]
fn a_service_that_asks_for_another_address_keeps_its_own_until_the_other_is_free() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/30"]);
    cluster.service("a");
    cluster.service("b");
    cluster.step();
    cluster.change("b").addresses = vec![vip("192.0.2.0")];
    let plan = cluster.step();
    assert_eq!(addresses(&plan, "b"), ["192.0.2.1"]);
    assert_eq!(
        refusal(&plan, "b"),
        "AddressInUse: 192.0.2.0 is in use by Service default/a: change annotation herald-lb.io/addresses of one of them"
    );
    cluster.change("b").addresses = vec![vip("192.0.2.3")];
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "b"), refusal(&plan, "b")), (vec!["192.0.2.3".to_owned()], String::new()));
    assert!(!plan.ledger.contains_key(&vip("192.0.2.1")), "the address before is released");
}

#[test]
fn a_request_that_can_not_be_understood_takes_nothing_away() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/30"]);
    cluster.service("web");
    cluster.step();
    cluster.change("web").invalid = Some("annotation herald-lb.io/addresses: \"x\" is no address".to_owned());
    let plan = cluster.step();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
    assert_eq!(refusal(&plan, "web"), "InvalidRequest: annotation herald-lb.io/addresses: \"x\" is no address");
}

#[test]
fn the_lower_priority_number_comes_first_then_the_name() {
    let mut cluster = Cluster::default();
    cluster.pool("b", &["192.0.2.2"]);
    cluster.pool("a", &["192.0.2.1"]);
    cluster.pool("z", &["192.0.2.9"]).priority = 1;
    cluster.pool("quiet", &["192.0.2.0"]).auto_assign = false;
    for name in ["s1", "s2", "s3", "s4"] {
        cluster.service(name);
    }
    let plan = cluster.step();
    assert_eq!(["s1", "s2", "s3"].map(|name| addresses(&plan, name)), [["192.0.2.9"], ["192.0.2.1"], ["192.0.2.2"]]);
    cluster.change("s4").pools = vec!["quiet".to_owned()];
    assert_eq!(cluster.addresses("s4"), ["192.0.2.0"], "who asks for it gets it");
}

#[test]
fn pools_asked_for_are_tried_in_the_order_of_preference() {
    let mut cluster = Cluster::default();
    cluster.pool("a", &["192.0.2.1"]);
    cluster.pool("b", &["192.0.2.2"]);
    for name in ["s1", "s2"] {
        cluster.service(name).pools = ["gone", "b", "a"].map(str::to_owned).to_vec();
    }
    let plan = cluster.plan();
    assert_eq!(["s1", "s2"].map(|name| addresses(&plan, name)), [["192.0.2.2"], ["192.0.2.1"]]);
}

#[test]
fn a_service_that_asks_for_another_pool_moves_when_that_pool_has_room() {
    let mut cluster = Cluster::default();
    cluster.pool("a", &["192.0.2.1"]);
    cluster.pool("b", &["192.0.2.2"]);
    cluster.service("first");
    cluster.service("second");
    cluster.step();
    cluster.change("first").pools = vec!["b".to_owned()];
    let plan = cluster.step();
    assert_eq!(addresses(&plan, "first"), ["192.0.2.1"]);
    assert!(refusal(&plan, "first").starts_with("PoolExhausted"), "{}", refusal(&plan, "first"));
    cluster.delete("second");
    cluster.step();
    let plan = cluster.step();
    assert_eq!((addresses(&plan, "first"), refusal(&plan, "first")), (vec!["192.0.2.2".to_owned()], String::new()));
}

#[test]
fn selectors_and_namespaces_decide_who_may_use_a_pool() {
    let mut cluster = Cluster::default();
    cluster.0.namespaces.insert("default".into(), labels("team", "red"));
    cluster.pool("by-label", &["192.0.2.1"]).service_selector = Some(selector("app", "web"));
    cluster.pool("by-namespace", &["192.0.2.2"]).namespaces.insert("other".into());
    cluster.pool("by-team", &["192.0.2.3"]).namespace_selector = Some(selector("team", "red"));
    cluster.service("api");
    cluster.service("web").labels = labels("app", "web");
    let plan = cluster.plan();
    assert_eq!(
        (addresses(&plan, "api"), addresses(&plan, "web")),
        (vec!["192.0.2.3".to_owned()], vec!["192.0.2.1".to_owned()])
    );
}

#[test]
fn an_overlapped_address_belongs_to_the_pool_that_comes_first() {
    let mut cluster = Cluster::default();
    cluster.pool("a", &["192.0.2.0/29"]);
    cluster.pool("b", &["192.0.2.4-192.0.2.9"]);
    cluster.service("web").pools = vec!["b".to_owned()];
    let plan = cluster.plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.8"]);
    let report = |name| &plan.pools[&PoolName::new(name)];
    assert_eq!(report("a").ipv4, Counts { total: 8, assigned: 0, available: 8 });
    assert_eq!(report("b").ipv4, Counts { total: 2, assigned: 1, available: 1 });
    let says = |name, with| report(name).overlaps[&PoolName::new(with)].to_string();
    assert_eq!(
        says("a", "b"),
        "AddressPool b holds 192.0.2.4/30 too, which belongs to this pool by spec.priority and name: \
         take it out of spec.addresses of one of them"
    );
    assert!(
        says("b", "a").starts_with("AddressPool a holds 192.0.2.4/30 too, which belongs to that one"),
        "{}",
        says("b", "a")
    );
}

#[test]
fn an_overlapped_address_satisfies_who_asks_for_either_pool() {
    let mut cluster = Cluster::default();
    cluster.pool("b", &["192.0.2.0/29"]);
    cluster.service("web");
    cluster.step();
    cluster.pool("a", &["192.0.2.0/30"]);
    for asked in ["a", "b"] {
        cluster.change("web").pools = vec![asked.to_owned()];
        let plan = cluster.plan();
        assert_eq!(
            (addresses(&plan, "web"), refusal(&plan, "web")),
            (vec!["192.0.2.0".to_owned()], String::new()),
            "{asked}"
        );
    }
}

#[test]
fn ranges_of_one_pool_may_overlap() {
    let mut cluster = Cluster::with_lan(&["192.0.2.4/30", "192.0.2.0/29", "192.0.2.5"]);
    cluster.service("web");
    let plan = cluster.plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.4"]);
    let report = &plan.pools[&PoolName::new("lan")];
    assert_eq!((report.ipv4.total, report.overlaps.len()), (8, 0));
}

#[test]
fn a_change_of_ports_is_recorded() {
    let mut cluster = Cluster::with_lan(&["192.0.2.0/24"]);
    cluster.service("web");
    cluster.step();
    let ports = BTreeSet::from([ServicePort { protocol: Protocol::Udp, port: 53 }]);
    cluster.change("web").ports.clone_from(&ports);
    assert_eq!(cluster.plan().ledger[&vip("192.0.2.0")].holder.as_ref().unwrap().ports, ports);
}

/// A search that began at the pool's first address for each Service would take half an hour.
#[test]
fn ten_thousand_services_in_the_largest_pools_are_no_trouble() {
    let mut cluster = Cluster::with_lan(&["10.0.0.0/8", "2001:db8::/32"]);
    for number in 0..10_000 {
        cluster.service(&format!("web-{number:05}")).families = vec![Family::V4, Family::V6];
    }
    cluster.step();
    let plan = cluster.step();
    assert_eq!(addresses(&plan, "web-09999"), ["10.0.39.15", "2001:db8::270f"]);
    let counts = plan.pools[&PoolName::new("lan")].ipv6;
    assert_eq!(counts, Counts { total: u64::MAX, assigned: 10_000, available: u64::MAX - 10_000 });
}
