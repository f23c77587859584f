//! Answering ARP: items 1 to 7, 17 and 20.

use crate::site::{CLIENT, NODE, OTHER_VIP, Site, Speaker, VIP, answers, question};
use crate::speaker::PORT;
use crate::support::lan::Lan;
use herald_core::announce::Config;
use herald_core::link::Links;
use herald_core::liveness::{Life, Profile};
use herald_core::member::{Conflict, Event as Told};
use herald_core::names::IfIndex;
use herald_speaker::links::Notices;
use herald_speaker::member::{Event, Feeds, Member, Metrics};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

#[test]
fn item_1_a_broadcast_question_gets_exactly_one_unicast_reply() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    site.ask(VIP);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    let replies: Vec<_> = frames.iter().filter(|frame| answers(frame, VIP)).collect();
    assert_eq!(replies.len(), 1, "{replies:#?}");
    let reply = replies[0];
    assert_eq!((&reply["src"], &reply["dst"]), (&json!(site.node.mac), &json!(site.client.mac)));
    let expected = json!({
        "op": 2, "sha": site.node.mac, "spa": VIP, "tha": site.client.mac, "tpa": CLIENT, "header": [1, 0x0800, 6, 4],
    });
    assert_eq!(reply["arp"], expected);
}

#[test]
fn item_2_a_unicast_question_is_answered() {
    let mut site = Site::owning(&[VIP]);
    let (node, client) = (&site.node.mac, &site.client.mac);
    let probe =
        format!("Ether(src='{client}', dst='{node}')/ARP(op=1, hwsrc='{client}', psrc='{CLIENT}', pdst='{VIP}')");
    site.station.send(&probe);
    site.station.expect("a reply", |frame| answers(frame, VIP));
}

#[test]
fn item_3_a_probe_without_sender_address_is_answered() {
    let mut site = Site::owning(&[VIP]);
    let client = &site.client.mac;
    let probe = format!(
        "Ether(src='{client}', dst='ff:ff:ff:ff:ff:ff')/ARP(op=1, hwsrc='{client}', psrc='0.0.0.0', pdst='{VIP}')"
    );
    site.station.send(&probe);
    let reply = site.station.expect("a reply", |frame| answers(frame, VIP));
    assert_eq!((&reply["arp"]["tpa"], &reply["arp"]["tha"]), (&json!("0.0.0.0"), &json!(site.client.mac)));
}

#[test]
fn item_4_nothing_is_answered_but_vips_owned_on_the_interface() {
    let mut site = Site::with(Config::default());
    let elsewhere = Lan::new();
    elsewhere.connect(&site.node.namespace, "eth1", "node");
    let second = site.node.namespace.within(|| nix::net::if_::if_nametoindex("eth1")).unwrap();
    let (of_second, candidate) = ("198.51.100.7", "192.0.2.102");
    site.speaker.publish_on(&[("eth0", &[VIP], &[candidate]), ("eth1", &[of_second], &[])]);
    site.speaker.expect_announced(VIP, site.node.index);
    site.speaker.expect_announced(of_second, second);
    for address in [of_second, candidate, "192.0.2.200", NODE] {
        site.ask(address);
    }
    let frames = site.frames_before_answer_for(VIP);
    for silent in [of_second, candidate, "192.0.2.200"] {
        assert!(!frames.iter().any(|frame| answers(frame, silent)), "{silent}: {frames:#?}");
    }
    // The kernel answers for the node's own address, with a frame that is not padded as ours are.
    let lengths: Vec<_> = frames.iter().filter(|frame| answers(frame, NODE)).map(|frame| &frame["length"]).collect();
    assert_eq!(lengths, [42]);
}

#[test]
fn item_5_candidates_that_are_not_the_owner_never_reply() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let others = ["node-2", "node-3"].map(|name| site.lan.attach(name, &[]));
    let speakers = others.each_ref().map(|host| Speaker::start(&host.namespace));
    for speaker in &speakers {
        speaker.publish(&[], &[VIP, OTHER_VIP]);
        // Both count what they overhear, so they listen once they have counted one.
        site.ask(VIP);
        let heard = || speaker.counter("frames_received_total{verdict=\"overheard\"}");
        crate::support::eventually("a candidate to listen", Duration::from_secs(5), || {
            site.ask(VIP);
            if heard() > 0 { Ok(()) } else { Err("nothing overheard".to_owned()) }
        });
    }
    let question = question(&site.client.mac, VIP);
    site.station.send_times(1_000, &question);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    let replies: Vec<_> = frames.iter().filter(|frame| answers(frame, VIP)).collect();
    assert!(replies.len() >= 200, "only {} replies", replies.len());
    assert!(replies.iter().all(|reply| reply["src"] == site.node.mac && reply["arp"]["sha"] == site.node.mac));
}

#[test]
fn item_6_malformed_frames_are_counted_and_not_answered() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let client = site.client.mac.clone();
    let arp = |fields: &str| {
        format!("Ether(src='{client}', dst='ff:ff:ff:ff:ff:ff')/ARP(op=1, psrc='{CLIENT}', pdst='{VIP}', {fields})")
    };
    let cases = [
        (arp("hwlen=6, plen=4, hwtype=6"), "hardware_type"),
        (arp("ptype=0x86dd, plen=4, hwlen=6"), "protocol_type"),
        (
            format!("bytearray(bytes({}))[:18]+b'\\x08'+bytes({})[19:]", arp("hwlen=6"), arp("hwlen=6")),
            "address_lengths",
        ),
        (
            format!("bytearray(bytes({}))[:19]+b'\\x10'+bytes({})[20:]", arp("hwlen=6"), arp("hwlen=6")),
            "address_lengths",
        ),
        (arp("hwsrc='01:00:5e:00:00:01'"), "sender_mac"),
        (arp("hwsrc='00:00:00:00:00:00'"), "sender_mac"),
        (arp("hwsrc='ff:ff:ff:ff:ff:ff'"), "sender_mac"),
        (format!("bytes({})[:41]", arp("hwlen=6")), "truncated"),
        (format!("bytes({})[:30]", arp("hwlen=6")), "truncated"),
    ];
    let mut expected = std::collections::BTreeMap::<_, u64>::new();
    for (frame, reason) in &cases {
        site.station.send(frame);
        *expected.entry(*reason).or_default() += 1;
    }
    let frames = site.frames_before_answer_for(OTHER_VIP);
    assert!(!frames.iter().any(|frame| answers(frame, VIP)), "{frames:#?}");
    for (reason, count) in expected {
        site.speaker.expect_counter(&format!("frames_malformed_total{{reason=\"{reason}\"}}"), count);
    }
}

#[test]
fn item_6_a_translating_bridge_is_counted_and_answered_unless_senders_are_strict() {
    for (strict_senders, answered) in [(false, 1), (true, 0)] {
        let mut site = Site::with(Config { strict_senders, ..Config::default() });
        site.speaker.own(&site.node, &[VIP, OTHER_VIP]);
        let client = &site.client.mac;
        let translated = format!(
            "Ether(src='02:00:00:00:aa:aa', dst='ff:ff:ff:ff:ff:ff')/ARP(op=1, hwsrc='{client}', psrc='{CLIENT}', pdst='{VIP}')"
        );
        site.station.send(&translated);
        let frames = site.frames_before_answer_for(OTHER_VIP);
        assert_eq!(frames.iter().filter(|frame| answers(frame, VIP)).count(), answered);
        site.speaker.expect_counter("frames_translated_total", 1);
    }
}

#[test]
fn item_7_a_strangers_claim_is_reported_and_answered_a_limited_number_of_times() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let stranger = "02:00:00:00:bb:bb";
    let claim = format!(
        "Ether(src='{stranger}', dst='ff:ff:ff:ff:ff:ff')/ARP(op=2, hwsrc='{stranger}', psrc='{VIP}', hwdst='{stranger}', pdst='{VIP}')"
    );
    site.station.flood(&claim, 50, 4.0);
    let state = site.speaker.expect_state(VIP, "a conflict", |state| state.conflict.is_some());
    let expected = Conflict { link: IfIndex(site.node.index), mac: stranger.parse().unwrap(), node: None };
    assert_eq!(state.conflict, Some(expected));
    let frames = site.station.until("the end of the flood", |frame| frame["flooded"].is_u64());
    // Every run of the schedule has one gratuitous reply: the first announcement's and those of three defences.
    let gratuitous_replies =
        frames.iter().filter(|frame| frame["arp"]["op"] == 2 && frame["arp"]["tpa"] == VIP).count();
    assert!((2..=4).contains(&gratuitous_replies), "{gratuitous_replies} runs of the schedule");
    let events = site.speaker.events();
    let conflicts = events.iter().filter(|event| match event {
        Event::Member(Told::Vip { state, .. }) => state.conflict.is_some(),
        _ => false,
    });
    assert_eq!(conflicts.count(), 1, "a conflict that goes on is no news: {events:#?}");
    site.ask(VIP);
    let reply = site.station.expect("an answer with our own address", |frame| answers(frame, VIP));
    assert_eq!(reply["arp"]["sha"], site.node.mac);
}

/// This kernel has no VLAN interfaces, so that the tag of a reply is not seen here; that the interface below leaves tagged
/// questions alone is.
#[test]
fn item_17_a_question_with_a_vlan_tag_is_not_answered_on_the_interface_below() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let client = &site.client.mac;
    let tagged = |vlan: u16| {
        format!(
            "Ether(src='{client}', dst='ff:ff:ff:ff:ff:ff')/Dot1Q(vlan={vlan}, prio=3)/ARP(op=1, hwsrc='{client}', psrc='{CLIENT}', pdst='{VIP}')"
        )
    };
    let (of_a_vlan, of_none) = (tagged(100), tagged(0));
    site.station.send(&of_a_vlan);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    assert!(!frames.iter().any(|frame| answers(frame, VIP)), "{frames:#?}");
    site.station.send(&of_none);
    site.station.expect("an answer to a question that only has a priority", |frame| answers(frame, VIP));
}

#[test]
fn item_20_a_kernel_that_has_the_vip_too_stays_silent_with_the_settings_we_ask_for() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let other = site.lan.attach("other", &["192.0.2.2/24"]);
    other.namespace.run(&format!("ip address add {VIP}/32 dev lo"));
    let asked = |site: &mut Site| {
        site.ask(VIP);
        let frames = site.frames_before_answer_for(OTHER_VIP);
        let mut macs: Vec<_> =
            frames.iter().filter(|frame| answers(frame, VIP)).map(|frame| frame["src"].clone()).collect();
        macs.sort_by_key(ToString::to_string);
        macs
    };
    assert_eq!(asked(&mut site).len(), 2, "without them both answer, which is what the settings are for");
    other.namespace.sysctl("net/ipv4/conf/all/arp_ignore", "1");
    other.namespace.sysctl("net/ipv4/conf/all/arp_announce", "2");
    assert_eq!(asked(&mut site), [json!(site.node.mac)]);
}

#[test]
fn a_question_to_another_host_is_not_answered_in_its_place() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    let client = &site.client.mac;
    // Switches flood what they haven't learned, and a promiscuous card lets it in.
    let misled = format!(
        "Ether(src='{client}', dst='02:00:00:00:cc:cc')/ARP(op=1, hwsrc='{client}', psrc='{CLIENT}', pdst='{VIP}')"
    );
    site.station.send(&misled);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    assert!(!frames.iter().any(|frame| answers(frame, VIP)), "{frames:#?}");
}

#[test]
fn a_withdrawn_vip_is_silent() {
    let mut site = Site::owning(&[VIP, OTHER_VIP]);
    site.speaker.publish(&[OTHER_VIP], &[VIP, OTHER_VIP]);
    site.speaker.expect_withdrawn(VIP);
    let before = site.frames_before_answer_for(OTHER_VIP);
    drop(before);
    site.ask(VIP);
    let frames = site.frames_before_answer_for(OTHER_VIP);
    assert!(!frames.iter().any(|frame| frame["arp"]["spa"] == VIP), "{frames:#?}");
}

#[test]
fn without_the_capability_one_sentence_says_what_is_missing() {
    // Stations need it too, so this asks in a thread that has given it up.
    let refused = std::thread::spawn(|| {
        let feeds = Feeds {
            links: watch::channel(Links::new()).1,
            notices: watch::channel(Notices::new()).1,
            keys: watch::channel(Arc::default()).1,
            profile: watch::channel(Profile::default()).1,
        };
        let (announce, profile) = (Config::default(), Profile::default());
        let config = herald_core::member::Config { node: "node".into(), life: Life(1), profile, announce };
        give_up_net_raw();
        let started = Member::start(config, PORT, feeds, Metrics::default());
        started.err().map(|error| error.to_string())
    });
    let error = refused.join().unwrap().expect("no member without NET_RAW");
    assert!(error.contains("NET_RAW"), "{error}");
}

/// Leaves this thread's user: an ordinary one has no capabilities.
fn give_up_net_raw() {
    // By system call and not by the library's function, which changes all threads of the process.
    #[expect(unsafe_code, reason = "a system call for this thread alone")]
    // SAFETY: setresuid takes three numbers and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
    assert_eq!(result, 0, "changing the user needs root");
}
