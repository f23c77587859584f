use super::*;
use herald_core::ownership::Subject;

const ETH0: IfIndex = IfIndex(2);

#[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]
fn start() -> Instant {
    Instant::now()
}

fn vip() -> Vip {
    Vip::new("192.0.2.10".parse().unwrap()).unwrap()
}

fn mac() -> MacAddr {
    "52:54:00:00:00:02".parse().unwrap()
}

fn rival() -> Event {
    Event::Rival { vip: vip(), link: ETH0, mac: mac() }
}

fn owning() -> Duties {
    Duties { owned: BTreeMap::from([(vip(), BTreeSet::from([ETH0]))]), ..Duties::default() }
}

fn leaving() -> Duties {
    Duties { leaving: BTreeMap::from([(vip(), "b".into())]), ..owning() }
}

fn claimed_by(claimant: &str) -> Picture {
    let subject = Subject {
        claim: Some(herald_core::liveness::Claim { epoch: 1, node: claimant.into() }),
        ..Subject::new(vip(), "lan".into())
    };
    Picture { subjects: BTreeMap::from([(vip(), subject)]), ..Picture::default() }
}

#[test]
fn a_member_heard_during_a_handover_relieves_us_until_its_claim_is_seen() {
    let mut heard = Heard::default();
    assert_eq!(heard.note(&rival(), Some(&"b".into()), &leaving(), start()), Demand::Pass);
    assert!(heard.relieved().contains(&vip()));
    heard.follow(&Duties::default(), &claimed_by("a"), &"a".into());
    assert!(heard.relieved().contains(&vip()), "its claim is on its way");
    heard.follow(&Duties::default(), &claimed_by("b"), &"a".into());
    assert!(heard.relieved().is_empty());
}

#[test]
fn relief_ends_when_the_address_is_ours_again() {
    let mut heard = Heard::default();
    heard.note(&rival(), Some(&"b".into()), &leaving(), start());
    heard.follow(&owning(), &claimed_by("a"), &"a".into());
    assert!(heard.relieved().is_empty());
}

#[test]
fn a_strangers_frames_relieve_and_silence_nobody() {
    let mut heard = Heard::default();
    assert_eq!(heard.note(&rival(), None, &leaving(), start()), Demand::Nothing);
    heard.age(true, start());
    assert!(heard.relieved().is_empty() && heard.silenced(start()).is_empty());
}

#[test]
fn a_member_that_announces_ours_raises_doubt_and_silences_us_only_if_the_api_server_is_away() {
    let mut heard = Heard::default();
    assert_eq!(heard.note(&rival(), Some(&"b".into()), &owning(), start()), Demand::Doubt);
    assert!(heard.silenced(start()).is_empty());
    heard.age(false, start());
    assert!(heard.silenced(start()).is_empty());
    let asked = start() + Duration::from_secs(2);
    heard.age(true, asked);
    assert!(heard.silenced(asked).contains(&vip()));
    let hour = asked + Duration::from_hours(1);
    heard.age(true, hour);
    assert!(heard.silenced(hour).contains(&vip()), "as long as it is away");
    let back = hour + Duration::from_secs(1);
    heard.age(false, back);
    assert!(heard.silenced(back).contains(&vip()), "until the watches have gone on");
    let later = heard.next_deadline().unwrap();
    heard.age(false, later);
    assert!(heard.silenced(later).is_empty());
}

#[test]
fn what_was_announced_is_known_by_interface_and_forgotten_with_it() {
    let mut heard = Heard::default();
    let announced = Event::Announced { vip: vip(), link: ETH0, mac: mac(), at: start() };
    assert_eq!(heard.note(&announced, None, &owning(), start()), Demand::Pass);
    let link = herald_core::link::Link {
        index: ETH0,
        name: "eth0".into(),
        mac: mac(),
        carrier: true,
        addresses: BTreeSet::new(),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    let links = Links::from([(ETH0, link)]);
    assert_eq!(heard.announced(vip(), &links), [Announced { interface: "eth0".into(), mac: mac() }]);
    heard.follow(&Duties::default(), &claimed_by("a"), &"a".into());
    assert!(heard.announced(vip(), &links).is_empty());
}
