use super::speaker::{Facts, Health, speaker};
use super::*;
use crate::intake::SpeakerRecord;
use crate::situation::Probed;
use herald_api::speaker::SpeakerStatus;
use herald_core::link::Link;
use herald_core::member::{Conflict, VipState};
use herald_core::names::IfIndex;
use herald_core::ownership::Unowned;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const ETH0: IfIndex = IfIndex(2);
const ETH1: IfIndex = IfIndex(3);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn address() -> Vip {
    Vip::new("192.0.2.10".parse().unwrap()).unwrap()
}

fn mac() -> MacAddr {
    "52:54:00:00:00:01".parse().unwrap()
}

fn record() -> VipRecord {
    let in_pool = Verdict::new(condition::IN_POOL, true, reason::IN_POOL, "in pool lan");
    VipRecord { conditions: vec![in_pool.condition(&[], None, at(1))], ..VipRecord::unused() }
}

fn link(index: IfIndex, name: &str, carrier: bool) -> (IfIndex, Link) {
    let link = Link {
        index,
        name: name.into(),
        mac: mac(),
        carrier,
        addresses: BTreeSet::from(["192.0.2.1/24".parse().unwrap(), "2001:db8::1/64".parse().unwrap()]),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    (index, link)
}

fn links() -> Links {
    Links::from([link(ETH0, "eth0", true), link(ETH1, "eth1", true)])
}

/// What a node holds that announces on an interface since second 100.
fn announcing(epoch: u64, cause: Cause, from: Option<&str>, on: &[IfIndex]) -> Held {
    let came = Came { cause, from: from.map(NodeName::new), at: None, gap: Some(Duration::from_millis(512)) };
    let state = VipState {
        tenure: Tenure::Announcing { epoch, came },
        announced: on.iter().map(|link| (*link, mac())).collect(),
        conflict: None,
    };
    Held { state, since: at(100) }
}

fn due(record: &VipRecord, node: &str, held: Option<&Held>, verification: Option<&Verification>) -> Option<Report> {
    let (node, links) = (node.into(), links());
    vip(address(), record, held, verification, Author { node: &node, links: &links, now: at(200) })
}

/// The record after a write that is due, as the API server would have it; nothing is due after it.
fn written(record: &VipRecord, node: &str, held: Option<&Held>, verification: Option<&Verification>) -> VipRecord {
    let report = due(record, node, held, verification).expect("something is due");
    let Report::Vip { patch, based_on, .. } = &report else { panic!("{report:?}") };
    assert_eq!(*based_on, record.resource_version);
    let mut status = json!({
        "announcer": record.announcer, "lastMove": record.last_move, "verified": record.verified,
        "conditions": record.conditions,
    });
    for (field, value) in patch["status"].as_object().unwrap() {
        status[field] = value.clone();
    }
    let written = VipRecord {
        resource_version: format!("{}+", record.resource_version),
        announcer: serde_json::from_value(status["announcer"].clone()).unwrap(),
        last_move: serde_json::from_value(status["lastMove"].clone()).unwrap(),
        verified: serde_json::from_value(status["verified"].clone()).unwrap(),
        conditions: serde_json::from_value(status["conditions"].clone()).unwrap(),
        ..record.clone()
    };
    assert_eq!(due(&written, node, held, verification), None, "written once only");
    written
}

fn says(record: &VipRecord, type_: &str) -> Option<String> {
    let said = record.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some(format!("{}/{}", said.status, said.reason))
}

#[test]
fn a_first_claim_says_where_and_since_when_and_is_no_move() {
    let first = written(&record(), "node-1", Some(&announcing(1, Cause::Allocated, None, &[ETH0])), None);
    let announcer = first.announcer.clone().unwrap();
    assert_eq!((announcer.epoch, announcer.cause, announcer.since.0), (1, AnnouncementCause::Allocated, at(100)));
    assert_eq!((announcer.interface.as_str(), announcer.mac.as_str()), ("eth0", "52:54:00:00:00:01"));
    assert_eq!(says(&first, "Announced").as_deref(), Some("True/Announced"));
    assert_eq!(first.conditions.len(), 2, "the controller's condition is kept, and nobody speaks of conflicts");
    assert_eq!(first.last_move, None);
}

#[test]
fn a_move_says_from_where_why_and_how_long_nobody_announced() {
    let first = written(&record(), "node-1", Some(&announcing(1, Cause::Allocated, None, &[ETH0])), None);
    let cases = [
        (Cause::Dead, AnnouncementCause::Takeover),
        (Cause::Starved, AnnouncementCause::Takeover),
        (Cause::Handover, AnnouncementCause::Handover),
        (Cause::Left, AnnouncementCause::Handover),
        (Cause::Moved, AnnouncementCause::Moved),
    ];
    for (cause, expected) in cases {
        let second = written(&first, "node-2", Some(&announcing(2, cause, Some("node-1"), &[ETH0])), None);
        assert_eq!(second.announcer.clone().map(|a| (a.epoch, a.cause)), Some((2, expected)));
        let last_move = second.last_move.clone().unwrap();
        assert_eq!((last_move.from.as_str(), last_move.to.as_str()), ("node-1", "node-2"));
        assert_eq!((last_move.gap.as_deref(), last_move.cause), (Some("0.512s"), expected));
        let lost = announcing(1, Cause::Allocated, None, &[ETH0]);
        assert_eq!(due(&second, "node-1", Some(&lost), None), None, "a lower claim is not written over a higher one");
    }
}

#[test]
fn a_speaker_started_again_goes_on_with_its_claim_and_another_interface_is_no_move() {
    let first = written(&record(), "node-1", Some(&announcing(1, Cause::Allocated, None, &[ETH0])), None);
    let resumed = Held { since: at(150), ..announcing(1, Cause::Resumed, None, &[ETH0]) };
    assert_eq!(due(&first, "node-1", Some(&resumed), None), None);
    let moved = written(&first, "node-1", Some(&announcing(1, Cause::Resumed, None, &[ETH1])), None);
    let (before, after) = (first.announcer.unwrap(), moved.announcer.unwrap());
    assert_eq!((after.interface.as_str(), after.epoch, after.since), ("eth1", before.epoch, before.since));
    assert_eq!(moved.last_move, None);
}

#[test]
fn nothing_is_claimed_before_a_frame_has_left() {
    assert_eq!(due(&record(), "node-1", Some(&announcing(1, Cause::Allocated, None, &[])), None), None);
    assert_eq!(due(&record(), "node-1", None, None), None);
}

#[test]
fn an_address_without_owner_says_why_once_and_keeps_its_last_claim() {
    let claim = announcing(1, Cause::Allocated, None, &[ETH0]);
    let first = written(&record(), "node-1", Some(&claim), None);
    let state = VipState { tenure: Tenure::Unowned(Unowned::NoLocalEndpoints), ..VipState::default() };
    let unowned = Held { state, since: at(150) };
    let silent = written(&first, "node-2", Some(&unowned), None);
    assert_eq!(says(&silent, "Announced").as_deref(), Some("False/NoLocalEndpoints"));
    assert_eq!(silent.announcer, first.announcer);
    let resumed = written(&silent, "node-1", Some(&claim), None);
    assert_eq!(resumed.announcer, first.announcer, "the same claim goes on");
}

#[test]
fn a_conflict_says_who_has_the_address_and_ends_when_the_announcer_hears_nobody_any_more() {
    let conflict = |node: Option<&str>| {
        Some(Conflict { mac: "52:54:00:00:00:09".parse().unwrap(), link: ETH0, node: node.map(NodeName::new) })
    };
    let probing = |node| VipState { tenure: Tenure::Probing, conflict: conflict(node), announced: BTreeMap::new() };
    let stranger = written(&record(), "node-1", Some(&Held { state: probing(None), since: at(50) }), None);
    assert_eq!(says(&stranger, "Conflict").as_deref(), Some("True/AddressConflict"));
    assert_eq!(says(&stranger, "Announced").as_deref(), Some("False/AddressConflict"));
    let other = written(&record(), "node-1", Some(&Held { state: probing(Some("node-2")), since: at(50) }), None);
    assert_eq!(says(&other, "Conflict").as_deref(), Some("True/OtherLoadBalancer"));

    let free = announcing(1, Cause::Allocated, None, &[ETH0]);
    let announced = written(&stranger, "node-1", Some(&free), None);
    assert_eq!(says(&announced, "Conflict").as_deref(), Some("False/NoConflict"));
    assert_eq!(says(&announced, "Announced").as_deref(), Some("True/Announced"));
    let mut fought = free;
    fought.state.conflict = conflict(None);
    let fought = written(&announced, "node-1", Some(&fought), None);
    assert_eq!(says(&fought, "Conflict").as_deref(), Some("True/AddressConflict"));
    assert_eq!(says(&fought, "Announced").as_deref(), Some("True/Announced"), "it goes on");
}

fn verification(answer: Option<&str>, right: bool, second: i64) -> Verification {
    #[expect(clippy::disallowed_methods, reason = "some instant is needed")]
    let instant = Instant::now();
    let answer = answer.map(|mac| mac.parse().unwrap());
    Verification::new("node-1".into(), answer, right, at(second), instant)
}

#[test]
fn a_verification_is_written_when_it_is_the_first_another_or_an_hour_old() {
    let right = |second| verification(Some("52:54:00:00:00:01"), true, second);
    let first = written(&record(), "node-1", Some(&announcing(1, Cause::Allocated, None, &[ETH0])), None);
    let verified = written(&first, "node-2", None, Some(&right(1_000)));
    assert_eq!(verified.verified.clone().map(|is| (is.by, is.at.0)), Some(("node-2".to_owned(), at(1_000))));
    assert_eq!(due(&verified, "node-3", None, Some(&right(4_599))), None, "less than an hour later");
    let later = written(&verified, "node-3", None, Some(&right(4_600)));
    assert_eq!(later.verified.map(|is| is.by).as_deref(), Some("node-3"));
    let mut elsewhere = right(9_000);
    elsewhere.node = "node-9".into();
    assert_eq!(due(&verified, "node-3", None, Some(&elsewhere)), None, "it is another node's by now");
}

#[test]
fn a_wrong_answer_is_a_conflict_until_a_right_one() {
    let first = written(&record(), "node-1", Some(&announcing(1, Cause::Allocated, None, &[ETH0])), None);
    let wrong = verification(Some("52:54:00:00:00:09"), false, 1_000);
    let wrong = written(&first, "node-2", None, Some(&wrong));
    assert_eq!((says(&wrong, "Conflict").as_deref(), &wrong.verified), (Some("True/WrongAnswer"), &None));
    let silent = written(&first, "node-2", None, Some(&verification(None, false, 1_000)));
    assert_eq!(says(&silent, "Conflict").as_deref(), Some("True/NoAnswer"));
    let right = written(&silent, "node-3", None, Some(&verification(Some("52:54:00:00:00:01"), true, 1_030)));
    assert_eq!(says(&right, "Conflict").as_deref(), Some("False/NoConflict"));
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

fn reported(record: &SpeakerRecord, links: &Links, health: &Health, probed: &BTreeMap<Vip, Probed>) -> Option<Report> {
    let node = "node-1".into();
    speaker(record, Facts { health, port: 7948, probed }, Author { node: &node, links, now: at(10) })
}

fn reported_once(
    record: &SpeakerRecord,
    links: &Links,
    health: &Health,
    probed: &BTreeMap<Vip, Probed>,
) -> SpeakerRecord {
    let Some(Report::Speaker { patch, .. }) = reported(record, links, health, probed) else { panic!("nothing is due") };
    let status: SpeakerStatus = serde_json::from_value(patch["status"].clone()).unwrap();
    let written = SpeakerRecord { status, ..record.clone() };
    assert_eq!(reported(&written, links, health, probed), None, "written once only");
    written
}

#[test]
fn a_speaker_writes_its_interfaces_and_health_on_change_only() {
    let none = BTreeMap::new();
    let one = |carrier| Links::from([link(ETH0, "eth0", carrier)]);
    let fresh = SpeakerRecord::saying(SpeakerStatus::default());
    let up = reported_once(&fresh, &one(true), &Health::default(), &none);
    assert_eq!(up.status.segments[0].subnets, ["192.0.2.0/24", "2001:db8::/64"]);
    let endpoints: Vec<_> = up.status.endpoints.iter().map(|end| (end.address.as_str(), end.port)).collect();
    assert_eq!(endpoints, [("192.0.2.1", 7948), ("2001:db8::1", 7948)]);
    let says = |record: &SpeakerRecord, type_: &str| {
        let said = record.status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        (said.status.clone(), said.reason.clone())
    };
    assert_eq!(says(&up, "Ready"), ("True".into(), "Ready".into()));
    assert_eq!(says(&up, "Degraded"), ("False".into(), "AllWell".into()));

    let down = reported_once(&up, &one(false), &Health::default(), &none);
    assert!(!down.status.segments[0].carrier);
    let blind = Health { degraded: Some((reason::NO_INTERFACE, "none".into())), ..Health::default() };
    assert_eq!(says(&reported_once(&down, &Links::new(), &blind, &none), "Degraded").1, "NoInterface");
    let stopped = Health { draining: true, unable: Some((reason::STOPPED, "stopped".into())), degraded: None };
    let stopped = reported_once(&up, &one(true), &stopped, &none);
    assert!(stopped.status.draining);
    assert_eq!(says(&stopped, "Ready"), ("False".into(), "Stopped".into()));
}

#[test]
fn answers_to_probes_are_written_when_they_change_and_refreshed_together_now_and_then() {
    #[expect(clippy::disallowed_methods, reason = "some instant is needed")]
    let instant = Instant::now();
    let probed = |seconds: &[(u8, i64, bool)]| -> BTreeMap<Vip, Probed> {
        let one = |(last, second, answered): &(u8, i64, bool)| {
            let vip = Vip::new(std::net::IpAddr::from([192, 0, 2, *last])).unwrap();
            (vip, Probed { answer: answered.then(mac), at: at(*second), instant })
        };
        seconds.iter().map(one).collect()
    };
    let fresh = SpeakerRecord::saying(SpeakerStatus::default());
    let well = Health::default();
    let first = reported_once(&fresh, &links(), &well, &probed(&[(10, 100, false), (11, 110, true)]));
    let macs: Vec<_> = first.status.probes.iter().map(|probe| probe.mac.clone()).collect();
    assert_eq!(macs, [None, Some("52:54:00:00:00:01".to_owned())]);
    assert_eq!(reported(&first, &links(), &well, &probed(&[(10, 399, false), (11, 400, true)])), None);
    let later = reported_once(&first, &links(), &well, &probed(&[(10, 400, false), (11, 401, true)]));
    assert_eq!(later.status.probes[1].at.0, at(401), "one write for all");
    let changed = reported_once(&later, &links(), &well, &probed(&[(10, 402, true), (11, 403, true)]));
    assert_eq!(changed.status.probes[0].mac.as_deref(), Some("52:54:00:00:00:01"));
    let set_back = reported_once(&changed, &links(), &well, &probed(&[(10, 50, true), (11, 51, true)]));
    assert_eq!(set_back.status.probes[0].at.0, at(50), "the clock was set back");
    let gone = reported_once(&changed, &links(), &well, &BTreeMap::new());
    assert_eq!(gone.status.probes, []);
}
