//! What clients of a VIP see.

use crate::capture::Capture;
use crate::site::{
    MUCH, PATIENCE, SEND_MUCH, SERVED, Site, UNKNOWN_TO_PROXY, UNSERVED, VIPS, WITHOUT_ENDPOINTS, at, connect,
    datagrams, echoes, served,
};
use crate::support::now;
use crate::support::station::Station;
use crate::table::table;
use herald_core::steering::Table;
use herald_speaker::steering::{Reason, Steering};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// "At once" on a busy machine; a dropped SYN is repeated after a second, so this tells refusal from silence.
const AT_ONCE: Duration = Duration::from_millis(900);

#[test]
fn the_node_answers_pings_to_a_vip_whoever_asks() {
    let mut site = Site::new();
    for (who, client) in site.clients() {
        for vip in VIPS {
            let said = client.attempt(&format!("ping -n -c 2 -i 0.01 -W 5 {vip}"));
            let said = said.unwrap_or_else(|said| panic!("{who} pings {vip}: {said}"));
            assert!(said.contains(&format!("from {vip}")), "{who}: {said}");
        }
    }
    assert!(site.counted(Reason::Ping) >= 8, "the pings are counted");
}

#[test]
fn a_large_ping_in_fragments_is_answered_too() {
    let site = Site::new();
    for vip in VIPS {
        site.client.namespace.run(&format!("ping -n -c 1 -W 5 -s 4000 {vip}"));
    }
}

#[test]
fn a_tcp_port_that_no_service_has_is_refused_at_once() {
    let mut site = Site::new();
    for (who, client) in site.clients() {
        for vip in VIPS {
            let began = now();
            let error = connect(client, at(vip, UNSERVED)).expect_err("nobody serves it");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{who}, {vip}: {error}");
            assert!(now() - began < AT_ONCE, "{who}, {vip}: after {:?}", now() - began);
        }
    }
    assert_eq!(site.counted(Reason::Refused), 8);
}

#[test]
fn a_udp_port_that_no_service_has_is_refused_at_once() {
    let site = Site::new();
    for (who, client) in site.clients() {
        for vip in VIPS {
            // Longer than the MTU for those on the network: refused as a whole, however it comes.
            let socket = datagrams(client, at(vip, UNSERVED));
            // From the node itself the kernel may refuse the sending already.
            let began = now();
            let outcome = socket.send(&[0; 3000]).and_then(|_| socket.recv(&mut [0; 16]));
            let error = outcome.expect_err("nobody serves it");
            let refused = [ErrorKind::ConnectionRefused, ErrorKind::PermissionDenied].contains(&error.kind());
            assert!(refused, "{who}, {vip}: {error}");
            assert!(now() - began < AT_ONCE, "{who}, {vip}: after {:?}", now() - began);
        }
    }
}

/// This kernel has no SCTP sockets: the INIT is crafted, and tcpdump judges the answer.
#[test]
fn an_sctp_port_that_no_service_has_is_refused() {
    let site = Site::new();
    let client = &site.client.namespace;
    let mut station = Station::listen(client, "eth0");
    let capture = Capture::start(client, "eth0", "in");
    let sctp = "__import__('scapy.layers.sctp', fromlist=['*'])";
    for (vip, ip, source) in [(VIPS[0], "IP", "192.0.2.100"), (VIPS[1], "IPv6", "2001:db8::100")] {
        let (from, to) = (&site.client.mac, &site.node.mac);
        station.send(&format!(
            "Ether(src='{from}', dst='{to}') / {ip}(src='{source}', dst='{vip}') / \
             {sctp}.SCTP(sport=4000, dport=3868) / {sctp}.SCTPChunkInit(init_tag=7)"
        ));
    }
    capture.expect("an answer over IPv4", &["192.0.2.11 > 192.0.2.100: ICMP 192.0.2.200", "unreachable"]);
    capture.expect("an answer over IPv6", &["2001:db8::11 > 2001:db8::100: ICMP6", "unreachable"]);
}

#[test]
fn a_served_port_passes_whoever_asks() {
    let mut site = Site::new();
    for (who, client) in site.clients() {
        for vip in VIPS {
            let mut stream = connect(client, at(vip, SERVED)).unwrap_or_else(|error| panic!("{who}, {vip}: {error}"));
            echoes(&mut stream).unwrap_or_else(|error| panic!("{who}, {vip}: {error}"));
        }
    }
    for reason in [Reason::Refused, Reason::Undelivered, Reason::Invalid] {
        assert_eq!(site.counted(reason), 0, "{reason:?}");
    }
}

#[test]
fn datagrams_in_fragments_pass_both_ways() {
    let site = Site::new();
    for (who, client) in site.clients() {
        for vip in VIPS {
            let socket = datagrams(client, at(vip, SERVED));
            let sent: Vec<u8> = (0..15_000_u32).map(|index| index.to_le_bytes()[0]).collect();
            socket.send(&sent).unwrap_or_else(|error| panic!("{who}, {vip}: {error}"));
            let mut answer = vec![0; 20_000];
            let length = socket.recv(&mut answer).unwrap_or_else(|error| panic!("{who}, {vip}: {error}"));
            assert!(answer[..length] == sent, "{who}, {vip}: {length} bytes of other content");
        }
    }
}

#[test]
fn what_the_proxy_refuses_is_refused_by_the_proxy() {
    let mut site = Site::new();
    for (who, client) in site.clients() {
        for vip in VIPS {
            let error = connect(client, at(vip, WITHOUT_ENDPOINTS)).expect_err("no endpoints");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{who}, {vip}: {error}");
        }
    }
    assert_eq!(site.counted(Reason::Refused) + site.counted(Reason::Undelivered), 0, "the guard let the proxy decide");
}

#[test]
fn a_service_that_the_proxy_learns_of_late_works_with_the_next_packet() {
    let mut site = Site::new();
    let client = datagrams(&site.client.namespace, at(VIPS[0], UNKNOWN_TO_PROXY));
    client.send(b"too early").unwrap();
    crate::support::eventually("the early packet is dropped", PATIENCE, || match site.counted(Reason::Undelivered) {
        1 => Ok(()),
        other => Err(format!("{other} packets dropped")),
    });
    let late = format!(
        "nft add rule ip proxy services ip daddr {} udp dport {UNKNOWN_TO_PROXY} dnat to 10.244.1.2:8080",
        VIPS[0]
    );
    site.node.namespace.run(&late);
    client.send(b"in time").unwrap();
    let mut answer = [0; 16];
    let length = client.recv(&mut answer).expect("an answer: no connection entry stuck to the dropped packet");
    assert_eq!(&answer[..length], b"in time");
}

/// The far client announces full-size segments, the router's link to it takes 1,300 bytes: the router's errors go to the VIP
/// and must reach the pod, translated.
#[test]
fn path_mtu_discovery_works_through_a_vip() {
    let site = Site::new();
    site.router.namespace.run("ip link set south mtu 1300");
    for vip in VIPS {
        let mut stream = connect(&site.far, at(vip, SERVED)).expect("a connection");
        stream.write_all(&[SEND_MUCH]).unwrap();
        let mut received = vec![0; MUCH];
        stream.read_exact(&mut received).unwrap_or_else(|error| panic!("{vip}: {MUCH} bytes do not come: {error}"));
    }
    let learnt = site.pod.run("ip route get 198.51.100.2") + &site.pod.run("ip -6 route get 2001:db8:f::2");
    assert_eq!(learnt.matches("mtu 1300").count(), 2, "the pod learnt of the small link in both families: {learnt}");
}

#[test]
fn packets_that_belong_nowhere_are_dropped_and_not_answered() {
    let mut site = Site::new();
    let client = &site.client.namespace;
    let mut station = Station::listen(client, "eth0");
    let capture = Capture::start(client, "eth0", "in");
    // No connection begins with these flags: connection tracking calls both invalid.
    for flags in ["'SF'", "'FPU'"] {
        for (vip, ip, source) in [(VIPS[0], "IP", "192.0.2.100"), (VIPS[1], "IPv6", "2001:db8::100")] {
            let (from, to) = (&site.client.mac, &site.node.mac);
            station.send(&format!(
                "Ether(src='{from}', dst='{to}') / {ip}(src='{source}', dst='{vip}') / TCP(sport=4000, dport=83, flags={flags})"
            ));
        }
    }
    crate::support::eventually("four packets dropped", PATIENCE, || match site.counted(Reason::Invalid) {
        4 => Ok(()),
        other => Err(format!("{other} packets")),
    });
    let seen = capture.until_now(&site.node.namespace, "192.0.2.100");
    let answers: Vec<_> = seen.iter().filter(|line| VIPS.iter().any(|vip| line.contains(vip))).collect();
    assert!(answers.is_empty(), "{answers:#?}");
}

#[test]
fn reconciling_and_restarting_cut_no_connection() {
    let mut site = Site::new();
    let mut streams = VIPS.map(|vip| connect(&site.client.namespace, at(vip, SERVED)).expect("a connection"));
    let mut all_live = |when: &str| {
        for stream in &mut streams {
            echoes(stream).unwrap_or_else(|error| panic!("{when}: {error}"));
        }
    };
    all_live("before");
    site.steering.reconcile(&served()).unwrap();
    all_live("after the same again");
    site.steering.reconcile(&Table::default()).unwrap();
    all_live("after the VIP has gone");
    site.steering
        .reconcile(&table(&VIPS.map(|vip| Box::leak(format!("{vip}: udp/9").into_boxed_str()) as &str)))
        .unwrap();
    all_live("after the port has gone");
    site.node.namespace.run("nft flush chain ip herald arriving");
    site.node.namespace.run("nft flush chain ip6 herald arriving");
    let mut restarted = site.node.namespace.within(Steering::open).unwrap();
    all_live("after repair by a new speaker");
    restarted.reconcile(&served()).unwrap();
    all_live("after the port has come back");
    site.node.namespace.within(Steering::remove).unwrap();
    all_live("without the guard");
}

/// A pool that overlaps the nodes' addresses by mistake must not cut anybody off from a node.
#[test]
fn a_vip_that_is_the_nodes_own_address_leaves_the_node_reachable() {
    let mut site = Site::new();
    let mut mistaken = served();
    mistaken.vips.extend(table(&["192.0.2.11: tcp/80", "2001:db8::11: tcp/80"]).vips);
    site.steering.reconcile(&mistaken).unwrap();
    for own in ["192.0.2.11", "2001:db8::11"] {
        let listener = site.node.namespace.within(|| TcpListener::bind(at(own, 10_250))).expect("a port of the node");
        for (who, client) in site.clients() {
            connect(client, at(own, 10_250)).unwrap_or_else(|error| panic!("{who} to {own}: {error}"));
            client.run(&format!("ping -n -c 1 -W 5 {own}"));
        }
        drop(listener);
    }
}

/// This kernel has no IPVS: a cable that leads nowhere stands for the interface on which kube-proxy's ipvs mode puts every VIP.
#[test]
fn where_ipvs_makes_vips_local_the_nodes_own_services_stay_out_of_their_reach() {
    let mut site = Site::new();
    let node = &site.node.namespace;
    node.cable("kube-ipvs0", &site.pod, "unused");
    node.run(&format!("ip address add {} dev kube-ipvs0", VIPS[0]));
    node.run(&format!("ip address add {} dev kube-ipvs0", VIPS[1]));
    let mut steering = node.within(Steering::open).expect("steering beside IPVS");
    let listen = |port| node.within(|| TcpListener::bind(at("::", port))).expect("a port of the node");
    let _on_every_address = [listen(UNSERVED), listen(UNKNOWN_TO_PROXY)];
    connect(&site.client.namespace, at("192.0.2.11", UNSERVED)).expect("the node's service by the node's address");
    for vip in VIPS {
        let error = connect(&site.client.namespace, at(vip, UNSERVED)).expect_err("by a VIP");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{vip}: {error}");
        site.client.namespace.run(&format!("ping -n -c 1 -W 5 {vip}"));
        datagrams(&site.client.namespace, at(vip, UNKNOWN_TO_PROXY)).send(b"x").unwrap();
    }
    crate::support::eventually("what IPVS does not take is dropped", PATIENCE, || {
        match site.counted(Reason::Undelivered) {
            2 => Ok(()),
            other => Err(format!("{other} packets dropped")),
        }
    });
    site.node.namespace.run("ip link delete kube-ipvs0");
    site.node.namespace.within(|| steering.reconcile(&served())).expect("IPVS gone again");
}
