//! Sealing and opening, and the bytes in between.

use super::*;
use herald_core::address::Vip;
use herald_core::liveness::{Body, Echo, Incarnation, Life, Obituary, Offer, Opinion, Profile, State};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock; tests count from it")]
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn after(seconds: u64) -> Instant {
    start() + Duration::from_secs(seconds)
}

fn key(byte: u8) -> [u8; KEY_LENGTH] {
    [byte; KEY_LENGTH]
}

fn ring(keys: &[(&str, u8)]) -> Keyring {
    Keyring::default().follow("cluster", keys.iter().map(|(name, byte)| (*name, key(*byte))), start())
}

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn beat() -> Envelope {
    Envelope {
        from: node("node-1"),
        incarnation: Incarnation { life: Life(7), refutation: 1 },
        sequence: 42,
        echo: Some(Echo { life: Life(9), sequence: 41 }),
        beating: true,
        state: State { able: true, ..State::default() },
        profile: Profile::BALANCED,
        digest: 0x0123_4567_89ab_cdef,
        body: Body::Beat,
    }
}

fn name() -> impl Strategy<Value = NodeName> {
    "[a-z][a-z0-9.-]{0,252}".prop_map(NodeName::from)
}

fn vip() -> impl Strategy<Value = Vip> {
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ];
    address.prop_filter_map("an address that a Service can have", |address| Vip::new(address).ok())
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<(u64, u32)>().prop_map(|(life, refutation)| Incarnation { life: Life(life), refutation })
}

fn obituary() -> impl Strategy<Value = Obituary> {
    (name(), incarnation()).prop_map(|(node, incarnation)| Obituary { node, incarnation })
}

fn offer() -> impl Strategy<Value = Offer> {
    (vip(), any::<u64>()).prop_map(|(vip, epoch)| Offer { vip, epoch })
}

fn opinion() -> impl Strategy<Value = Opinion> {
    prop_oneof![Just(Opinion::Heard), Just(Opinion::Answers), Just(Opinion::Silent), Just(Opinion::Unable)]
}

fn body() -> impl Strategy<Value = Body> {
    let offers = || vec(offer(), 0..=Body::MOST);
    prop_oneof![
        Just(Body::Beat),
        vec(obituary(), 0..=Body::MOST_NODES).prop_map(Body::Dead),
        vec(obituary(), 0..=Body::MOST_NODES).prop_map(Body::Gone),
        vec(obituary(), 0..=Body::MOST_NODES).prop_map(Body::Starved),
        obituary().prop_map(Body::Query),
        (obituary(), opinion()).prop_map(|(obituary, opinion)| Body::Vote(obituary, opinion)),
        (name(), offers()).prop_map(|(node, entries)| Body::Claims { node, entries }),
        vec(any::<u64>(), 0..=64).prop_map(Body::Digests),
        (any::<bool>(), offers()).prop_map(|(elective, offers)| Body::Handover { elective, offers }),
        vec(vip(), 0..=Body::MOST).prop_map(Body::Mismatch),
    ]
}

fn profile() -> impl Strategy<Value = Profile> {
    (1..u32::MAX, 1..=255_u32, any::<u32>()).prop_map(|(beat, misses, confirm)| Profile {
        beat: Duration::from_millis(beat.into()),
        misses,
        confirm: Duration::from_millis(confirm.into()),
    })
}

fn state() -> impl Strategy<Value = State> {
    any::<(bool, bool, bool, bool, bool)>().prop_map(|(able, leaving, left, degraded, cut_off)| State {
        able,
        leaving,
        left,
        degraded,
        cut_off,
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let echo = proptest::option::of(any::<(u64, u64)>());
    let numbers = any::<(u64, bool, u64)>();
    (name(), incarnation(), echo, numbers, state(), profile(), body()).prop_map(
        |(from, incarnation, echo, (sequence, beating, digest), state, profile, body)| Envelope {
            from,
            incarnation,
            sequence,
            echo: echo.map(|(life, sequence)| Echo { life: Life(life), sequence }),
            beating,
            state,
            profile,
            digest,
            body,
        },
    )
}

proptest! {
    #[test]
    fn what_is_sealed_opens_to_the_same(envelope in envelope(), to in name()) {
        let ring = ring(&[("a", 1)]);
        let datagram = ring.seal(&envelope, &to, start()).unwrap();
        prop_assert!(datagram.len() <= 1_452, "{} bytes don't fit into a frame with IPv6 and UDP", datagram.len());
        prop_assert_eq!(ring.open(&datagram, &to, start()), Ok(envelope));
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same(envelope in envelope()) {
        let mut bytes = Vec::new();
        codec::encode(&envelope, &mut bytes);
        prop_assert_eq!(codec::decode(&bytes), Ok(envelope));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _either = codec::decode(&bytes);
        prop_assert!(ring(&[("a", 1)]).open(&bytes, &node("node-2"), start()).is_err());
    }

    #[test]
    fn no_damaged_message_makes_it_panic(envelope in envelope(), position: prop::sample::Index, byte: u8, length: prop::sample::Index) {
        let mut bytes = Vec::new();
        codec::encode(&envelope, &mut bytes);
        let position = position.index(bytes.len());
        bytes[position] = byte;
        let _either = codec::decode(&bytes[..=length.index(bytes.len())]);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused(envelope in envelope(), position: prop::sample::Index, bit in 0..8_u32) {
        let ring = ring(&[("a", 1)]);
        let mut datagram = ring.seal(&envelope, &node("node-2"), start()).unwrap();
        let position = position.index(datagram.len());
        datagram[position] ^= 1_u8 << bit;
        prop_assert!(ring.open(&datagram, &node("node-2"), start()).is_err());
    }

    #[test]
    fn a_shortened_datagram_is_refused(envelope in envelope(), length: prop::sample::Index) {
        let ring = ring(&[("a", 1)]);
        let datagram = ring.seal(&envelope, &node("node-2"), start()).unwrap();
        prop_assert!(ring.open(&datagram[..length.index(datagram.len())], &node("node-2"), start()).is_err());
    }
}

#[test]
fn every_bit_of_a_beat_is_protected() {
    let ring = ring(&[("a", 1)]);
    let datagram = ring.seal(&beat(), &node("node-2"), start()).unwrap();
    for bit in 0..datagram.len() * 8 {
        let mut damaged = datagram.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(ring.open(&damaged, &node("node-2"), start()).is_err(), "bit {bit}");
    }
}

#[test]
fn a_refusal_names_its_reason() {
    let (ours, other_key) = (ring(&[("a", 1)]), ring(&[("a", 2)]));
    let other_cluster = Keyring::default().follow("elsewhere", [("a", key(1))], start());
    let (me, now) = (node("node-2"), start());
    let datagram = ours.seal(&beat(), &me, now).unwrap();
    let reason = |ring: &Keyring, bytes: &[u8], me: &NodeName| ring.open(bytes, me, now).unwrap_err().reason();

    assert_eq!(reason(&other_key, &datagram, &me), "unknown_key");
    assert_eq!(reason(&other_cluster, &datagram, &me), "wrong_cluster");
    assert_eq!(reason(&ours, &datagram, &node("node-3")), "not_for_us");
    assert_eq!(reason(&ours, &datagram[..20], &me), "truncated");
    assert_eq!(reason(&ours, &datagram[..HEADER_LENGTH + TAG_LENGTH - 1], &me), "truncated");
    assert_eq!(reason(&ours, b"", &me), "truncated");
    assert_eq!(reason(&ours, &datagram[..datagram.len() - 1], &me), "forged");
    let with = |position: usize, byte: u8| {
        let mut changed = datagram.clone();
        changed[position] = byte;
        changed
    };
    assert_eq!(reason(&ours, &with(0, 2), &me), "version");
    assert_eq!(reason(&ours, &with(HEADER_LENGTH, !datagram[HEADER_LENGTH]), &me), "forged");
}

#[test]
fn who_writes_another_recipient_or_cluster_into_the_header_is_found_out() {
    let ours = ring(&[("a", 1)]);
    let mut for_another = ours.seal(&beat(), &node("node-3"), start()).unwrap();
    for_another[9..13].copy_from_slice(&id_of(b"node-2"));
    assert_eq!(ours.open(&for_another, &node("node-2"), start()), Err(OpenError::Forged));

    let elsewhere = Keyring::default().follow("elsewhere", [("a", key(1))], start());
    let mut from_elsewhere = elsewhere.seal(&beat(), &node("node-2"), start()).unwrap();
    from_elsewhere[5..9].copy_from_slice(&id_of(b"cluster"));
    assert_eq!(ours.open(&from_elsewhere, &node("node-2"), start()), Err(OpenError::Forged));
}

#[test]
fn a_kind_of_message_from_a_later_release_is_still_a_sign_of_life() {
    let mut bytes = Vec::new();
    codec::encode(&beat(), &mut bytes);
    *bytes.last_mut().unwrap() = 200;
    bytes.extend([1, 2, 3]);
    assert_eq!(codec::decode(&bytes), Ok(beat()));
}

#[test]
fn bytes_behind_a_message_are_refused() {
    let mut bytes = Vec::new();
    codec::encode(&beat(), &mut bytes);
    bytes.push(0);
    assert_eq!(codec::decode(&bytes), Err(DecodeError::Trailing(1)));
}

#[test]
fn a_beat_is_small() {
    let datagram = ring(&[("a", 1)]).seal(&beat(), &node("node-2"), start()).unwrap();
    assert!(datagram.len() < 120, "{} bytes", datagram.len());
}

#[test]
fn two_datagrams_of_one_message_differ() {
    let ring = ring(&[("a", 1)]);
    let seal = || ring.seal(&beat(), &node("node-2"), start()).unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn without_a_key_nothing_is_sealed_or_opened() {
    let (none, some) = (ring(&[]), ring(&[("a", 1)]));
    assert!(none.is_empty());
    assert_eq!(none.seal(&beat(), &node("node-2"), start()), None);
    let datagram = some.seal(&beat(), &node("node-2"), start()).unwrap();
    assert_eq!(none.open(&datagram, &node("node-2"), start()), Err(OpenError::Key));
}

mod rotation {
    use super::*;

    #[test]
    fn a_new_key_opens_at_once_and_seals_when_all_know_it() {
        let before = ring(&[("2026-01", 1)]);
        let after_change = before.follow("cluster", [("2026-01", key(1)), ("2026-02", key(2))], after(100));
        assert_eq!(after_change.sealing_name(after(129)), Some("2026-01"));
        assert_eq!(after_change.sealing_name(after(130)), Some("2026-02"));
        let news = ring(&[("2026-02", 2)]).seal(&beat(), &node("node-2"), start()).unwrap();
        assert_eq!(after_change.open(&news, &node("node-2"), after(100)), Ok(beat()));
    }

    #[test]
    fn while_speakers_learn_of_a_change_at_different_times_everybody_reads_everybody() {
        // Up to 20 s between the first and the last that learns of the new key, and later of the old one's removal.
        let learn = |delay: u64| {
            let first = ring(&[("1", 1)]);
            let both = first.follow("cluster", [("1", key(1)), ("2", key(2))], after(100 + delay));
            let second = both.follow("cluster", [("2", key(2))], after(200 + delay));
            move |now: u64| match now {
                _ if now < 100 + delay => first.clone(),
                _ if now < 200 + delay => both.clone(),
                _ => second.clone(),
            }
        };
        let (early, late) = (learn(0), learn(20));
        for now in 0..900 {
            for (from, to) in [(early(now), late(now)), (late(now), early(now))] {
                let datagram = from.seal(&beat(), &node("node-2"), after(now)).unwrap();
                let opened = to.open(&datagram, &node("node-2"), after(now));
                assert_eq!(opened, Ok(beat()), "at {now} s, sealed with {:?}", from.sealing_name(after(now)));
            }
        }
    }

    #[test]
    fn a_key_that_was_taken_away_opens_for_ten_minutes_more() {
        let first = ring(&[("1", 1)]);
        let datagram = first.seal(&beat(), &node("node-2"), start()).unwrap();
        let second = first.follow("cluster", [("2", key(2))], after(100));
        assert_eq!(second.open(&datagram, &node("node-2"), after(699)), Ok(beat()));
        assert_eq!(second.open(&datagram, &node("node-2"), after(700)), Err(OpenError::Key));
        let read_again = second.follow("cluster", [("2", key(2))], after(400));
        assert_eq!(
            read_again.open(&datagram, &node("node-2"), after(700)),
            Err(OpenError::Key),
            "it doesn't begin anew"
        );
    }

    #[test]
    fn after_the_secret_was_deleted_the_last_keys_go_on() {
        let deleted = ring(&[("1", 1)]).follow("cluster", [] as [(&str, _); 0], after(100));
        assert_eq!(deleted.sealing_name(after(5_000)), Some("1"));
        let again = deleted.follow("cluster", [] as [(&str, _); 0], after(5_000));
        let datagram = again.seal(&beat(), &node("node-2"), after(9_000)).unwrap();
        assert_eq!(again.open(&datagram, &node("node-2"), after(9_000)), Ok(beat()));

        let made_anew = again.follow("cluster", [("2", key(2))], after(9_001));
        assert_eq!(made_anew.sealing_name(after(9_030)), Some("1"), "not all know the new one yet");
        assert_eq!(made_anew.sealing_name(after(9_031)), Some("2"));
        assert_eq!(made_anew.open(&datagram, &node("node-2"), after(9_600)), Ok(beat()));
        assert_eq!(made_anew.open(&datagram, &node("node-2"), after(9_601)), Err(OpenError::Key));
        let soon = deleted.follow("cluster", [("2", key(2))], after(101));
        assert_eq!(soon.sealing_name(after(102)), Some("1"), "not all know the new one yet");
        assert_eq!(soon.sealing_name(after(131)), Some("2"));
    }

    #[test]
    fn of_several_keys_known_since_just_now_the_oldest_seals() {
        assert_eq!(ring(&[("2", 2), ("1", 1)]).sealing_name(start()), Some("1"));
    }

    #[test]
    fn a_key_with_other_bytes_under_the_same_name_is_another_key() {
        let first = ring(&[("1", 1)]);
        let second = first.follow("cluster", [("1", key(2))], after(100));
        let datagram = second.seal(&beat(), &node("node-2"), after(100)).unwrap();
        assert_eq!(second.open(&datagram, &node("node-2"), after(100)), Ok(beat()), "all still know the former one");
        let datagram = second.seal(&beat(), &node("node-2"), after(130)).unwrap();
        assert_eq!(ring(&[("1", 2)]).open(&datagram, &node("node-2"), start()), Ok(beat()));
    }

    #[test]
    fn a_ring_shows_no_key_when_it_is_printed() {
        assert_eq!(format!("{:?}", ring(&[("1", 1)])), r#"Keyring { cluster: "cluster", keys: ["1"], .. }"#);
    }
}
