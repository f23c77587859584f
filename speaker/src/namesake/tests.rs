use super::*;
use herald_api::speaker::{Endpoint, Segment, SpeakerStatus};
use herald_core::link::Link;
use herald_core::names::IfIndex;

const OURS: &str = "52:54:00:00:00:01";
const THEIRS: &str = "52:54:00:00:00:02";

fn links(mac: &str) -> Links {
    let link = Link {
        index: IfIndex(2),
        name: "eth0".into(),
        mac: mac.parse().unwrap(),
        carrier: true,
        addresses: BTreeSet::new(),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    Links::from([(IfIndex(2), link)])
}

fn record(version: &str, mac: &str) -> SpeakerRecord {
    let segment =
        Segment { interface: "eth0".into(), mac: mac.into(), subnets: vec!["192.0.2.0/24".into()], carrier: true };
    let endpoint = Endpoint { interface: "eth0".into(), address: "192.0.2.13".into(), port: 7948 };
    let status = SpeakerStatus { segments: vec![segment], endpoints: vec![endpoint], ..SpeakerStatus::default() };
    SpeakerRecord { uid: "u1".into(), resource_version: version.into(), status }
}

#[expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn a_speaker_started_again_or_with_another_card_is_alone() {
    let (mut namesake, now, ours) = (Namesake::default(), start(), links(OURS));
    assert!(!namesake.look(&record("1", THEIRS), &ours, now), "the card that was there before");
    namesake.wrote("1");
    assert!(!namesake.look(&record("1", THEIRS), &ours, now), "the watch has not caught up");
    assert!(!namesake.look(&record("2", OURS), &ours, now), "what it wrote itself");
    // The card is changed while it runs, and what was written shows the old one.
    let changed = links("52:54:00:00:00:03");
    namesake.wrote("2");
    assert!(!namesake.look(&record("3", OURS), &changed, now));
    assert_eq!(namesake.pause(now), None);
}

#[test]
fn the_first_puts_the_object_right_and_the_second_leaves_the_object_to_it() {
    let (now, ours) = (start(), links(OURS));
    let mut first = Namesake::default();
    first.wrote("1");
    assert!(!first.look(&record("2", OURS), &ours, now));
    assert!(first.look(&record("3", THEIRS), &ours, now), "somebody else has written");
    assert!(!first.look(&record("3", THEIRS), &ours, now), "once for each time");
    assert_eq!((first.macs().len(), first.addresses().len()), (1, 1));
    assert_eq!(first.pause(now), None, "it is put right at once");
    for version in ["4", "5", "6"] {
        assert!(first.look(&record(version, THEIRS), &ours, now));
    }
    assert_eq!(first.pause(now), Some(now + PAUSE), "but not for ever");
    assert_eq!(first.pause(now + PAUSE), None);

    let mut second = Namesake::default();
    assert!(!second.look(&record("2", OURS), &links(THEIRS), now));
    second.wrote("2");
    assert_eq!(second.pause(now), None, "perhaps it is alone");
    assert!(second.look(&record("4", OURS), &links(THEIRS), now));
    assert_eq!(second.pause(now + PAUSE), Some(now + LEAVE));
    assert_eq!(second.pause(now + LEAVE), None);
}
