use super::*;
use crate::intake::{EndpointRecord, Mirror, NodeRecord, PoolRecord, Reading, Seen, SliceRecord, SpeakerRecord};
use herald_api::speaker::SpeakerStatus;
use herald_core::link::Link;
use herald_core::names::IfIndex;
use herald_core::service::{Protocol, ServicePort};

fn put<K: Ord, V: Clone + PartialEq>(mirror: &mut Mirror<K, V>, key: K, record: V) {
    mirror.apply(Seen::Changed(key, Reading::Record(record)));
}

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

fn node_record() -> NodeRecord {
    NodeRecord { uid: "u".into(), labels: BTreeMap::new(), bar: None }
}

fn links() -> Links {
    let link = Link {
        index: IfIndex(2),
        name: "eth0".into(),
        mac: "52:54:00:00:00:01".parse().unwrap(),
        carrier: true,
        addresses: BTreeSet::from(["192.0.2.1/24".parse().unwrap()]),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    Links::from([(IfIndex(2), link)])
}

/// Nodes `a` (this one) and `b`, one address of Service `default/web`.
fn world(local: bool) -> World {
    let mut world = World::default();
    put(&mut world.nodes, "a".into(), node_record());
    put(&mut world.nodes, "b".into(), node_record());
    let segments = vec![Segment {
        interface: "eth0".into(),
        subnets: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]),
        carrier: true,
    }];
    let status = SpeakerStatus::default();
    put(
        &mut world.speakers,
        "b".into(),
        SpeakerRecord { resource_version: "1".into(), running: true, segments, status },
    );
    let holder = ServiceKey::new("default", "web");
    let ledger = VipRecord {
        resource_version: "1".into(),
        pool: "lan".into(),
        holder: Some(holder.clone()),
        holder_uid: Some("life-1".into()),
        ports: BTreeSet::from([ServicePort { protocol: Protocol::Tcp, port: 80 }]),
        announcer: None,
        conditions: vec![],
    };
    put(&mut world.ledger, vip("192.0.2.10"), ledger);
    let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    put(&mut world.services, holder, ServiceRecord { uid: "life-1".into(), labels, local });
    world
}

fn picture(world: &World) -> Picture {
    Picture::new(world, Myself { node: &"a".into(), links: &links(), draining: false })
}

fn endpoint(node: &str, ready: bool, last_resort: bool) -> EndpointRecord {
    EndpointRecord { node: node.into(), address: "10.0.0.1".into(), ready, last_resort }
}

fn with_slice(world: &mut World, name: &str, family: Family, endpoints: Vec<EndpointRecord>) {
    let service = ServiceKey::new("default", "web");
    put(&mut world.slices, ServiceKey::new("default", name), SliceRecord { service, family, endpoints });
}

fn usable(world: &World) -> Option<Vec<String>> {
    let picture = picture(world);
    let endpoints = picture.subjects[&vip("192.0.2.10")].endpoints.as_ref()?;
    Some(endpoints.iter().map(ToString::to_string).collect())
}

#[test]
fn this_node_is_known_by_its_own_eyes_and_others_by_their_reports() {
    let picture = picture(&world(false));
    let subnets = |node: &str| picture.view.nodes[&NodeName::new(node)].segments[0].subnets.clone();
    assert_eq!(subnets("a"), subnets("b"));
    assert!(picture.view.nodes.values().all(|node| node.speaker));
    let draining = Picture::new(&world(false), Myself { node: &"a".into(), links: &links(), draining: true });
    assert!(!draining.view.nodes[&NodeName::new("a")].speaker);
}

#[test]
fn a_node_without_speaker_is_in_the_picture_and_does_not_run() {
    let mut world = world(false);
    world.speakers.apply(Seen::Gone("b".into()));
    assert!(!picture(&world).view.nodes[&NodeName::new("b")].speaker);
}

#[test]
fn endpoints_matter_with_policy_local_only_and_count_per_family_once_per_node() {
    let mut cluster = world(false);
    with_slice(&mut cluster, "web-1", Family::V4, vec![endpoint("b", true, false)]);
    assert_eq!(usable(&cluster), None);

    let mut local = world(true);
    assert_eq!(usable(&local), Some(vec![]));
    with_slice(&mut local, "web-6", Family::V6, vec![endpoint("a", true, false)]);
    assert_eq!(usable(&local), Some(vec![]), "an IPv6 endpoint serves no IPv4 address");
    with_slice(&mut local, "web-1", Family::V4, vec![endpoint("b", true, false), endpoint("a", false, false)]);
    with_slice(&mut local, "web-2", Family::V4, vec![endpoint("b", false, false), endpoint("c", false, true)]);
    assert_eq!(usable(&local), Some(vec!["b".to_owned(), "c".to_owned()]));
}

#[test]
fn a_service_of_another_life_lends_the_address_neither_policy_nor_labels() {
    let mut world = world(true);
    let record = ServiceRecord { uid: "life-2".into(), labels: BTreeMap::new(), local: true };
    put(&mut world.services, ServiceKey::new("default", "web"), record);
    let subject = &picture(&world).subjects[&vip("192.0.2.10")];
    assert_eq!((subject.endpoints.as_ref(), subject.holder_labels.len()), (None, 0));
}

#[test]
fn a_pool_that_is_gone_still_lets_its_addresses_be_announced() {
    let mut world = world(false);
    let announced = |world: &World| picture(world).subjects[&vip("192.0.2.10")].advertised_by_default;
    put(&mut world.pools, "lan".into(), PoolRecord { labels: BTreeMap::new(), by_default: false });
    assert!(!announced(&world));
    world.pools.apply(Seen::Gone("lan".into()));
    assert!(announced(&world));
}

#[test]
fn an_address_nobody_uses_is_not_announced_and_its_ports_are_refused() {
    let mut world = world(false);
    let mut record = world.ledger.records()[&vip("192.0.2.10")].clone();
    (record.holder, record.holder_uid, record.ports) = (None, None, BTreeSet::new());
    put(&mut world.ledger, vip("192.0.2.10"), record);
    let picture = picture(&world);
    assert!(picture.subjects.is_empty());
    assert_eq!(picture.table.vips[&vip("192.0.2.10")], BTreeSet::new());
}
