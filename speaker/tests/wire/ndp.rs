//! Neighbour discovery: items 22 to 29 and 32.

use crate::site::{CLIENT6, OTHER_VIP, OTHER_VIP6, Site, Speaker, VIP6, answers, neighbour};
use crate::support::eventually;
use crate::support::lan::Lan;
use crate::support::station::Station;
use herald_core::announce::Config;
use herald_speaker::member::{Event, Task};
use serde_json::{Value, json};
use std::time::Duration;

const ALL_NODES: &str = "33:33:00:00:00:01";
const GROUP_MAC: &str = "33:33:ff:00:01:00";
const GROUP: &str = "ff02::1:ff00:100";
const PATIENCE: Duration = Duration::from_secs(5);

fn is_unsolicited(frame: &Value, vip: &str) -> bool {
    frame["na"]["target"] == vip && frame["na"]["solicited"] == 0
}

#[test]
fn item_22_a_multicast_solicitation_gets_a_solicited_overriding_answer() {
    let mut site = Site::owning(&[VIP6, OTHER_VIP6]);
    site.ask(VIP6);
    let frames = site.frames_before_answer_for(OTHER_VIP6);
    let found: Vec<_> = frames.iter().filter(|frame| answers(frame, VIP6)).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    let answer = found[0];
    assert_eq!((&answer["src"], &answer["dst"]), (&json!(site.node.mac), &json!(site.client.mac)));
    assert_eq!((&answer["ip"]["dst"], &answer["ip"]["hop_limit"]), (&json!(CLIENT6), &json!(255)));
    let expected = json!({
        "target": VIP6, "checksum": true, "code": 0, "slla": null, "tlla": site.node.mac,
        "router": 0, "solicited": 1, "override": 1,
    });
    assert_eq!(answer["na"], expected);
}

#[test]
fn item_23_a_unicast_solicitation_without_link_layer_address_is_answered() {
    let mut site = Site::owning(&[VIP6]);
    let (node, client) = (&site.node.mac, &site.client.mac);
    let probe = format!(
        "Ether(src='{client}', dst='{node}')/IPv6(src='{CLIENT6}', dst='{VIP6}', hlim=255)/ICMPv6ND_NS(tgt='{VIP6}')"
    );
    site.station.send(&probe);
    let answer = site.station.expect("an answer", |frame| answers(frame, VIP6));
    assert_eq!((&answer["dst"], &answer["na"]["override"]), (&json!(site.client.mac), &json!(1)));
}

/// A probe as duplicate address detection sends it.
fn probe(client: &str, options: &str) -> String {
    format!(
        "Ether(src='{client}', dst='{GROUP_MAC}')/IPv6(src='::', dst='{GROUP}', hlim=255)/ICMPv6ND_NS(tgt='{VIP6}'){options}"
    )
}

#[test]
fn items_24_and_25_probes_with_and_without_a_nonce_are_answered_to_all_nodes() {
    for options in ["", "/ICMPv6NDOptUnknown(type=14, len=1, data=b'nonce!')"] {
        let mut site = Site::owning(&[VIP6, OTHER_VIP6]);
        site.station.expect("the last announcement, not to be taken for the answer", {
            let seen = std::cell::Cell::new(0);
            move |frame| {
                seen.set(seen.get() + u32::from(is_unsolicited(frame, VIP6)));
                seen.get() == 3
            }
        });
        site.station.send(&probe(&site.client.mac, options));
        let answer = site.station.expect("an answer to all", |frame| is_unsolicited(frame, VIP6));
        assert_eq!((&answer["dst"], &answer["ip"]["dst"]), (&json!(ALL_NODES), &json!("ff02::1")));
        assert_eq!((&answer["na"]["override"], &answer["na"]["tlla"]), (&json!(1), &json!(site.node.mac)));
    }
}

#[test]
fn item_25_our_own_frames_reflected_by_the_network_are_no_conflict() {
    let mut site = Site::owning(&[VIP6, OTHER_VIP6]);
    let node = site.node.mac.clone();
    let reflected = format!(
        "Ether(src='{node}', dst='{ALL_NODES}')/IPv6(src='fe80::ff:fe00:1', dst='ff02::1', hlim=255)/ICMPv6ND_NA(tgt='{VIP6}', R=0, S=0, O=1)/ICMPv6NDOptDstLLAddr(lladdr='{node}')"
    );
    site.station.send(&reflected);
    site.station.send(&probe(&node, ""));
    // The reflection has taught the switch a wrong port, so the next frame of the node itself must put that right first.
    let stranger = "02:00:00:00:bb:bb";
    let claim = format!(
        "Ether(src='{stranger}', dst='{ALL_NODES}')/IPv6(src='fe80::bb', dst='ff02::1', hlim=255)/ICMPv6ND_NA(tgt='{OTHER_VIP6}', R=0, S=0, O=1)/ICMPv6NDOptDstLLAddr(lladdr='{stranger}')"
    );
    site.station.send(&claim);
    site.speaker.expect_state(OTHER_VIP6, "the conflict that comes after them", |state| state.conflict.is_some());
    assert_eq!(site.speaker.state(VIP6).conflict, None);
}

#[test]
fn item_26_malformed_solicitations_are_counted_and_not_answered() {
    let mut site = Site::owning(&[VIP6, OTHER_VIP6]);
    let client = site.client.mac.clone();
    let packet = |ip: &str, solicitation: &str, options: &str| {
        format!(
            "Ether(src='{client}', dst='{GROUP_MAC}')/IPv6(dst='{GROUP}', {ip})/ICMPv6ND_NS({solicitation}){options}"
        )
    };
    let (ip, asks) = (format!("src='{CLIENT6}', hlim=255"), format!("tgt='{VIP6}'"));
    let link = "/ICMPv6NDOptSrcLLAddr(lladdr='02:00:00:00:00:02')";
    let cases = [
        (packet(&format!("src='{CLIENT6}', hlim=254"), &asks, link), "hop_limit"),
        (packet(&ip, &format!("{asks}, cksum=0x1234"), link), "checksum"),
        (packet(&ip, &format!("{asks}, code=1"), link), "code"),
        (packet(&ip, &format!("tgt='{GROUP}'"), link), "target"),
        (packet(&ip, &asks, "/ICMPv6NDOptSrcLLAddr(len=0, lladdr='02:00:00:00:00:02')"), "option_length"),
        (packet("src='::', hlim=255", &asks, link), "link_layer_option"),
        (packet("src='ff02::1', hlim=255", &asks, link), "ip_source"),
        (packet(&ip, &asks, "/ICMPv6NDOptSrcLLAddr(lladdr='33:33:00:00:00:01')"), "link_layer_option"),
    ];
    let mut expected = std::collections::BTreeMap::<_, u64>::new();
    for (frame, reason) in &cases {
        site.station.send(frame);
        *expected.entry(*reason).or_default() += 1;
    }
    let frames = site.frames_before_answer_for(OTHER_VIP6);
    assert!(!frames.iter().any(|frame| answers(frame, VIP6)), "{frames:#?}");
    for (reason, count) in expected {
        site.speaker.expect_counter(&format!("frames_malformed_total{{reason=\"{reason}\"}}"), count);
    }
}

#[test]
fn item_27_an_address_is_announced_three_times_at_least_a_second_apart() {
    let site = Site::owning(&[VIP6]);
    let frames = site.station.during(Duration::from_millis(4_500));
    let announcements: Vec<_> = frames.iter().filter(|frame| frame["na"]["target"] == VIP6).collect();
    assert_eq!(announcements.len(), 3, "{announcements:#?}");
    for announcement in &announcements {
        assert_eq!((&announcement["dst"], &announcement["ip"]["dst"]), (&json!(ALL_NODES), &json!("ff02::1")));
        let expected = json!({
            "target": VIP6, "checksum": true, "code": 0, "slla": null, "tlla": site.node.mac,
            "router": 0, "solicited": 0, "override": 1,
        });
        assert_eq!(announcement["na"], expected);
    }
    let times: Vec<_> = announcements.iter().filter_map(|frame| frame["at"].as_f64()).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 0.995), "{times:?}");
}

#[test]
fn item_28_a_gateway_deaf_to_unsolicited_advertisements_learns_from_the_directed_solicitation() {
    let lan = Lan::new();
    let node = lan.attach("node", &["2001:db8::1/64"]);
    let gateway = lan.attach("gateway", &["2001:db8::fe/64"]);
    node.namespace.run("ip -6 route add default via 2001:db8::fe dev eth0");
    gateway.namespace.sysctl("net/ipv6/conf/eth0/drop_unsolicited_na", "1");
    gateway.namespace.run(&format!("ip -6 neigh replace {VIP6} lladdr 02:00:00:00:dd:dd dev eth0 nud reachable"));
    let station = Station::listen(&gateway.namespace, "eth0");
    let speaker = Speaker::start(&node.namespace);
    speaker.own(&node, &[VIP6]);
    let asked = station.expect("a solicitation from the VIP", |frame| {
        frame["ns"]["target"] == "2001:db8::fe" && frame["ip"]["src"] == VIP6
    });
    assert_eq!(asked["ns"]["slla"], node.mac);
    eventually("the gateway to learn", PATIENCE, || match neighbour(&gateway, VIP6) {
        Some((mac, _)) if mac == node.mac => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn item_29_the_router_flag_is_the_same_from_all_nodes() {
    let flags = ["0", "1"].map(|forwarding| {
        let mut site = Site::with(Config::default());
        site.node.namespace.sysctl("net/ipv6/conf/all/forwarding", forwarding);
        site.speaker.own(&site.node, &[VIP6]);
        site.ask(VIP6);
        let answer = site.station.expect("an answer", |frame| answers(frame, VIP6));
        answer["na"]["router"].clone()
    });
    assert_eq!(flags, [json!(0), json!(0)]);
}

#[test]
fn item_32_without_link_local_address_a_sentence_says_so_and_ipv4_goes_on() {
    let lan = Lan::new();
    let node = lan.attach("node", &[]);
    node.namespace.run("ip link set dev eth0 addrgenmode none");
    node.namespace.run("ip -6 address flush dev eth0 scope link");
    let client = lan.attach("client", &[]);
    let station = Station::listen(&client.namespace, "eth0");
    let speaker = Speaker::start(&node.namespace);
    let mut site = Site { lan, node, speaker, client, station };
    let vips = [VIP6, OTHER_VIP];
    site.speaker.publish(&vips, &vips);
    let hindered = site.speaker.expect_event("the hindrance", |event| matches!(event, Event::Hindered { .. }));
    let Event::Hindered { task: Task::Advertisements, hindrance: Some(hindrance), .. } = hindered else {
        panic!("{hindered:?}")
    };
    assert!(hindrance.contains("eth0 has no IPv6 link-local address"), "{hindrance}");
    site.ask(VIP6);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    assert!(!frames.iter().any(|frame| frame["na"]["target"] == VIP6), "{frames:#?}");
    site.node.namespace.run("ip address add fe80::1/64 dev eth0 nodad");
    site.speaker.expect_announced(VIP6, site.node.index);
}
