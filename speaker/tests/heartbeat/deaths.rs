//! What becomes of a dead node's addresses, and how soon.

use crate::site::{Family, Site, VIP, name, wall_clock};
use herald_core::liveness::Profile;
use herald_core::member::{Cause, Event as Told};
use herald_speaker::member::Event;

#[test]
fn a_killed_speakers_address_is_taken_at_once_because_its_kernel_refuses_beats() {
    for gateway in [true, false] {
        let mut site = Site::with(3, Family::V4, gateway);
        site.announce(&[(VIP, 0)]);
        site.expect_all_alive();
        let killed = wall_clock();
        site.kill(0);
        let gap = site.expect_takeover(VIP, 0)["at"].as_f64().expect("a time") - killed;
        println!("gateway {gateway}: first frame of the new owner {:.0} ms after the kill", gap * 1e3);
        assert!(gap < 0.3, "gateway {gateway}: {gap} s");
        site.expect_cause(VIP, 0, Cause::Gone);
    }
}

#[test]
fn a_node_that_is_cut_off_loses_its_address_within_a_second() {
    let site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    let cut = wall_clock();
    site.lan.plug("node-1", false);
    let gap = site.expect_takeover(VIP, 0)["at"].as_f64().expect("a time") - cut;
    println!("first frame of the new owner {:.0} ms after the cut", gap * 1e3);
    assert!((0.3..1.0).contains(&gap), "{gap} s: no sooner than silence can mean anything");
    site.expect_cause(VIP, 0, Cause::Dead);
}

#[test]
fn a_faster_profile_holds_without_a_restart() {
    let site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    for node in 0..3 {
        site.speaker(node).profile.send_replace(Profile::FAST);
    }
    // By then all have heard of it from all.
    site.expect_more_beats(20);
    let cut = wall_clock();
    site.lan.plug("node-1", false);
    let gap = site.expect_takeover(VIP, 0)["at"].as_f64().expect("a time") - cut;
    println!("first frame of the new owner {:.0} ms after the cut", gap * 1e3);
    assert!((0.1..0.45).contains(&gap), "{gap} s");
}

#[test]
fn of_two_nodes_the_other_takes_over_too() {
    let mut site = Site::new(2, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    site.kill(0);
    site.expect_takeover(VIP, 0);
    site.expect_cause(VIP, 0, Cause::Gone);
}

#[test]
fn beats_that_a_packet_filter_refuses_move_nothing() {
    let mut site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    for rule in [
        "table inet filter",
        "chain inet filter input { type filter hook input priority 0 ; }",
        "rule inet filter input udp dport 7948 reject with icmpx port-unreachable",
    ] {
        site.hosts[0].namespace.run(&format!("nft add {rule}"));
    }
    let peer = name(0);
    site.speaker(1).expect_event("word of it", |event| match event {
        Event::Member(Told::Refusing { node, refuses, .. }) => *node == peer && *refuses,
        _ => false,
    });
    site.expect_unmoved(VIP, 0);
    site.hosts[0].namespace.run("nft delete table inet filter");
    site.expect_all_alive();
}

#[test]
fn nothing_moves_back_to_a_speaker_that_is_started_again() {
    let mut site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    site.kill(0);
    site.expect_takeover(VIP, 0);
    site.speakers[0] = Some(site.start(0, 99));
    site.publish(&[(VIP, 0)]);
    site.expect_all_alive();
    // It comes back, and nothing moves back.
    let new = (1..3).find(|node| site.holds(*node, VIP)).expect("an owner among the others");
    site.expect_more_beats(20);
    site.expect_unmoved(VIP, new);
}
