//! What a Service says about its announcement, in every situation.

use super::*;
use crate::records::Version;
use herald_api::virtual_ip::{AnnouncementCause, Announcer};
use herald_core::ownership::{Node, Segment};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};

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
        announcer: node.map(|node| Announcer {
            node: node.to_owned(),
            interface: "eth0".to_owned(),
            mac: "52:54:00:00:00:01".to_owned(),
            epoch: 1,
            since: MicroTime(Timestamp::UNIX_EPOCH),
            cause: AnnouncementCause::Allocated,
        }),
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

fn said(view: &View, vips: &[(Vip, Option<&VipFacts>)], patience: &mut Patience, now: Instant) -> Option<String> {
    let judge = Judge { view, namespace: "herald-system", now };
    let verdict = judge.verdict(vips, subject, patience)?;
    Some(format!("{} {}: {}", status(verdict.holds), verdict.reason, verdict.message))
}

fn once(view: &View, vips: &[(Vip, Option<&VipFacts>)]) -> Option<String> {
    said(view, vips, &mut Patience::default(), start())
}

#[test]
fn an_announced_service_names_node_and_interface() {
    let (first, second) = (facts(Some("node-1"), None), facts(Some("node-2"), None));
    let view = view(&["node-1", "node-2"]);
    let v4 = (vip("192.0.2.1"), Some(&first));
    assert_eq!(once(&view, &[v4]).as_deref(), Some("True Announced: by node-1 on eth0"));
    let same = (vip("2001:db8::1"), Some(&first));
    assert_eq!(once(&view, &[v4, same]).as_deref(), Some("True Announced: by node-1 on eth0"));
    let other = (vip("2001:db8::1"), Some(&second));
    let both = "True Announced: 192.0.2.1 by node-1 on eth0, 2001:db8::1 by node-2 on eth0";
    assert_eq!(once(&view, &[v4, other]).as_deref(), Some(both));
}

#[test]
fn without_a_speaker_the_place_to_look_is_named() {
    let fresh = facts(None, None);
    let message = once(&View::default(), &[(vip("192.0.2.1"), Some(&fresh))]).unwrap();
    assert!(message.starts_with("False NoSpeaker: "), "{message}");
    assert!(message.ends_with("(kubectl -n herald-system get pods)"), "{message}");
}

#[test]
fn an_address_that_no_node_can_announce_says_so_at_once_and_names_itself_among_several() {
    let fresh = facts(None, None);
    let announced = facts(Some("node-1"), None);
    let addresses = [(vip("192.0.2.1"), Some(&announced)), (vip("198.51.100.1"), Some(&fresh))];
    let message = once(&view(&["node-1"]), &addresses).unwrap();
    assert!(message.starts_with("False NoSegment: 198.51.100.1: no node with a speaker"), "{message}");
}

#[test]
fn what_the_speakers_report_is_repeated() {
    let denied = facts(Some("node-1"), Some(("NoLocalEndpoints", "no node has a ready endpoint")));
    let message = once(&view(&["node-1"]), &[(vip("192.0.2.1"), Some(&denied))]);
    assert_eq!(message.as_deref(), Some("False NoLocalEndpoints: no node has a ready endpoint"));
}

#[test]
fn a_speaker_has_five_seconds_before_the_service_complains_about_it() {
    let fresh = facts(None, None);
    let (view, addresses) = (view(&["node-1"]), [(vip("192.0.2.1"), Some(&fresh))]);
    let (mut patience, start) = (Patience::default(), start());
    assert_eq!(said(&view, &addresses, &mut patience, start), None);
    assert_eq!(patience.next_due(start), Some(start + GRACE));
    let message = said(&view, &addresses, &mut patience, start + GRACE).unwrap();
    assert!(message.starts_with("False NoSpeaker: node-1 should announce 192.0.2.1"), "{message}");
    assert_eq!(patience.next_due(start), None, "there is nothing more to wait for");
    let again = said(&view, &addresses, &mut patience, start + GRACE * 2);
    assert_eq!(again, Some(message), "the same sentence, so that nothing is written again");
}

#[test]
fn an_announcer_whose_node_fell_out_is_not_believed() {
    let stale = facts(Some("node-1"), None);
    let mut view = view(&["node-1"]);
    view.nodes.get_mut(&NodeName::new("node-1")).unwrap().bar = Some(ownership::Bar::NotReady);
    let message = once(&view, &[(vip("192.0.2.1"), Some(&stale))]).unwrap();
    assert!(message.starts_with("False NodesExcluded: "), "{message}");
}
