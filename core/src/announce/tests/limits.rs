//! How fast, how much and in which order, whatever happens.

use super::*;
use proptest::prelude::*;

/// What governs a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    First,
    Repeat,
    Directed,
}

/// Whether more frames fall into any span of time than burst and rate allow.
fn exceeds(times: &[f64], burst: usize, interval: f64) -> bool {
    times.iter().enumerate().any(|(position, from)| {
        times[position..].iter().enumerate().any(|(further, until)| {
            #[expect(clippy::cast_precision_loss, reason = "some thousand frames")]
            let allowed = burst as f64 + (until - from) / interval + 1e-6;
            #[expect(clippy::cast_precision_loss, reason = "some thousand frames")]
            let passed = (further + 1) as f64;
            passed > allowed
        })
    })
}

/// The frames in order; the first announcement of each VIP, and frames to gateways, are firsts.
fn classified(wire: &Wire) -> Vec<(Kind, f64)> {
    let mut announced = BTreeSet::new();
    let kinds = wire.sent.iter().map(|sent| match sent.frame {
        Frame::ArpReply { .. } | Frame::Advertisement { .. } | Frame::ProbeAnswer { .. } => Kind::Answer,
        Frame::DirectedSolicitation { .. } | Frame::DirectedRequest { to: MacAddr::BROADCAST, .. } => Kind::First,
        Frame::DirectedRequest { .. } => Kind::Directed,
        _ if announced.insert(sent.frame.announced()) => Kind::First,
        _ => Kind::Repeat,
    });
    kinds.zip(&wire.sent).map(|(kind, sent)| (kind, sent.at)).collect()
}

fn times(frames: &[(Kind, f64)], kind: Kind) -> Vec<f64> {
    frames.iter().filter(|(of, _)| *of == kind).map(|(_, at)| *at).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn item_13_buckets_are_never_exceeded_and_firsts_precede_repeats(
        vips in 1..700_u32,
        askers in 0..40_u32,
        gateways in 0..3_usize,
    ) {
        let gateways = &["192.0.2.254", "192.0.2.253", "fe80::fe"][..gateways];
        let mut wire = Wire::new(Config::default(), link(gateways));
        let all: Vec<_> = (0..vips).map(numbered).collect();
        wire.publish([], all.clone());
        for host in 0..askers {
            wire.ask(numbered(host % vips), host);
        }
        wire.own(all);
        wire.pass(Duration::from_secs(4));
        let frames = classified(&wire);
        let last_first = frames.iter().rposition(|(kind, _)| *kind == Kind::First);
        let first_other = frames.iter().position(|(kind, _)| *kind != Kind::First);
        prop_assert!(first_other.is_none() || last_first < first_other, "{last_first:?} {first_other:?}");
        let firsts = times(&frames, Kind::First);
        prop_assert_eq!(firsts.len(), vips as usize * (1 + gateways.len()));
        prop_assert!(!exceeds(&firsts, 50, 0.2));
        prop_assert!(!exceeds(&times(&frames, Kind::Repeat), 50, 5.0));
        prop_assert!(!exceeds(&times(&frames, Kind::Directed), 50, 5.0));
    }

    #[test]
    fn item_14_compatible_pacing_never_sends_eleven_frames_in_a_second(
        vips in 1..60_u32,
        questions in proptest::collection::vec((0..3_000_u64, 0..60_u32), 0..80),
        lateness in 0..50_u64,
    ) {
        let config = Config { pacing: Pacing::Compat, ..Config::default() };
        let mut wire = Wire::new(config, link(&["192.0.2.254"]));
        wire.own((0..vips).map(numbered));
        let mut questions = questions;
        questions.sort_unstable();
        for (at, number) in questions {
            let at = start() + Duration::from_millis(at);
            wire.pass(at.saturating_duration_since(wire.now));
            wire.ask(numbered(number), number);
        }
        wire.pass(Duration::from_secs(20));
        let times: Vec<_> = wire.sent.iter().map(|sent| sent.at).collect();
        for pair in times.windows(11) {
            // Frame one as late as the system makes it, the eleventh in time.
            let span = pair[10] - pair[0] - f64::from(u32::try_from(lateness).unwrap());
            prop_assert!(span >= 1_000.0, "{:?}", pair);
        }
    }

    /// Random owners, links and frames: nothing is ever said of a VIP that is not owned, or without a carrier.
    #[test]
    fn nothing_is_said_of_what_is_not_owned(steps in proptest::collection::vec((0..6_u8, 0..20_u32, 0..500_u64), 1..120)) {
        let mut wire = Wire::new(Config::default(), link(&["192.0.2.254"]));
        let mut owned = BTreeSet::new();
        for (action, number, wait) in steps {
            match action {
                0 => {
                    owned.insert(numbered(number));
                    wire.publish(owned.clone(), (0..20).map(numbered));
                }
                1 => {
                    owned.remove(&numbered(number));
                    wire.publish(owned.clone(), (0..20).map(numbered));
                }
                2 => wire.relink(|link| link.carrier = !link.carrier),
                3 => drop(wire.hear(&claim(numbered(number), STRANGER))),
                4 => drop(wire.ask(numbered(number), number)),
                _ => wire.relink(|link| link.mac = host_mac(number + 1_000)),
            }
            wire.pass(Duration::from_millis(wait));
            let (mac, carrier) = (wire.link.mac, wire.link.carrier);
            for sent in std::mem::take(&mut wire.sent) {
                let told = match sent.frame {
                    Frame::ArpReply { vip, .. } | Frame::DirectedRequest { vip, .. } => Vip::new(vip.into()).ok(),
                    frame => frame.announced(),
                };
                prop_assert!(told.is_some_and(|vip| owned.contains(&vip)), "{:?}", sent);
                // A question that was heard shows that there is a carrier, whatever was known of it.
                let is_answer = matches!(sent.frame, Frame::ArpReply { .. });
                prop_assert!((carrier || is_answer) && sent.mac == mac, "{:?}", sent);
            }
        }
    }
}

#[test]
fn item_16_a_flood_for_one_vip_is_limited_and_others_are_answered() {
    let mut wire = Wire::owning([numbered(1), numbered(2)]);
    let mut answered = 0;
    for tick in 0..50_000_u32 {
        wire.pass(Duration::from_micros(20));
        answered += u32::from(wire.ask(numbered(1), tick) == Verdict::Answered);
        if tick % 100 == 0 {
            assert_eq!(wire.ask(numbered(2), tick), Verdict::Answered);
        }
    }
    assert!((1_000..=1_200).contains(&answered), "{answered} answers in a second");
}

#[test]
fn repeats_come_even_while_askers_wait_and_askers_even_while_repeats_wait() {
    let mut wire = Wire::new(Config::default(), link(&[]));
    let vips: Vec<_> = (0..500).map(numbered).collect();
    wire.publish([], vips.clone());
    for host in 0..500 {
        wire.ask(numbered(host), host);
    }
    wire.own(vips);
    wire.pass(Duration::from_secs(4));
    let frames = classified(&wire);
    assert_eq!(times(&frames, Kind::Directed).len(), 500, "all askers are told within 4 s");
    assert!(times(&frames, Kind::Repeat).len() > 700);
}
