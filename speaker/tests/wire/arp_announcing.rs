//! Announcing by ARP: items 8 to 14, 19 and 21.

use crate::site::{CLIENT, OTHER_VIP, Site, Speaker, VIP, answers, neighbour};
use crate::support::eventually;
use crate::support::lan::Lan;
use crate::support::station::Station;
use herald_core::announce::{Config, Pacing};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const GATEWAY: &str = "192.0.2.254";
const PATIENCE: Duration = Duration::from_secs(5);

fn is_gratuitous(frame: &Value, op: u8, vip: &str) -> bool {
    frame["arp"]["op"] == op && frame["arp"]["spa"] == vip && frame["arp"]["tpa"] == vip
}

#[test]
fn item_8_the_first_announcement_is_a_broadcast_request_for_itself() {
    let site = Site::owning(&[VIP]);
    let request = site.station.expect("a gratuitous request", |frame| is_gratuitous(frame, 1, VIP));
    assert_eq!((&request["dst"], &request["src"]), (&json!("ff:ff:ff:ff:ff:ff"), &json!(site.node.mac)));
    assert_eq!((&request["arp"]["sha"], &request["arp"]["tha"]), (&json!(site.node.mac), &json!("00:00:00:00:00:00")));
    assert!(request["length"].as_u64() >= Some(60), "{request}");
}

#[test]
fn item_9_the_gratuitous_reply_names_the_sender_as_target_too() {
    let site = Site::owning(&[VIP]);
    let reply = site.station.expect("a gratuitous reply", |frame| is_gratuitous(frame, 2, VIP));
    assert_eq!((&reply["arp"]["sha"], &reply["arp"]["tha"]), (&json!(site.node.mac), &json!(site.node.mac)));
    assert_eq!(reply["dst"], "ff:ff:ff:ff:ff:ff");
}

#[test]
fn item_10_a_gateway_deaf_to_gratuitous_arp_learns_from_the_directed_request() {
    let lan = Lan::new();
    let node = lan.attach("node", &["192.0.2.1/24"]);
    node.namespace.run(&format!("ip route add default via {GATEWAY}"));
    let gateway = lan.attach("gateway", &["192.0.2.254/24"]);
    gateway.namespace.sysctl("net/ipv4/neigh/eth0/locktime", "100000");
    gateway.namespace.sysctl("net/ipv4/conf/eth0/arp_accept", "0");
    gateway.namespace.sysctl("net/ipv4/conf/eth0/drop_gratuitous_arp", "1");
    gateway.namespace.run(&format!("ip neigh replace {VIP} lladdr 02:00:00:00:dd:dd dev eth0 nud reachable"));
    let station = Station::listen(&gateway.namespace, "eth0");
    let speaker = Speaker::start(&node.namespace);
    speaker.own(&node, &[VIP]);
    let request =
        station.expect("a directed request", |frame| frame["arp"]["tpa"] == GATEWAY && frame["arp"]["spa"] == VIP);
    assert_eq!((&request["arp"]["op"], &request["arp"]["sha"]), (&json!(1), &json!(node.mac)));
    eventually("the gateway to learn", PATIENCE, || match neighbour(&gateway, VIP) {
        Some((mac, _)) if mac == node.mac => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn items_11_and_12_a_clients_fresh_entry_moves_to_the_new_owner() {
    let lan = Lan::new();
    let nodes = ["node-1", "node-2"].map(|name| lan.attach(name, &[]));
    let client = lan.attach("client", &["192.0.2.50/24"]);
    let speakers = nodes.each_ref().map(|node| Speaker::start(&node.namespace));
    speakers[0].own(&nodes[0], &[VIP]);
    // The client learns by itself, just before the move and so within the lock time of a second.
    client.namespace.attempt(&format!("ping -c1 -W1 {VIP}")).expect_err("nobody serves the address here");
    eventually("the client to know the first owner", PATIENCE, || match neighbour(&client, VIP) {
        Some((mac, _)) if mac == nodes[0].mac => Ok(()),
        other => Err(format!("{other:?}")),
    });
    client.namespace.run(&format!("ip neigh replace {VIP} lladdr {} dev eth0 nud reachable", nodes[0].mac));
    speakers[0].publish(&[], &[VIP]);
    speakers[1].own(&nodes[1], &[VIP]);
    eventually("the client to follow", PATIENCE, || match neighbour(&client, VIP) {
        Some((mac, state)) if mac == nodes[1].mac && state == "STALE" => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn a_deaf_client_that_asked_another_node_before_learns_from_a_request_of_its_own() {
    let lan = Lan::new();
    let node = lan.attach("node", &[]);
    let client = lan.attach("client", &["192.0.2.50/24"]);
    client.namespace.sysctl("net/ipv4/conf/eth0/drop_gratuitous_arp", "1");
    let speaker = Speaker::start(&node.namespace);
    speaker.publish(&[], &[VIP]);
    // While it is a candidate only, it overhears the client's question, which nobody answers.
    eventually("the candidate to overhear", PATIENCE, || {
        client.namespace.attempt(&format!("ping -c1 -W1 {VIP}")).expect_err("nobody owns the address");
        let heard = speaker.counter("frames_received_total{verdict=\"overheard\"}");
        if heard > 0 { Ok(()) } else { Err("nothing".to_owned()) }
    });
    client.namespace.run(&format!("ip neigh replace {VIP} lladdr 02:00:00:00:dd:dd dev eth0 nud reachable"));
    let station = Station::listen(&client.namespace, "eth0");
    speaker.own(&node, &[VIP]);
    let request =
        station.expect("a directed request", |frame| frame["arp"]["tpa"] == CLIENT && frame["arp"]["spa"] == VIP);
    assert_eq!(request["dst"], client.mac, "nobody else is bothered");
    eventually("the client to learn", PATIENCE, || match neighbour(&client, VIP) {
        Some((mac, _)) if mac == node.mac => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// Times in seconds of the announcements of a VIP since the first.
fn times(frames: &[Value], vip: &str) -> Vec<f64> {
    let at = |frame: &Value| frame["at"].as_f64().expect("a time");
    let of_vip: Vec<_> =
        frames.iter().filter(|frame| frame["arp"]["spa"] == vip && frame["arp"]["tpa"] == vip).collect();
    of_vip.iter().map(|frame| at(frame) - at(of_vip[0])).collect()
}

/// Only lateness depends on how busy the machine is, so that only it has room here; virtual time proves the exact times.
#[test]
fn item_13_announcements_keep_the_schedule() {
    let site = Site::owning(&[VIP]);
    let frames = site.station.during(Duration::from_secs(3));
    let expected = [0.0, 0.02, 0.1, 0.3, 1.1, 2.2];
    let times = times(&frames, VIP);
    assert_eq!(times.len(), expected.len(), "{times:?}");
    for (time, scheduled) in times.iter().zip(expected) {
        assert!((scheduled - 0.005..scheduled + 0.2).contains(time), "{times:?} for {expected:?}");
    }
}

/// The wire is asked for many addresses no faster than they are announced, so some are repeated before others are announced
/// for the first time. That a first announcement waits for no repeat is proven in virtual time.
#[test]
fn item_13_first_announcements_of_500_vips_are_paced_and_so_are_repeats() {
    let site = Site::with(Config::default());
    let vips = (0..500).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0xc633_6400 + number)));
    site.speaker.publish_many(vips);
    let frames = site.station.during(Duration::from_secs(3));
    let mut known = BTreeSet::new();
    let (firsts, repeats): (Vec<_>, Vec<_>) = frames
        .iter()
        .filter(|frame| frame["arp"]["spa"].is_string() && frame["arp"]["spa"] == frame["arp"]["tpa"])
        .partition(|frame| known.insert(frame["arp"]["spa"].to_string()));
    assert_eq!(firsts.len(), 500, "each is announced");
    let at = |frame: &Value| frame["at"].as_f64().expect("a time");
    for (position, first) in repeats.iter().enumerate() {
        let in_a_second = repeats[position..].iter().take_while(|frame| at(frame) < at(first) + 1.0).count();
        assert!(in_a_second <= 200 + 50, "{in_a_second} repeats within a second");
    }
    let took = at(firsts[499]) - at(firsts[0]);
    println!("500 first announcements took {:.0} ms, {} repeats in the rest of 3 s", took * 1e3, repeats.len());
    assert!(took >= 0.08, "faster than 5,000 a second after a burst of 50: {took} s");
}

#[test]
fn item_14_compatible_pacing_stays_below_ten_a_second() {
    let mut site = Site::with(Config { pacing: Pacing::Compat, ..Config::default() });
    let vips = (0..40).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0xc000_0264 + number)));
    site.speaker.publish_many(vips);
    // Answers count too.
    (0..20).for_each(|_| site.ask(VIP));
    let frames = site.station.during(Duration::from_millis(3_500));
    let times: Vec<_> = frames
        .iter()
        .filter(|frame| frame["src"] == site.node.mac && frame["arp"].is_object())
        .filter_map(|frame| frame["at"].as_f64())
        .collect();
    assert!(times.len() > 20, "only {} frames", times.len());
    for (position, first) in times.iter().enumerate() {
        let in_a_second = times[position..].iter().take_while(|time| **time < first + 1.0).count();
        assert!(in_a_second <= 10, "{in_a_second} frames within a second: {times:?}");
    }
}

/// That the repeats go on past 30 s, for switches that are still listening, is proven in virtual time.
#[test]
fn item_19_a_carrier_that_comes_back_begins_the_schedule_again() {
    let site = Site::owning(&[VIP]);
    site.station.expect("the first run's reply", |frame| is_gratuitous(frame, 2, VIP));
    site.lan.plug("node", false);
    eventually("the node to lose its carrier", PATIENCE, || {
        let shown = site.node.namespace.run("ip link show dev eth0");
        if shown.contains("NO-CARRIER") { Ok(()) } else { Err(shown) }
    });
    site.lan.plug("node", true);
    let mut after = site.station.until("the second run's reply", |frame| is_gratuitous(frame, 2, VIP));
    after.extend(site.station.during(Duration::from_millis(500)));
    let requests = after.iter().filter(|frame| is_gratuitous(frame, 1, VIP)).count();
    assert!(requests >= 3, "at 0, 0.1 and 0.3 s: {after:#?}");
}

#[test]
fn item_21_a_new_mac_address_is_used_and_announced() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let changed = "02:00:00:00:ee:ee";
    site.node.namespace.run(&format!("ip link set dev eth0 address {changed}"));
    site.speaker.expect_state(VIP, "another announcement", |state| {
        state.announced.values().any(|mac| mac.to_string() == changed)
    });
    let announcement = site
        .station
        .expect("an announcement with it", |frame| is_gratuitous(frame, 1, VIP) && frame["arp"]["sha"] == changed);
    assert_eq!(announcement["src"], changed);
    site.ask(VIP);
    let answer = site.station.expect("an answer", |frame| answers(frame, VIP));
    assert_eq!((&answer["src"], &answer["arp"]["sha"]), (&json!(changed), &json!(changed)));
}

#[test]
fn an_interface_that_is_made_again_is_announced_again() {
    let site = Site::owning(&[VIP]);
    site.node.namespace.run("ip link del dev eth0");
    site.lan.connect(&site.node.namespace, "eth0", "node");
    let index = site.node.namespace.within(|| nix::net::if_::if_nametoindex("eth0")).unwrap();
    site.speaker.publish(&[VIP], &[VIP]);
    site.speaker.expect_announced(VIP, index);
}

#[test]
fn an_address_that_goes_to_another_interface_is_announced_there_and_silent_here() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    site.lan.connect(&site.node.namespace, "eth1", "second");
    let second = site.node.namespace.within(|| nix::net::if_::if_nametoindex("eth1")).unwrap();
    site.speaker.publish_on(&[("eth0", &[OTHER_VIP], &[]), ("eth1", &[VIP], &[])]);
    site.speaker.expect_announced(VIP, second);
    site.speaker.expect_state(VIP, "nothing of the first interface", |state| {
        state.announced.keys().map(|link| link.0).eq([second])
    });
    site.ask(VIP);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    let here: Vec<_> =
        frames.iter().filter(|frame| frame["arp"]["spa"] == VIP && frame["src"] == site.node.mac).collect();
    assert!(here.iter().all(|frame| is_gratuitous(frame, 1, VIP) || is_gratuitous(frame, 2, VIP)), "{here:#?}");
}
