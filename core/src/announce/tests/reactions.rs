//! What frames and changes of the interface lead to.

use super::*;

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";

fn requests(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| matches!(frame, Frame::GratuitousRequest { .. })).count()
}

/// A wire on which the schedule has run to its end and nothing has been recorded yet.
fn settled(vips: &[&str]) -> Wire {
    let mut wire = Wire::new(Config::default(), link(&["192.0.2.254"]));
    wire.own(vips.iter().map(|text| vip(text)));
    wire.pass(Duration::from_secs(35));
    wire.take();
    wire.events.clear();
    wire
}

#[test]
fn a_question_is_answered_to_who_asks() {
    let mut wire = settled(&[VIP, VIP6]);
    assert_eq!(wire.ask(vip(VIP), 7), Verdict::Answered);
    let expected = Frame::ArpReply { vip: Ipv4Addr::new(192, 0, 2, 100), asker: host_address(7), to: host_mac(7) };
    assert_eq!(wire.take(), [expected]);
    assert_eq!(wire.ask(vip(VIP6), 7), Verdict::Answered);
    let (address, from) = (VIP6.parse().unwrap(), "fe80::1".parse().unwrap());
    let asker = "2001:db8::50".parse().unwrap();
    assert_eq!(wire.take(), [Frame::Advertisement { vip: address, from, asker, to: host_mac(7) }]);
    assert_eq!(wire.ask(vip("192.0.2.101"), 7), Verdict::Unconcerned);
    let probe = Question { target: vip(VIP6).address(), asker: None, mac: host_mac(7) };
    wire.hear(&Heard { source: host_mac(7), directed: false, claim: None, question: Some(probe) });
    assert_eq!(wire.take(), [Frame::ProbeAnswer { vip: address, from }]);
}

#[test]
fn item_19_a_carrier_that_comes_back_runs_the_whole_schedule_past_30_seconds() {
    let mut wire = settled(&[VIP]);
    wire.relink(|link| link.carrier = false);
    wire.pass(Duration::from_mins(5));
    assert_eq!(wire.take(), [], "nothing without a carrier");
    wire.relink(|link| link.carrier = true);
    wire.pass(Duration::from_secs(31));
    assert_eq!(requests(&wire.take()), 8);
    let announced = Event::Announced { vip: vip(VIP), link: LINK, mac: MAC, at: start() + Duration::from_secs(335) };
    assert_eq!(wire.events, [announced]);
}

#[test]
fn item_21_a_new_mac_address_is_announced_at_once() {
    let mut wire = settled(&[VIP]);
    wire.relink(|link| link.mac = STRANGER);
    assert!(wire.sent.iter().all(|sent| sent.mac == STRANGER));
    assert_eq!(requests(&wire.take()), 1);
    assert!(matches!(wire.events[..], [Event::Announced { mac: STRANGER, .. }]), "{:?}", wire.events);
}

#[test]
fn item_18_a_wish_of_the_kernel_runs_the_schedule_again_but_is_no_news() {
    let mut wire = settled(&[VIP]);
    wire.announcer.handle_relearn(LINK, wire.now);
    wire.collect();
    wire.pass(Duration::from_secs(31));
    assert_eq!(requests(&wire.take()), 8);
    assert_eq!(wire.events, []);
}

#[test]
fn item_7_a_rival_is_reported_and_answered_20_to_50_ms_later() {
    let mut wire = settled(&[VIP]);
    let heard = wire.now;
    assert_eq!(wire.hear(&claim(vip(VIP), STRANGER)), Verdict::Rival);
    assert_eq!(wire.events, [Event::Rival { vip: vip(VIP), link: LINK, mac: STRANGER }]);
    assert_eq!(wire.take(), [], "not yet");
    wire.pass(Duration::from_millis(100));
    let first = wire.sent.first().expect("a defence");
    let after = first.at - (heard - start()).as_secs_f64() * 1e3;
    assert!((20.0..=50.0).contains(&after), "{after} ms");
    assert_eq!(first.frame, Frame::GratuitousRequest { vip: Ipv4Addr::new(192, 0, 2, 100) });
}

#[test]
fn item_7_a_rival_that_never_stops_is_answered_a_few_times_and_reported_once_a_second() {
    for (members, answers) in [(BTreeSet::new(), 1), (BTreeSet::from([STRANGER]), 3)] {
        let mut wire = settled(&[VIP]);
        wire.announcer.set_members(members);
        for _ in 0..2_000 {
            wire.hear(&claim(vip(VIP), STRANGER));
            wire.pass(Duration::from_millis(10));
        }
        let runs = wire.take().iter().filter(|frame| matches!(frame, Frame::GratuitousReply { .. })).count();
        assert_eq!(runs, answers);
        assert_eq!(wire.events.len(), 20);
    }
}

#[test]
fn claims_of_ourselves_of_the_gateway_and_for_others_vips_are_no_rivals() {
    let mut wire = settled(&[VIP]);
    assert_eq!(wire.hear(&claim(vip(VIP), MAC)), Verdict::Unconcerned, "reflected by the network");
    assert_eq!(wire.hear(&claim(vip("192.0.2.101"), STRANGER)), Verdict::Unconcerned);
    assert_eq!(wire.hear(&claim(vip("192.0.2.254"), STRANGER)), Verdict::Unconcerned, "the gateway's own address");
    assert_eq!(wire.hear(&claim(vip(VIP), STRANGER)), Verdict::Unconcerned, "the gateway's proxy ARP");
    assert_eq!(wire.events, []);
    let asked = claim(vip(VIP), STRANGER);
    let announced = Heard { claim: asked.claim.map(|said| Claim { unasked: true, ..said }), ..asked };
    assert_eq!(wire.hear(&announced), Verdict::Rival, "another node, over which a route leads to its pods");
}

#[test]
fn item_31_vips_that_share_a_group_join_it_once_and_leave_it_last() {
    let (first, second) = (vip("2001:db8::1:100"), vip("2001:db8:2::1:100"));
    let group = "ff02::1:ff01:100".parse().unwrap();
    let mut wire = Wire::new(Config::default(), link(&[]));
    wire.publish([first], [first, second]);
    assert_eq!(wire.groups, [(true, group)]);
    wire.publish([], [second]);
    assert_eq!(wire.groups, [(true, group)], "one stays");
    wire.publish([second], []);
    wire.publish([], []);
    assert_eq!(wire.groups, [(true, group), (false, group)]);
}

#[test]
fn item_32_without_link_local_address_ipv6_waits_and_says_so_once() {
    let mut wire = Wire::new(Config::default(), Link { link_local: None, ..link(&[]) });
    wire.own([vip(VIP), vip(VIP6), vip("2001:db8::101")]);
    assert_eq!(requests(&wire.take()), 1);
    let complaints = wire.events.iter().filter(|event| matches!(event, Event::NoLinkLocal { link: LINK })).count();
    assert_eq!(complaints, 1);
    assert_eq!(wire.ask(vip(VIP6), 1), Verdict::Unconcerned);
    wire.relink(|link| link.link_local = "fe80::1".parse().ok());
    let announced: Vec<_> = wire.take().iter().filter_map(Frame::announced).collect();
    assert_eq!(announced, [vip(VIP6), vip("2001:db8::101")], "and IPv4 is not announced again");
}

#[test]
fn an_interface_that_is_gone_is_silent_and_starts_afresh_when_it_is_back() {
    let mut wire = settled(&[VIP, VIP6]);
    wire.announcer.set_links(&Links::new(), wire.now);
    wire.pass(Duration::from_mins(5));
    assert_eq!(wire.take(), []);
    wire.groups.clear();
    wire.relink(|_| {});
    assert_eq!(wire.groups.len(), 1, "the group is joined again");
    assert_eq!(wire.take().len(), 3, "both VIPs, and the gateway");
}

#[test]
fn a_strict_announcer_leaves_translated_senders_unanswered() {
    let mut wire = Wire::new(Config { strict_senders: true, ..Config::default() }, link(&[]));
    wire.own([vip(VIP)]);
    let translated = Heard { source: STRANGER, ..question(vip(VIP), 1) };
    assert_eq!(wire.hear(&translated), Verdict::Translated);
    assert_eq!(wire.ask(vip(VIP), 1), Verdict::Answered);
}
