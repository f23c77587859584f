//! What a Service says about its announcement, in every situation.

use super::*;
use crate::records::{Announcing, Version};
use herald_core::liveness::Claim;
use herald_core::ownership::{Node, Segment};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

fn node(subnet: &str) -> Node {
    let segment = Segment {
        interface: "eth0".into(),
        subnets: [subnet.parse().unwrap()].into_iter().collect(),
        carrier: true,
        mac: None,
        addresses: [].into(),
    };
    Node { labels: BTreeMap::new(), speaker: true, bar: None, leaving: false, cordoned: false, segments: vec![segment] }
}

fn view(nodes: &[&str]) -> View {
    let nodes = nodes.iter().map(|name| (NodeName::new(name), node("192.0.2.0/24"))).collect();
    View { nodes, advertisements: BTreeMap::new() }
}

fn facts(node: Option<&str>, denied: Option<(&str, &str)>) -> VipFacts {
    VipFacts {
        uid: "v1".into(),
        version: Version("1".to_owned()),
        announcer: node
            .map(|node| Announcing { claim: Claim { epoch: 1, node: node.into() }, interface: "eth0".into() }),
        preferred: None,
        pinned: false,
        conditions: denied
            .map(|(reason, message)| {
                let verdict = Verdict::new(condition::ANNOUNCED, false, reason::NO_SPEAKER, message);
                Condition { reason: reason.to_owned(), ..verdict.condition(&[], None, Timestamp::UNIX_EPOCH) }
            })
            .into_iter()
            .collect(),
    }
}

fn subject(vip: Vip) -> Subject {
    Subject::new(vip, "lan".into())
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin of a test's time")]
    Instant::now()
}

/// An address that its Service shows.
fn address<'a>(text: &str, facts: &'a VipFacts) -> Address<'a> {
    Address { vip: vip(text), facts: Some(facts), shown: true, vouched: false, answer: None }
}

/// One that it doesn't show yet.
fn fresh<'a>(text: &str, facts: &'a VipFacts) -> Address<'a> {
    Address { shown: false, ..address(text, facts) }
}

fn assess(view: &View, addresses: &[Address<'_>], patience: &mut Patience, now: Instant) -> Assessment {
    Judge { view, namespace: "herald-system", now }.assess(addresses, subject, patience)
}

fn sentence(assessment: &Assessment) -> Option<String> {
    let verdict = assessment.verdict.as_ref()?;
    Some(format!("{} {}: {}", status(verdict.holds), verdict.reason, verdict.message))
}

fn said(view: &View, addresses: &[Address<'_>], patience: &mut Patience, now: Instant) -> Option<String> {
    sentence(&assess(view, addresses, patience, now))
}

fn once(view: &View, addresses: &[Address<'_>]) -> Option<String> {
    said(view, addresses, &mut Patience::default(), start())
}

#[test]
fn an_announced_service_names_node_and_interface() {
    let (first, second) = (facts(Some("node-1"), None), facts(Some("node-2"), None));
    let view = view(&["node-1", "node-2"]);
    let v4 = address("192.0.2.1", &first);
    assert_eq!(once(&view, &[v4]).as_deref(), Some("True Announced: by node-1 on eth0"));
    let same = address("2001:db8::1", &first);
    assert_eq!(once(&view, &[v4, same]).as_deref(), Some("True Announced: by node-1 on eth0"));
    let other = address("2001:db8::1", &second);
    let both = "True Announced: 192.0.2.1 by node-1 on eth0, 2001:db8::1 by node-2 on eth0";
    assert_eq!(once(&view, &[v4, other]).as_deref(), Some(both));
}

#[test]
fn without_a_speaker_the_place_to_look_is_named() {
    let fresh = facts(None, None);
    let message = once(&View::default(), &[address("192.0.2.1", &fresh)]).unwrap();
    assert!(message.starts_with("False NoSpeaker: "), "{message}");
    assert!(message.ends_with("(kubectl -n herald-system get pods)"), "{message}");
}

#[test]
fn an_address_that_no_node_can_announce_says_so_at_once_and_names_itself_among_several() {
    let fresh = facts(None, None);
    let announced = facts(Some("node-1"), None);
    let addresses = [address("192.0.2.1", &announced), address("198.51.100.1", &fresh)];
    let message = once(&view(&["node-1"]), &addresses).unwrap();
    assert!(message.starts_with("False NoSegment: 198.51.100.1: no node with a speaker"), "{message}");
}

#[test]
fn what_the_speakers_report_is_repeated() {
    let denied = facts(Some("node-1"), Some(("NoLocalEndpoints", "no node has a ready endpoint")));
    let message = once(&view(&["node-1"]), &[address("192.0.2.1", &denied)]);
    assert_eq!(message.as_deref(), Some("False NoLocalEndpoints: no node has a ready endpoint"));
}

#[test]
fn a_speaker_has_five_seconds_before_the_service_complains_about_it() {
    let fresh = facts(None, None);
    let (view, addresses) = (view(&["node-1"]), [address("192.0.2.1", &fresh)]);
    let (mut patience, start) = (Patience::default(), start());
    assert_eq!(said(&view, &addresses, &mut patience, start), None);
    assert_eq!(patience.next_due(start), Some(start + ASKING));
    assert_eq!(said(&view, &addresses, &mut patience, start + ASKING), None);
    assert_eq!(patience.next_due(start + ASKING), Some(start + GRACE));
    let message = said(&view, &addresses, &mut patience, start + GRACE).unwrap();
    assert!(message.starts_with("False NoSpeaker: node-1 should announce 192.0.2.1"), "{message}");
    assert_eq!(patience.next_due(start), None, "there is nothing more to wait for");
    let again = said(&view, &addresses, &mut patience, start + GRACE * 2);
    assert_eq!(again, Some(message), "the same sentence, so that nothing is written again");
}

#[test]
fn an_announcer_whose_node_fell_out_is_not_believed() {
    let stale = facts(Some("node-1"), None);
    let said_when = |bar| {
        let mut view = view(&["node-1"]);
        view.nodes.get_mut(&NodeName::new("node-1")).unwrap().bar = Some(bar);
        once(&view, &[address("192.0.2.1", &stale)]).unwrap()
    };
    let message = said_when(ownership::Bar::Label);
    assert!(message.starts_with("False NodesExcluded: "), "{message}");
    let message = said_when(ownership::Bar::NotReady);
    assert!(message.starts_with("True "), "its kubelet is silent, and its speaker is heard by others: {message}");
}

#[test]
fn an_address_shows_once_it_is_vouched_for_or_announced_or_nobody_can_ask() {
    let (unannounced, announced) = (facts(None, None), facts(Some("node-1"), None));
    let (one, nobody) = (view(&["node-1"]), View::default());
    let clear = |view: &View, address: Address<'_>| {
        let assessment = assess(view, &[address], &mut Patience::default(), start());
        (assessment.clear.len() == 1, assessment.waiting)
    };
    assert_eq!(clear(&one, fresh("192.0.2.1", &unannounced)), (false, true));
    assert_eq!(clear(&one, Address { facts: None, ..fresh("192.0.2.1", &unannounced) }), (false, true));
    assert_eq!(clear(&one, Address { vouched: true, ..fresh("192.0.2.1", &unannounced) }), (true, false));
    assert_eq!(clear(&one, fresh("192.0.2.1", &announced)), (true, false));
    assert_eq!(clear(&one, address("192.0.2.1", &unannounced)), (true, false), "what shows goes on showing");
    assert_eq!(clear(&nobody, fresh("192.0.2.1", &unannounced)), (true, false));
    assert_eq!(clear(&one, fresh("198.51.100.1", &unannounced)), (true, false), "no node has that subnet");
    let denied = facts(None, Some(("NoLocalEndpoints", "no node has a ready endpoint")));
    assert_eq!(clear(&one, fresh("192.0.2.1", &denied)), (true, false));
    let asking = facts(None, Some(("Probing", "being asked")));
    assert_eq!(clear(&one, fresh("192.0.2.1", &asking)), (false, true));
}

#[test]
fn that_an_address_is_being_asked_for_is_said_after_a_second_and_nobody_waits_longer_than_five() {
    let unannounced = facts(None, None);
    let (view, addresses) = (view(&["node-1"]), [fresh("192.0.2.1", &unannounced)]);
    let (mut patience, start) = (Patience::default(), start());
    assert_eq!(said(&view, &addresses, &mut patience, start), None);
    let message = said(&view, &addresses, &mut patience, start + ASKING);
    let expected = "False Probing: the network is being asked whether somebody has 192.0.2.1 already";
    assert_eq!(message.as_deref(), Some(expected));
    let late = assess(&view, &addresses, &mut patience, start + GRACE);
    assert!(sentence(&late).unwrap().starts_with("False NoSpeaker: node-1 should announce"), "{late:?}");
    assert_eq!((late.clear.len(), late.waiting), (1, false), "it shows unasked");
}

#[test]
fn an_address_that_somebody_else_has_does_not_show_whoever_found_out_and_whenever() {
    let mut rival = facts(Some("node-1"), None);
    rival.conditions.push(
        Verdict::new(condition::CONFLICT, true, reason::ADDRESS_CONFLICT, "52:54:00:00:00:09 answers for it")
            .condition(&[], None, Timestamp::UNIX_EPOCH),
    );
    let view = view(&["node-1"]);
    for found in [address("192.0.2.1", &rival), fresh("192.0.2.1", &rival)] {
        let assessment = assess(&view, &[found], &mut Patience::default(), start());
        let message = sentence(&assessment);
        assert_eq!(message.as_deref(), Some("False AddressConflict: 52:54:00:00:00:09 answers for it"));
        assert_eq!((assessment.clear.len(), assessment.waiting), (0, false));
    }
    let (unannounced, announced) = (facts(None, None), facts(Some("node-1"), None));
    let answer = Some("52:54:00:00:00:09".parse().unwrap());
    let found = Address { answer, ..fresh("192.0.2.1", &unannounced) };
    let message = once(&view, &[found]).unwrap();
    assert!(message.starts_with("False AddressConflict: 52:54:00:00:00:09 answers for 192.0.2.1"), "{message}");
    let settled = Address { answer, ..fresh("192.0.2.1", &announced) };
    let message = once(&view, &[settled]).unwrap();
    assert!(message.starts_with("True Announced"), "the announcer has asked since: {message}");
    let mut unverified = facts(Some("node-1"), None);
    let verdict = Verdict::new(condition::CONFLICT, true, reason::WRONG_ANSWER, "node-2 got another answer");
    unverified.conditions.push(verdict.condition(&[], None, Timestamp::UNIX_EPOCH));
    let message = once(&view, &[address("192.0.2.1", &unverified)]).unwrap();
    assert!(message.starts_with("True Announced"), "one wrong answer takes no address away: {message}");
}

#[test]
fn of_two_addresses_the_conflict_is_said_first_and_the_other_one_shows() {
    let announced = facts(Some("node-1"), None);
    let unannounced = facts(None, None);
    let view = view(&["node-1"]);
    let answer = Some("52:54:00:00:00:09".parse().unwrap());
    let conflicting = Address { answer, ..fresh("192.0.2.2", &unannounced) };
    let nowhere = fresh("198.51.100.1", &unannounced);
    let assessment =
        assess(&view, &[address("192.0.2.1", &announced), nowhere, conflicting], &mut Patience::default(), start());
    let message = sentence(&assessment).unwrap();
    assert!(message.starts_with("False AddressConflict: 192.0.2.2: 52:54:00:00:00:09 answers"), "{message}");
    assert_eq!(assessment.clear, [vip("192.0.2.1"), vip("198.51.100.1")].into());
}
