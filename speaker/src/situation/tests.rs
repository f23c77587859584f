use super::*;
use herald_core::link::Link;
use herald_core::member::Cause;

fn moment(second: u64) -> Moment {
    #[expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]
    let start = *START.get_or_init(Instant::now);
    let timestamp = Timestamp::from_second(1_000_000 + i64::try_from(second).unwrap()).unwrap();
    Moment { instant: start + Duration::from_secs(second), timestamp }
}

static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

const LINK: IfIndex = IfIndex(2);

fn vip() -> Vip {
    Vip::new("192.0.2.10".parse().unwrap()).unwrap()
}

fn links() -> Links {
    let link = Link {
        index: LINK,
        name: "eth0".into(),
        mac: "52:54:00:00:00:01".parse().unwrap(),
        carrier: true,
        addresses: BTreeSet::new(),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    Links::from([(LINK, link)])
}

fn says(event: member::Event) -> Event {
    Event::Member(event)
}

#[test]
fn an_address_is_announced_since_its_first_frame_left_however_late_that_is_told() {
    let mut situation = Situation::default();
    let came = Came { cause: Cause::Dead, from: Some("b".into()), at: Some(moment(5).instant), gap: None };
    let state = VipState { tenure: Tenure::Announcing { epoch: 2, came }, ..VipState::default() };
    let news = situation.note(says(member::Event::Vip { vip: vip(), state: state.clone() }), moment(9));
    assert_eq!(news, News::Vip(vip(), VipState::default()));
    assert_eq!(situation.vip(vip()).unwrap().since, moment(5).timestamp);
    let news = situation.note(says(member::Event::Vip { vip: vip(), state: VipState::default() }), moment(10));
    assert_eq!((news, situation.vips().len()), (News::Vip(vip(), state), 0));
}

#[test]
fn a_hindrance_counts_until_it_is_over_and_only_on_interfaces_that_are_there() {
    let mut situation = Situation::default();
    let hindered = |hindrance: Option<&str>| Event::Hindered {
        link: LINK,
        task: Task::Beats,
        hindrance: hindrance.map(ToOwned::to_owned),
    };
    assert_eq!(situation.note(hindered(Some("no socket")), moment(0)), News::Myself);
    assert_eq!(situation.hindrance(&links()), Some("no socket"));
    assert_eq!(situation.hindrance(&Links::new()), None);
    situation.note(hindered(None), moment(1));
    assert_eq!(situation.hindrance(&links()), None);
}

#[test]
fn what_happens_once_is_forgotten_after_a_while() {
    let mut situation = Situation::default();
    situation.note(says(member::Event::DuplicateName { node: "a".into() }), moment(0));
    situation.note(says(member::Event::Probed { vip: vip(), answer: None, at: moment(0).instant }), moment(0));
    assert!(!situation.age(&links(), &BTreeSet::from([vip()]), moment(59).instant));
    assert_eq!(situation.next_deadline(), Some(moment(60).instant));
    assert!(situation.age(&links(), &BTreeSet::from([vip()]), moment(60).instant));
    assert_eq!((situation.duplicates().count(), situation.probed().len()), (0, 1));
    assert!(situation.age(&links(), &BTreeSet::new(), moment(61).instant), "nobody asks for it any more");
    assert_eq!(situation.probed().len(), 0);
}
