use super::*;
use herald_core::link::Link;
use herald_core::names::IfIndex;
use herald_core::ownership::Node;
use std::collections::{BTreeMap, BTreeSet};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn vip() -> Vip {
    Vip::new("192.0.2.10".parse().unwrap()).unwrap()
}

fn record() -> VipRecord {
    let in_pool = Verdict::new(condition::IN_POOL, true, reason::IN_POOL, "in pool lan");
    VipRecord { conditions: vec![in_pool.condition(&[], None, at(1))], ..VipRecord::unused() }
}

fn on(interface: &str) -> Announced {
    Announced { interface: interface.into(), mac: "52:54:00:00:00:01".parse().unwrap() }
}

fn view(bar: Option<Bar>) -> View {
    let node = Node { labels: BTreeMap::new(), speaker: false, bar, leaving: false, cordoned: false, segments: vec![] };
    View { nodes: BTreeMap::from([("node-1".into(), node)]), advertisements: BTreeMap::new() }
}

/// Applies a report as the API server would.
fn applied(record: &VipRecord, report: &Report) -> VipRecord {
    let Report::Vip { patch, based_on, .. } = report else { panic!("{report:?}") };
    assert_eq!(*based_on, record.resource_version);
    let status = &patch["status"];
    VipRecord {
        resource_version: "8".into(),
        announcer: match status.get("announcer") {
            Some(announcer) => Some(serde_json::from_value(announcer.clone()).unwrap()),
            None => record.announcer.clone(),
        },
        conditions: serde_json::from_value(status["conditions"].clone()).unwrap(),
        ..record.clone()
    }
}

fn claimed(node: &str, announced: &[Announced], record: &VipRecord, view: &View) -> VipRecord {
    let report = claim(vip(), record, &node.into(), announced, view, at(100)).expect("a claim is due");
    let patched = applied(record, &report);
    assert_eq!(claim(vip(), &patched, &node.into(), announced, view, at(200)), None, "written once only");
    patched
}

#[test]
fn a_claim_raises_the_epoch_and_carries_why_and_where() {
    let first = claimed("node-1", &[on("eth0")], &record(), &view(None));
    let announcer = first.announcer.clone().unwrap();
    assert_eq!((announcer.epoch, announcer.cause), (1, AnnouncementCause::Allocated));
    assert_eq!((announcer.interface.as_str(), announcer.mac.as_str()), ("eth0", "52:54:00:00:00:01"));
    let said = first.conditions.iter().find(|condition| condition.type_ == "Announced").unwrap();
    assert_eq!((said.status.as_str(), said.message.as_str()), ("True", "by node-1 on eth0"));
    assert_eq!(first.conditions.len(), 2, "the controller's condition is kept");

    let cases = [
        (view(None), AnnouncementCause::Handover),
        (view(Some(Bar::Label)), AnnouncementCause::Handover),
        (view(Some(Bar::NotReady)), AnnouncementCause::Takeover),
        (View::default(), AnnouncementCause::Takeover),
    ];
    for (view, cause) in cases {
        let announcer = claimed("node-2", &[on("eth0")], &first, &view).announcer.unwrap();
        assert_eq!((announcer.epoch, announcer.cause), (2, cause));
    }
}

#[test]
fn the_same_node_on_another_interface_keeps_its_epoch() {
    let first = claimed("node-1", &[on("eth0")], &record(), &view(None));
    let moved = claimed("node-1", &[on("eth1"), on("eth2")], &first, &view(None)).announcer.unwrap();
    let before = first.announcer.unwrap();
    assert_eq!((moved.interface.as_str(), moved.epoch, moved.since), ("eth1", before.epoch, before.since));
}

#[test]
fn nothing_is_claimed_before_a_frame_has_left() {
    assert_eq!(claim(vip(), &record(), &"node-1".into(), &[], &view(None), at(1)), None);
}

#[test]
fn an_address_without_owner_says_why_once_and_keeps_its_last_claim() {
    let first = claimed("node-1", &[on("eth0")], &record(), &view(None));
    let report = unowned(vip(), &first, &Unowned::NoLocalEndpoints, at(5)).unwrap();
    let patched = applied(&first, &report);
    let said = patched.conditions.iter().find(|condition| condition.type_ == "Announced").unwrap();
    assert_eq!((said.status.as_str(), said.reason.as_str()), ("False", "NoLocalEndpoints"));
    assert_eq!(patched.announcer, first.announcer);
    assert_eq!(unowned(vip(), &patched, &Unowned::NoLocalEndpoints, at(9)), None);
    let resumed = claimed("node-1", &[on("eth0")], &patched, &view(None));
    assert_eq!(resumed.announcer, first.announcer, "the same claim goes on");
}

#[test]
fn the_reasons_are_those_of_the_api() {
    let reasons = [
        (Unowned::NoSpeaker, reason::NO_SPEAKER),
        (Unowned::NotAdvertised { pool: "lan".into() }, reason::NOT_ADVERTISED),
        (Unowned::NoSegment { message: String::new() }, reason::NO_SEGMENT),
        (Unowned::NodesExcluded { message: String::new() }, reason::NODES_EXCLUDED),
        (Unowned::NoLocalEndpoints, reason::NO_LOCAL_ENDPOINTS),
    ];
    for (unowned, expected) in reasons {
        assert_eq!(unowned.reason(), expected);
    }
}

fn link(carrier: bool) -> Links {
    let link = Link {
        index: IfIndex(2),
        name: "eth0".into(),
        mac: "52:54:00:00:00:01".parse().unwrap(),
        carrier,
        addresses: BTreeSet::from(["192.0.2.1/24".parse().unwrap(), "2001:db8::1/64".parse().unwrap()]),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    Links::from([(IfIndex(2), link)])
}

fn written(record: &SpeakerRecord, links: &Links, health: &Health) -> SpeakerRecord {
    let Some(Report::Speaker { patch, .. }) = speaker(record, links, health, at(10)) else { panic!("nothing is due") };
    let status: SpeakerStatus = serde_json::from_value(patch["status"].clone()).unwrap();
    let written = SpeakerRecord { status, ..record.clone() };
    assert_eq!(speaker(&written, links, health, at(20)), None, "written once only");
    written
}

#[test]
fn a_speaker_writes_its_interfaces_and_health_on_change_only() {
    let fresh = SpeakerRecord::saying(SpeakerStatus::default());
    let up = written(&fresh, &link(true), &Health::default());
    assert_eq!(up.status.segments[0].subnets, ["192.0.2.0/24", "2001:db8::/64"]);
    let says = |record: &SpeakerRecord, type_: &str| {
        let said = record.status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        (said.status.clone(), said.reason.clone())
    };
    assert_eq!(says(&up, "Ready"), ("True".into(), "Ready".into()));
    assert_eq!(says(&up, "Degraded"), ("False".into(), "AllWell".into()));

    let down = written(&up, &link(false), &Health::default());
    assert!(!down.status.segments[0].carrier);
    let blind = Health { degraded: Some((reason::NO_INTERFACE, "none".into())), ..Health::default() };
    assert_eq!(says(&written(&down, &Links::new(), &blind), "Degraded"), ("True".into(), "NoInterface".into()));
    let stopped = written(&up, &link(true), &Health { draining: true, stopped: true, degraded: None });
    assert!(stopped.status.draining);
    assert_eq!(says(&stopped, "Ready"), ("False".into(), "Stopped".into()));
}
