use super::*;
use crate::intake::{Change, EndpointRecord, NodeRecord, PoolRecord, Reading, Seen, SliceRecord, SpeakerRecord};
use herald_api::condition::Verdict;
use herald_api::keys::{condition, reason};
use herald_api::speaker::{self, SpeakerStatus};
use herald_core::link::Link;
use herald_core::names::IfIndex;
use herald_core::service::{Protocol, ServicePort};
use jiff::Timestamp;
use serde_json::json;

fn put(world: &mut World, change: Change) -> News {
    let mut news = News::default();
    world.apply(change, &mut news);
    news
}

fn is<K, V>(key: impl Into<K>, record: V) -> Seen<K, V> {
    Seen::Changed(key.into(), Reading::Record(record))
}

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

fn node_record() -> NodeRecord {
    NodeRecord { uid: "u".into(), labels: BTreeMap::new(), bar: None, draining: false, cordoned: false }
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
    put(&mut world, Change::Node(is("a", node_record())));
    put(&mut world, Change::Node(is("b", node_record())));
    let ready = Verdict::new(condition::READY, true, reason::READY, "").condition(&[], None, Timestamp::UNIX_EPOCH);
    let segment = speaker::Segment {
        interface: "eth0".to_owned(),
        mac: "52:54:00:00:00:02".to_owned(),
        subnets: vec!["192.0.2.0/24".to_owned()],
        carrier: true,
    };
    let status = SpeakerStatus { segments: vec![segment], conditions: vec![ready], ..SpeakerStatus::default() };
    put(&mut world, Change::Speaker(is("b", SpeakerRecord::saying(status))));
    let ledger = VipRecord {
        holder: Some(web()),
        holder_uid: Some("life-1".into()),
        ports: BTreeSet::from([ServicePort { protocol: Protocol::Tcp, port: 80 }]),
        ..VipRecord::unused()
    };
    put(&mut world, Change::Ledger(is(vip("192.0.2.10"), ledger)));
    let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    put(&mut world, Change::Service(is(web(), ServiceRecord { uid: "life-1".into(), labels, local })));
    world
}

fn web() -> ServiceKey {
    ServiceKey::new("default", "web")
}

fn picture(world: &World) -> Picture {
    Picture::new(world, Myself { node: &"a".into(), links: &links(), ending: false })
}

fn endpoint(node: &str, ready: bool, last_resort: bool) -> EndpointRecord {
    EndpointRecord { node: node.into(), address: "10.0.0.1".into(), ready, last_resort }
}

fn with_slice(world: &mut World, name: &str, family: Family, endpoints: Vec<EndpointRecord>) -> News {
    let record = SliceRecord { service: web(), family, endpoints };
    put(world, Change::EndpointSlice(is(ServiceKey::new("default", name), record)))
}

fn usable(world: &World) -> Option<Vec<String>> {
    let picture = picture(world);
    let endpoints = picture.outlook.subjects[&vip("192.0.2.10")].endpoints.as_ref()?;
    Some(endpoints.iter().map(ToString::to_string).collect())
}

#[test]
fn this_node_is_known_by_its_own_eyes_and_others_by_their_reports() {
    let picture = picture(&world(false));
    let subnets = |node: &str| picture.outlook.view.nodes[&NodeName::new(node)].segments[0].subnets.clone();
    assert_eq!(subnets("a"), subnets("b"));
    assert!(picture.outlook.view.nodes.values().all(|node| node.speaker));
    let ending = Picture::new(&world(false), Myself { node: &"a".into(), links: &links(), ending: true });
    assert!(ending.outlook.me.ending && ending.outlook.me.leaving);
}

#[test]
fn a_node_without_speaker_is_in_the_picture_and_does_not_run() {
    let mut world = world(false);
    put(&mut world, Change::Speaker(Seen::Gone("b".into())));
    assert!(!picture(&world).outlook.view.nodes[&NodeName::new("b")].speaker);
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
    put(&mut world, Change::Service(is(web(), record)));
    let subject = &picture(&world).outlook.subjects[&vip("192.0.2.10")];
    assert_eq!((subject.endpoints.as_ref(), subject.holder_labels.len()), (None, 0));
}

#[test]
fn a_pool_that_is_gone_still_lets_its_addresses_be_announced() {
    let mut world = world(false);
    let announced = |world: &World| picture(world).outlook.subjects[&vip("192.0.2.10")].advertised_by_default;
    let spec = serde_json::from_value(json!({ "addresses": [], "advertise": "Selected" })).unwrap();
    put(&mut world, Change::Pool(is("lan", PoolRecord { labels: BTreeMap::new(), spec })));
    assert!(!announced(&world));
    put(&mut world, Change::Pool(Seen::Gone("lan".into())));
    assert!(announced(&world));
}

#[test]
fn an_address_nobody_uses_is_not_announced_and_its_ports_are_refused() {
    let mut world = world(false);
    let mut record = world.ledger.records()[&vip("192.0.2.10")].clone();
    (record.holder, record.holder_uid, record.ports) = (None, None, BTreeSet::new());
    put(&mut world, Change::Ledger(is(vip("192.0.2.10"), record)));
    let picture = picture(&world);
    assert!(picture.outlook.subjects.is_empty());
    assert_eq!(picture.table.vips[&vip("192.0.2.10")], BTreeSet::new());
}

#[test]
fn following_one_change_after_another_leads_to_the_same_picture_as_looking_at_everything() {
    let mut world = World::default();
    let links = links();
    let node = "a".into();
    let myself = Myself { node: &node, links: &links, ending: false };
    let mut followed = Picture::default();
    let spec = |advertise: &str| {
        let spec = serde_json::from_value(json!({ "addresses": [], "advertise": advertise })).unwrap();
        Change::Pool(is("lan", PoolRecord { labels: BTreeMap::new(), spec }))
    };
    let address = |holder: Option<ServiceKey>| {
        let record = VipRecord { holder, holder_uid: Some("life-1".into()), ..VipRecord::unused() };
        Change::Ledger(is(vip("192.0.2.10"), record))
    };
    let service = |name: &str, local| {
        let record = ServiceRecord { uid: "life-1".into(), labels: BTreeMap::new(), local };
        Change::Service(is(ServiceKey::new("default", name), record))
    };
    let slice = |name: &str, node: &str| {
        let endpoints = vec![endpoint(node, true, false)];
        let record = SliceRecord { service: ServiceKey::new("default", name), family: Family::V4, endpoints };
        Change::EndpointSlice(is(ServiceKey::new("default", "slice"), record))
    };
    let changes = [
        Change::Node(is("a", node_record())),
        address(Some(web())),
        service("web", true),
        slice("web", "a"),
        slice("other", "b"),
        service("other", true),
        address(Some(ServiceKey::new("default", "other"))),
        slice("other", "a"),
        spec("Selected"),
        address(None),
        address(Some(web())),
        slice("web", "b"),
        Change::Service(Seen::Gone(web())),
        Change::Pool(Seen::Gone("lan".into())),
        Change::EndpointSlice(Seen::Gone(ServiceKey::new("default", "slice"))),
        Change::Ledger(Seen::Gone(vip("192.0.2.10"))),
    ];
    for (step, change) in changes.into_iter().enumerate() {
        let news = put(&mut world, change);
        followed.follow(&world, &news, myself);
        assert_eq!(followed, Picture::new(&world, myself), "after step {step}");
    }
}

#[test]
fn a_node_leaves_by_label_taint_or_cordon_and_by_a_cordon_only_while_another_node_stays() {
    let leaves = |change: fn(&mut NodeRecord), other: fn(&mut NodeRecord)| {
        let mut world = world(false);
        for (node, change) in [("a", change), ("b", other)] {
            let mut record = node_record();
            change(&mut record);
            put(&mut world, Change::Node(is(node, record)));
        }
        picture(&world).outlook.me.leaving
    };
    let same: fn(&mut NodeRecord) = |_| ();
    let cordon: fn(&mut NodeRecord) = |record| record.cordoned = true;
    assert!(!leaves(same, same));
    assert!(leaves(|record| record.draining = true, same));
    assert!(leaves(|record| record.bar = Some(Bar::Taint), same));
    assert!(leaves(|record| record.bar = Some(Bar::Label), same));
    assert!(!leaves(|record| record.bar = Some(Bar::NotReady), same), "its peers hear it");
    assert!(leaves(cordon, same));
    assert!(!leaves(cordon, cordon));
    assert!(!leaves(cordon, |record| record.draining = true));
}

#[test]
fn others_reach_a_node_at_one_address_of_each_family_rather_not_at_a_lent_one() {
    let reach = |addresses: &[&str], link_local: Option<&str>| {
        let mut link = links().into_values().next().unwrap();
        link.addresses = addresses.iter().map(|net| net.parse().unwrap()).collect();
        link.link_local = link_local.map(|address| address.parse().unwrap());
        endpoints(&link).map(|address| address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(reach(&["192.0.2.2/24", "192.0.2.1/32", "192.0.2.3/24"], Some("fe80::1")), ["192.0.2.2", "fe80::1"]);
    assert_eq!(reach(&["192.0.2.1/32", "2001:db8::1/64"], Some("fe80::1")), ["192.0.2.1", "2001:db8::1"]);
    assert_eq!(reach(&[], None), [""; 0]);
}
