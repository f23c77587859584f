//! Datagrams that nobody of this cluster has sent now: each is counted by its reason and changes nothing.

use crate::site::{CLUSTER, Family, KEY, Site, VIP, keyring, keyring_of, name};
use crate::support::eventually;
use crate::support::now;
use crate::support::station::Station;
use herald_core::liveness::{Body, Envelope, Incarnation, Life, Obituary, Profile, State};
use herald_core::member::Event as Told;
use herald_speaker::member::Event;
use herald_wire::heartbeat::Keyring;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Puts datagrams on the cable of the first node, as if they came from the second.
struct Forger {
    cable: Station,
    ethernet: String,
}

impl Forger {
    fn new(site: &Site) -> Self {
        let (from, to) = (&site.hosts[1].mac, &site.hosts[0].mac);
        let ethernet = format!("Ether(src='{from}', dst='{to}')");
        Self { cable: Station::listen(&site.lan.switch, "node-1"), ethernet }
    }

    fn send(&mut self, datagram: &[u8]) {
        let packet = self.packet(datagram);
        self.cable.send(&packet);
    }

    fn packet(&self, datagram: &[u8]) -> String {
        let bytes = hex(datagram);
        let packet = "IP(src='192.0.2.2', dst='192.0.2.1', ttl=1)/UDP(sport=7948, dport=7948)";
        format!("{}/{packet}/Raw(bytes.fromhex('{bytes}'))", self.ethernet)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().expect("hexadecimal digits")
}

/// A beat on its way from the second node to another, as an eavesdropper on the second node's cable has it.
fn overheard(site: &Site, to: usize) -> Vec<u8> {
    let mut cable = Station::listen(&site.lan.switch, "node-2");
    cable.report_beats();
    let beat = cable.expect("a beat of node-2", |frame| {
        frame["beat"]["from"] == site.address(1) && frame["beat"]["to"] == site.address(to)
    });
    bytes(beat["beat"]["bytes"].as_str().expect("its bytes"))
}

/// A message that says that the first node is dead, from whom it pleases.
fn accusation(from: &str, incarnation: Incarnation, sequence: u64) -> Envelope {
    let accused = Obituary { node: name(0), incarnation: Incarnation { life: Life(1), refutation: 0 } };
    Envelope {
        from: from.into(),
        incarnation,
        sequence,
        echo: None,
        beating: true,
        state: State { able: true, ..State::default() },
        profile: Profile::BALANCED,
        digest: 0,
        body: Body::Dead(vec![accused]),
    }
}

fn sealed(keys: &Keyring, envelope: &Envelope) -> Vec<u8> {
    keys.seal(envelope, &name(0), now()).expect("a key")
}

#[test]
fn forged_foreign_and_replayed_datagrams_are_counted_by_reason_and_change_nothing() {
    let mut site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    let mut forger = Forger::new(&site);
    let (beat, for_another) = (overheard(&site, 0), overheard(&site, 2));
    let message = accusation("node-2", Incarnation { life: Life(2), refutation: 0 }, u64::MAX / 2);
    let flipped = |position: usize| {
        let mut datagram = beat.clone();
        let at = if position < datagram.len() { position } else { datagram.len() - 1 };
        datagram[at] ^= 1;
        datagram
    };
    let cases: [(&str, Vec<u8>); 10] = [
        ("replayed", beat.clone()),
        ("not_for_us", for_another),
        ("forged", flipped(40)),
        ("forged", flipped(usize::MAX)),
        ("version", flipped(0)),
        ("truncated", beat[..30].to_vec()),
        ("truncated", Vec::new()),
        ("unknown_key", sealed(&keyring_of(CLUSTER, &[("guessed", [9; 32])]), &message)),
        ("wrong_cluster", sealed(&keyring_of("another", &[("2026-01-01T00-00-00Z", KEY)]), &message)),
        ("stranger", sealed(&keyring(), &accusation("node-9", message.incarnation, 1))),
    ];
    let dropped = site.dropped(0);
    for (reason, datagram) in &cases {
        let counter = format!("heartbeats_dropped_total{{reason=\"{reason}\"}}");
        let before = site.speaker(0).counter(&counter);
        forger.send(datagram);
        eventually(&format!("one more datagram dropped as {reason}"), PATIENCE, || {
            let seen = site.speaker(0).counter(&counter);
            if seen == before + 1 { Ok(()) } else { Err(format!("{before} before and {seen} now")) }
        });
    }
    assert_eq!(site.dropped(0) - dropped, cases.len() as u64, "nothing else was dropped");
    site.expect_all_alive();
    site.expect_unmoved(VIP, 0);
}

#[test]
fn a_flood_of_forged_datagrams_keeps_neither_beats_nor_answers_waiting() {
    let mut site = Site::new(2, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    let mut forged = overheard(&site, 0);
    *forged.last_mut().expect("a datagram") ^= 1;
    let mut forger = Forger::new(&site);
    forger.cable.hush(true);
    let packet = forger.packet(&forged);
    forger.cable.flood(&packet, 20_000, 2.0);
    for _ in 0..5 {
        site.expect_unmoved(VIP, 0);
    }
    let flooded = forger.cable.expect_within(Duration::from_secs(30), "its end", |frame| frame["flooded"].is_u64());
    println!("{} datagrams in {:.1} s", flooded["flooded"], flooded["took"].as_f64().unwrap_or_default());
    site.expect_more_beats(5);
    for node in 0..2 {
        assert_eq!(site.speaker(node).counter("verdicts_total{verdict=\"suspected\"}"), 0, "{}", name(node));
    }
    site.expect_unmoved(VIP, 0);
}

/// The key is known to whoever has taken over a node; what is said in a life that doesn't hear us now is not believed.
#[test]
fn a_made_up_life_of_a_known_name_is_not_believed() {
    let mut site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    let mut forger = Forger::new(&site);
    let unproven = "heartbeats_dropped_total{reason=\"unproven\"}";
    let before = site.speaker(0).counter(unproven);
    for sequence in 1..=5 {
        let incarnation = Incarnation { life: Life(77), refutation: 0 };
        forger.send(&sealed(&keyring(), &accusation("node-2", incarnation, sequence)));
    }
    eventually("five messages that are not believed", PATIENCE, || {
        let seen = site.speaker(0).counter(unproven);
        if seen == before + 5 { Ok(()) } else { Err(seen.to_string()) }
    });
    site.expect_more_beats(10);
    site.expect_all_alive();
    site.expect_unmoved(VIP, 0);
}

#[test]
fn two_nodes_with_one_name_are_reported_and_move_nothing() {
    let mut site = Site::new(3, Family::V4);
    site.announce(&[(VIP, 0)]);
    site.expect_all_alive();
    // A machine that was cloned with its configuration: it knows all nodes and takes itself for the second.
    let host = site.lan.attach("clone", &["192.0.2.70/24"]);
    let clone = crate::speaker::Speaker::start(
        &host.namespace,
        "node-2",
        55,
        herald_core::announce::Config::default(),
        keyring(),
    );
    clone.outlook.send_replace(std::sync::Arc::new(crate::site::outlook(Family::V4, 3, &[])));
    let twice = name(1);
    for node in [0, 2] {
        site.speaker(node).expect_event("word of two processes with one name", |event| match event {
            Event::Member(Told::DuplicateName { node }) => *node == twice,
            _ => false,
        });
    }
    site.expect_more_beats(20);
    site.expect_all_alive();
    site.expect_unmoved(VIP, 0);
}
