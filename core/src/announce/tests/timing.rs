//! What is announced when.

use super::*;

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";

/// Rounded to whole milliseconds.
fn whole(times: &[f64]) -> Vec<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a test")]
    times.iter().map(|time| time.round() as i64).collect()
}

#[test]
fn item_13_ipv4_is_announced_by_the_schedule_and_then_refreshed() {
    let mut wire = Wire::owning([vip(VIP)]);
    wire.pass(Duration::from_secs(35));
    assert_eq!(whole(&wire.times()), [0, 20, 100, 300, 1_100, 2_200, 5_000, 10_000, 30_000]);
    let replies = wire.sent.iter().filter(|sent| matches!(sent.frame, Frame::GratuitousReply { .. }));
    assert_eq!(replies.map(|sent| sent.at).collect::<Vec<_>>(), [20.0]);
    wire.pass(Duration::from_secs(1_000));
    let times = wire.times();
    let refreshes = &times[8..];
    assert!((9..=11).contains(&(refreshes.len() - 1)), "{refreshes:?}");
    assert!(refreshes.windows(2).all(|pair| (90_000.0..=110_000.0).contains(&(pair[1] - pair[0]))), "{refreshes:?}");
}

#[test]
fn item_27_ipv6_is_announced_three_times_and_then_refreshed() {
    let mut wire = Wire::owning([vip(VIP6)]);
    wire.pass(Duration::from_secs(80));
    assert_eq!(whole(&wire.times()), [0, 1_000, 2_000]);
    wire.pass(Duration::from_secs(40));
    assert_eq!(wire.times().len(), 4);
}

#[test]
fn ipv6_announcements_stay_a_second_apart_when_the_process_was_held_up() {
    let mut wire = Wire::owning([vip(VIP6)]);
    wire.now += Duration::from_millis(1_700);
    wire.pass(Duration::from_secs(5));
    assert_eq!(whole(&wire.times()), [0, 1_700, 2_700]);
}

#[test]
fn gateways_are_told_at_once_and_each_family_only_its_own() {
    let mut wire = Wire::new(Config::default(), link(&["192.0.2.254", "192.0.2.253", "fe80::fe"]));
    wire.own([vip(VIP), vip(VIP6)]);
    let frames = wire.take();
    let vip4 = Ipv4Addr::new(192, 0, 2, 100);
    let request =
        |target: &str| Frame::DirectedRequest { vip: vip4, target: target.parse().unwrap(), to: MacAddr::BROADCAST };
    let solicitation = Frame::DirectedSolicitation { vip: VIP6.parse().unwrap(), target: "fe80::fe".parse().unwrap() };
    let unsolicited = Frame::UnsolicitedAdvertisement { vip: VIP6.parse().unwrap(), from: "fe80::1".parse().unwrap() };
    let expected = [
        Frame::GratuitousRequest { vip: vip4 },
        request("192.0.2.254"),
        request("192.0.2.253"),
        unsolicited,
        solicitation,
    ];
    assert_eq!(frames, expected);
}

#[test]
fn askers_that_a_candidate_overheard_are_told_newest_first_when_it_becomes_the_owner() {
    let mut wire = Wire::new(Config::default(), link(&["192.0.2.254"]));
    wire.publish([], [vip(VIP)]);
    for host in 0..300 {
        wire.pass(Duration::from_millis(10));
        assert_eq!(wire.ask(vip(VIP), host), Verdict::Overheard);
    }
    assert_eq!(wire.take(), [], "a candidate says nothing");
    wire.own([vip(VIP)]);
    wire.pass(Duration::from_secs(10));
    let told = wire.sent.iter().filter_map(|sent| match sent.frame {
        Frame::DirectedRequest { target, to, .. } if to != MacAddr::BROADCAST => Some((target, to)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let expected: Vec<_> = (44..300).rev().map(|host| (host_address(host), host_mac(host))).collect();
    assert_eq!(told, expected, "the 256 most recent");
}

#[test]
fn vips_that_were_asked_for_most_recently_are_announced_first() {
    let mut wire = Wire::new(Config::default(), link(&[]));
    let vips: Vec<_> = (0..10).map(numbered).collect();
    wire.publish([], vips.clone());
    for number in [3, 7, 5] {
        wire.pass(Duration::from_millis(10));
        wire.ask(numbered(number), 1);
    }
    wire.publish(vips.clone(), vips);
    let order: Vec<_> = wire.sent.iter().filter_map(|sent| sent.frame.announced()).collect();
    assert_eq!(order[..4], [numbered(5), numbered(7), numbered(3), numbered(0)]);
}

#[test]
fn the_same_announcements_and_links_again_send_nothing() {
    let mut wire = Wire::owning([vip(VIP), vip(VIP6)]);
    wire.pass(Duration::from_mins(1));
    wire.take();
    wire.own([vip(VIP), vip(VIP6)]);
    wire.relink(|_| {});
    wire.relink(|link| link.addresses.clear());
    assert_eq!(wire.take(), []);
    wire.own([vip(VIP), vip(VIP6), vip("192.0.2.101")]);
    let frames = wire.take();
    assert_eq!(frames, [Frame::GratuitousRequest { vip: Ipv4Addr::new(192, 0, 2, 101) }], "only what is new");
}

#[test]
fn what_is_withdrawn_is_silent_at_once_and_for_ever() {
    let mut wire = Wire::new(Config::default(), link(&["192.0.2.254"]));
    // So many that most of them still wait when they are withdrawn.
    let vips: Vec<_> = (0..1_000).map(numbered).collect();
    wire.own(vips.clone());
    wire.pass(Duration::from_millis(25));
    wire.take();
    wire.publish([], vips);
    wire.pass(Duration::from_mins(5));
    assert_eq!(wire.take(), []);
    let withdrawn = wire.events.iter().filter(|event| matches!(event, Event::Withdrawn { .. })).count();
    assert_eq!(withdrawn, 1_000);
    assert_eq!(wire.ask(numbered(0), 1), Verdict::Overheard);
}
