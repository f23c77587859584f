//! What leaves the node although it should not: judged by tcpdump on the node's uplink.

use crate::capture::Capture;
use crate::site::{Site, UNKNOWN_TO_PROXY, UNSERVED, VIPS, at, connect, datagrams};
use crate::support::eventually;
use crate::support::station::Station;
use crate::table::table;
use herald_speaker::steering::Reason;
use std::time::Duration;

/// Frames that ask for a VIP, send something to it or redirect somebody to it.
fn leaks<'a>(seen: &'a [String], vips: &[&str]) -> Vec<&'a String> {
    let leaks = |line: &&String| {
        vips.iter().any(|vip| {
            [format!("> {vip}:"), format!("> {vip}."), format!("who-has {vip}"), format!("who has {vip}")]
                .iter()
                .any(|pattern| line.contains(pattern.as_str()))
        }) || line.contains("redirect")
    };
    seen.iter().filter(leaks).collect()
}

/// Frames to a VIP that nobody takes: every kind of packet, crafted.
fn strays(site: &Site) -> Vec<String> {
    let (from, to) = (&site.client.mac, &site.node.mac);
    let mut frames = Vec::new();
    for (vip, ip, source, own) in [
        (
            VIPS[0],
            "IP",
            "192.0.2.100",
            ["ICMP(type=13)", "ICMP(type=3, code=3)/IP(src='192.0.2.200', dst='192.0.2.100')/UDP()"],
        ),
        (
            VIPS[1],
            "IPv6",
            "2001:db8::100",
            [
                "ICMPv6ND_NS(tgt='2001:db8::200')/ICMPv6NDOptSrcLLAddr(lladdr='02:00:00:00:00:01')",
                "ICMPv6DestUnreach(code=4)/IPv6(src='2001:db8::200', dst='2001:db8::100')/UDP()",
            ],
        ),
    ] {
        let common = ["UDP(sport=5, dport=83)/b'x'", "TCP(sport=5, dport=83)", "TCP(sport=5, dport=83, flags='A')"];
        let raw = if ip == "IP" { ", proto=47" } else { ", nh=47" };
        frames
            .push(format!("Ether(src='{from}', dst='{to}')/{ip}(src='{source}', dst='{vip}'{raw})/b'\\0\\0\\x08\\0'"));
        for payload in common.iter().chain(own.iter()) {
            frames.push(format!("Ether(src='{from}', dst='{to}')/{ip}(src='{source}', dst='{vip}')/{payload}"));
        }
    }
    frames
}

#[test]
fn whatever_is_sent_to_an_unserved_port_nothing_goes_on_from_the_node() {
    let site = Site::new();
    let mut station = Station::listen(&site.client.namespace, "eth0");
    let capture = Capture::start(&site.node.namespace, "eth0", "out");
    let arrived = Capture::start(&site.node.namespace, "eth0", "in");
    for frame in strays(&site) {
        station.send(&frame);
    }
    station.send(&format!(
        "Ether(src='{}', dst='{}')/IP(src='192.0.2.100', dst='192.0.2.11')/UDP(sport=1, dport=2)/b'last'",
        site.client.mac, site.node.mac
    ));
    arrived.expect("the last frame", &["192.0.2.100.1 > 192.0.2.11.2"]);
    let seen = capture.until_now(&site.node.namespace, "192.0.2.100");
    assert_eq!(leaks(&seen, &VIPS), Vec::<&String>::new());
    let resets = seen.iter().filter(|line| line.contains("Flags [R")).count();
    assert_eq!(resets, 4, "TCP is answered: {seen:#?}");
}

#[test]
fn what_the_proxy_does_not_take_stays_on_the_node() {
    let mut site = Site::new();
    let capture = Capture::start(&site.node.namespace, "eth0", "out");
    for vip in VIPS {
        for client in [&site.client.namespace, &site.far, &site.pod] {
            datagrams(client, at(vip, UNKNOWN_TO_PROXY)).send(b"x").unwrap();
        }
        // From the node itself the kernel refuses the sending.
        let refused = datagrams(&site.node.namespace, at(vip, UNKNOWN_TO_PROXY)).send(b"x");
        assert!(refused.is_err(), "the node sends to {vip}");
    }
    eventually("eight packets dropped", Duration::from_secs(5), || match site.counted(Reason::Undelivered) {
        8 => Ok(()),
        other => Err(format!("{other} packets")),
    });
    let seen = capture.until_now(&site.node.namespace, "192.0.2.100");
    // The kernel's redirects name what is so, that the VIP is on the link: see the guard's documentation.
    let seen: Vec<_> = seen.into_iter().filter(|line| !line.contains("redirect")).collect();
    assert_eq!(leaks(&seen, &VIPS), Vec::<&String>::new());
}

/// A VIP outside every subnet, which the router sends to the node: unguarded, the node sends it back to the router.
#[test]
fn an_unserved_port_of_a_routed_vip_does_not_loop() {
    let mut site = Site::new();
    let routed = ["203.0.113.10", "2001:db8:a::10"];
    for (vip, node) in routed.iter().zip(["192.0.2.11", "2001:db8::11"]) {
        site.router.namespace.run(&format!("ip route add {vip} via {node}"));
    }
    site.steering.insert(&table(&["203.0.113.10: tcp/82", "2001:db8:a::10: tcp/82"])).unwrap();
    let capture = Capture::start(&site.node.namespace, "eth0", "out");
    for vip in routed {
        let error = connect(&site.far, at(vip, UNSERVED)).expect_err("nobody serves it");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{vip}: {error}");
        let error = connect(&site.node.namespace, at(vip, UNSERVED)).expect_err("nobody serves it");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{vip}, from the node: {error}");
        datagrams(&site.far, at(vip, UNSERVED)).send(b"x").unwrap();
    }
    let seen = capture.until_now(&site.node.namespace, "192.0.2.100");
    assert_eq!(leaks(&seen, &routed), Vec::<&String>::new());
}
