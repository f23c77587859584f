use super::*;
use crate::member::{Event, Task};
use crate::situation::Moment;
use herald_api::convert::heartbeat::HeartbeatKeys;
use herald_core::link::Link;
use herald_core::member;
use herald_core::names::IfIndex;
use herald_core::ownership::Node;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

const LINK: IfIndex = IfIndex(2);

fn links() -> Links {
    let link = Link {
        index: LINK,
        name: "eth0".into(),
        mac: "52:54:00:00:00:01".parse().unwrap(),
        carrier: true,
        addresses: ["192.0.2.1/24".parse().unwrap()].into(),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    Links::from([(LINK, link)])
}

/// The reasons of `Ready` and `Degraded` after these events.
fn reasons(change: impl FnOnce(&mut Signs<'_>), events: &[Event]) -> (Option<&'static str>, Option<&'static str>) {
    #[expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]
    let now = Moment { instant: Instant::now(), timestamp: Timestamp::UNIX_EPOCH };
    let (node, links, keys, view) = ("a".into(), links(), HeartbeatKeys::default(), View::default());
    let mut situation = Situation::default();
    for event in events {
        situation.note(event.clone(), now);
    }
    let mut signs = Signs {
        node: &node,
        leaving: false,
        stopped: false,
        interfaces: "*",
        links: &links,
        steering: None,
        kube_proxy: kube_proxy::Health::Unknown,
        namespace: "herald-system",
        keys: Keys::There(&keys),
        view: &view,
        situation: &situation,
    };
    change(&mut signs);
    let health = signs.health();
    assert_eq!(signs.is_able(), health.unable.is_none() || signs.stopped);
    (health.unable.map(|(reason, _)| reason), health.degraded.map(|(reason, _)| reason))
}

#[test]
fn a_node_whose_kube_proxy_or_kernel_says_no_is_neither_able_nor_well() {
    let unwell = kube_proxy::Health::Unwell(503);
    let said = reasons(|signs| signs.kube_proxy = unwell, &[]);
    assert_eq!(said, (Some("KubeProxyUnhealthy"), Some("KubeProxyUnhealthy")));
    let said = reasons(|signs| signs.steering = Some("no nf_tables"), &[]);
    assert_eq!(said, (Some("SteeringFailed"), Some("SteeringFailed")));
    assert_eq!(reasons(|signs| signs.stopped = true, &[]), (Some("Stopped"), None));
    assert_eq!(reasons(|_| (), &[]), (None, None));
}

#[test]
fn what_the_member_says_degrades_the_node_and_the_worst_comes_first() {
    let of = |event: member::Event| Event::Member(event);
    let late = || of(member::Event::Degraded { link: LINK, degraded: true });
    let refusing = || of(member::Event::Refusing { link: LINK, node: "b".into(), refuses: true });
    let duplicate = || of(member::Event::DuplicateName { node: "a".into() });
    let hindered =
        || Event::Hindered { link: LINK, task: Task::Frames, hindrance: Some("no packet socket".to_owned()) };
    assert_eq!(reasons(|_| (), &[late()]).1, Some("Late"));
    assert_eq!(reasons(|_| (), &[late(), refusing()]).1, Some("HeartbeatsRefused"));
    assert_eq!(reasons(|_| (), &[late(), refusing(), duplicate()]).1, Some("DuplicateName"));
    assert_eq!(reasons(|signs| signs.keys = Keys::Unknown, &[late()]).1, Some("Late"));
    assert_eq!(reasons(|signs| signs.keys = Keys::Missing, &[late(), duplicate()]).1, Some("HeartbeatKeyUnreadable"));
    assert_eq!(reasons(|signs| signs.keys = Keys::Refused("no"), &[hindered()]).1, Some("PacketSocketFailed"));
}

#[test]
fn one_mac_address_on_two_nodes_of_a_network_degrades_both() {
    let segment = |interface: &str, subnet: &str, mac: &str| Segment {
        interface: interface.into(),
        subnets: [subnet.parse().unwrap()].into(),
        carrier: true,
        mac: Some(mac.parse().unwrap()),
        addresses: BTreeSet::new(),
    };
    let view = |name: &str, speaker, segment| {
        let segments = vec![segment];
        let node = Node { labels: BTreeMap::new(), speaker, bar: None, leaving: false, cordoned: false, segments };
        View { nodes: [(name.into(), node)].into(), ..View::default() }
    };
    let said = |view: &View| {
        let mut found = None;
        reasons(|signs| found = Signs { view, ..*signs }.degraded(), &[]);
        found
    };
    let (near, far, same) = ("192.0.2.0/24", "198.51.100.0/24", "52:54:00:00:00:01");
    let (reason, message) = said(&view("b", true, segment("eth1", near, same))).expect("something is wrong");
    assert_eq!(reason, "DuplicateMac");
    assert!(message.contains("eth0") && message.contains("eth1 of b") && message.contains(same), "{message}");
    assert_eq!(said(&view("b", true, segment("eth1", far, same))), None, "another network");
    assert_eq!(said(&view("b", true, segment("eth1", near, "52:54:00:00:00:02"))), None, "another address");
    assert_eq!(said(&view("a", true, segment("eth0", near, same))), None, "itself");
    assert_eq!(said(&view("b", false, segment("eth1", near, same))), None, "what was there once");
}
