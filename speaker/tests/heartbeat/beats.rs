//! Beats flow, whatever the segment's addresses are and whichever key is in use.

use crate::site::{CLUSTER, Family, KEY, Site, VIP, VIP6, keyring, keyring_of, name};
use crate::support::{eventually, now};
use herald_core::announce::Config;
use herald_core::liveness::Standing;
use herald_speaker::member::{Event, Task};
use herald_wire::heartbeat::Keyring;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn members_of_a_segment_hear_each_other_and_no_router_hears_them() {
    for family in [Family::V4, Family::V6] {
        let mut site = Site::new(2, family);
        site.station.report_beats();
        site.publish(&[]);
        site.expect_all_alive();
        // Until they had heard of each other, what was said could not be believed.
        site.expect_more_beats(10);
        let before = [site.dropped(0), site.dropped(1)];
        // The client's port of the switch sees nothing of it; the nodes' ports do.
        let mut port = crate::support::station::Station::listen(&site.lan.switch, "node-2");
        port.report_beats();
        let beat = port.expect("a beat of node-2", |frame| frame["beat"]["from"] == site.address(1));
        assert_eq!(beat["beat"]["to"], site.address(0), "{family:?}");
        assert_eq!(beat["beat"]["hops"], 1, "no router forwards it");
        site.expect_more_beats(10);
        assert_eq!([site.dropped(0), site.dropped(1)], before, "{family:?}");
    }
}

#[test]
fn a_key_is_replaced_without_a_missed_beat() {
    const NEXT: [u8; 32] = [8; 32];
    let mut site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    let dropped = [0, 1, 2].map(|node| site.dropped(node));
    let (old, new) = (("2026-01-01T00-00-00Z", KEY), ("2026-02-01T00-00-00Z", NEXT));
    // As speakers read the Secret at different times: the new key is just known, known by all for long, the only one.
    let before = keyring();
    let fresh = before.follow(CLUSTER, [old, new], now());
    let agreed = keyring_of(CLUSTER, &[old, new]);
    let after = agreed.follow(CLUSTER, [new], now());
    let steps = [
        [&fresh, &before, &before],
        [&fresh, &fresh, &fresh],
        [&agreed, &fresh, &fresh],
        [&agreed, &agreed, &agreed],
        [&after, &agreed, &agreed],
        [&after, &after, &after],
    ];
    for step in steps {
        for (node, keys) in step.into_iter().enumerate() {
            site.speaker(node).keys.send_replace(Arc::new(keys.clone()));
        }
        site.expect_more_beats(10);
    }
    site.expect_unmoved(VIP, 0);
    assert_eq!([0, 1, 2].map(|node| site.dropped(node)), dropped);
}

#[test]
fn without_a_key_nothing_is_said_and_with_the_first_one_beats_begin() {
    let site = Site::new(2, Family::V4);
    for node in 0..2 {
        site.speaker(node).keys.send_replace(Arc::default());
    }
    site.publish(&[]);
    eventually("beats that can't be sealed", PATIENCE, || {
        let unsent = site.speaker(0).counter("heartbeats_unsent_total{reason=\"no_key\"}");
        if unsent > 0 { Ok(()) } else { Err("none".to_owned()) }
    });
    assert_eq!(site.speaker(1).counter("heartbeats_received_total"), 0);
    for node in 0..2 {
        site.speaker(node).keys.send_replace(Arc::new(keyring_of(CLUSTER, &[("first", KEY)])));
    }
    site.expect_all_alive();
}

#[test]
fn a_flood_of_questions_keeps_no_beat_waiting() {
    let mut site = Site::new(2, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    let flooder = site.lan.attach("flooder", &[]);
    let mut flood = crate::support::station::Station::listen(&flooder.namespace, "eth0");
    flood.hush(true);
    let question = format!(
        "Ether(src='{}', dst='{}')/ARP(op=1, hwsrc='{}', psrc='192.0.2.60', pdst='{VIP}')",
        flooder.mac, site.hosts[0].mac, flooder.mac
    );
    flood.flood(&question, 50_000, 3.0);
    let flooded =
        flood.expect_within(Duration::from_secs(30), "the end of the flood", |frame| frame["flooded"].is_u64());
    println!("{} questions in {:.1} s", flooded["flooded"], flooded["took"].as_f64().unwrap_or_default());
    site.expect_unmoved(VIP, 0);
    for node in 0..2 {
        let suspected = site.speaker(node).counter("verdicts_total{verdict=\"suspected\"}");
        assert_eq!(suspected, 0, "{} suspected the other", name(node));
    }
}

#[test]
fn a_port_that_is_anothers_is_named_and_taken_once_it_is_free() {
    let lan = crate::support::lan::Lan::new();
    let host = lan.attach("node-1", &["192.0.2.1/24"]);
    let other =
        host.namespace.within(|| std::net::UdpSocket::bind(("0.0.0.0", crate::speaker::PORT)).expect("the port"));
    let speaker = crate::speaker::Speaker::start(&host.namespace, "node-1", 1, Config::default(), Keyring::default());
    let hindered =
        speaker.expect_event("the hindrance", |event| matches!(event, Event::Hindered { task: Task::Beats, .. }));
    let Event::Hindered { hindrance: Some(hindrance), .. } = hindered else { panic!("{hindered:?}") };
    assert!(hindrance.contains("UDP port 7948") && hindrance.contains("--heartbeat-port"), "{hindrance}");
    drop(other);
    speaker.expect_event("the end of it", |event| {
        matches!(event, Event::Hindered { task: Task::Beats, hindrance: None, .. })
    });
}

#[test]
fn ipv6_addresses_move_on_a_segment_without_ipv4() {
    let mut site = Site::new(3, Family::V6);
    site.announce(&[(VIP6, 0)]);
    site.expect_all_alive();
    site.kill(0);
    let frame = site.expect_takeover(VIP6, 0);
    assert!(frame["na"].is_object(), "{frame}");
    site.expect_standing(1, 0, |standing| matches!(standing, Standing::Gone { .. }));
}
