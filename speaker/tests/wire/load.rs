//! How fast answers come, also while others are asked for without end: items 15 and 16.
//!
//! The figures are printed. What is asserted has room for a busy machine; the bounds that users are promised are measured by
//! the benchmarks, on an idle one.

use crate::site::{OTHER_VIP, OTHER_VIP6, Site, VIP, VIP6, answers, question};
use std::cell::Cell;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One measures at a time.
static MEASURING: Mutex<()> = Mutex::new(());

fn measuring() -> MutexGuard<'static, ()> {
    // That another measurement has failed says nothing about this one.
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Questions asked one after the other, each once the one before is answered: how long each took, in seconds, sorted. As a
/// host does, it asks again after a second.
fn latencies(site: &mut Site, address: &str, questions: usize) -> Vec<f64> {
    let question = question(&site.client.mac, address);
    let mut unanswered = 0;
    let mut latencies = Vec::new();
    while latencies.len() < questions {
        site.station.send_timed(&question);
        let (sent, answered) = (Cell::new(None), Cell::new(None));
        // The answer may be reported before the sending.
        let both = site.station.find_within(Duration::from_secs(1), |frame| {
            if frame["sent"].is_number() {
                sent.set(frame["sent"].as_f64());
            }
            if answers(frame, address) {
                answered.set(frame["at"].as_f64());
            }
            sent.get().is_some() && answered.get().is_some()
        });
        match both {
            Ok(_) => latencies.push(answered.get().expect("a time") - sent.get().expect("a time")),
            Err(_) => unanswered += 1,
        }
        assert!(
            unanswered <= 3,
            "{unanswered} of {} questions for {address} not answered within a second",
            latencies.len()
        );
    }
    latencies.sort_by(f64::total_cmp);
    latencies
}

fn show(what: &str, sorted: &[f64]) -> f64 {
    let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)] * 1e3;
    println!("{what}: median {:.3} ms, p99 {:.3} ms, worst {:.3} ms", at(50), at(99), at(100));
    at(50)
}

#[test]
fn item_15_answers_come_at_once_idle_and_on_a_busy_machine() {
    let _alone = measuring();
    let mut site = Site::owning(&[VIP, VIP6]);
    let idle = latencies(&mut site, VIP, 300);
    assert!(show("ARP, nothing else asked of this test", &idle) < 5.0);
    let idle = latencies(&mut site, VIP6, 300);
    assert!(show("NDP, nothing else asked of this test", &idle) < 5.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut loops = Command::new("sh");
    loops.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
    let busy: Vec<_> = (0..4 * cores).map(|_| site.node.namespace.start(&mut loops)).collect();
    let latencies = latencies(&mut site, VIP, 200);
    drop(busy);
    let (half, most) = site.speaker.answer_latency();
    println!("within the node, of all: half <= {:.3} ms, 99 % <= {:.3} ms", half * 1e3, most * 1e3);
    assert!(show("ARP, 4 busy loops for each core", &latencies) < 50.0);
}

#[test]
fn item_16_a_flood_for_one_vip_is_limited_and_leaves_others_answered() {
    const SECONDS: f64 = 2.0;
    let _alone = measuring();
    let mut site = Site::owning(&[VIP, OTHER_VIP, OTHER_VIP6]);
    // The flood comes from a host of its own, so that its frames don't queue before the questions that are timed.
    let flooder = site.lan.attach("flooder", &[]);
    let mut flood = crate::support::station::Station::listen(&flooder.namespace, "eth0");
    flood.hush(true);
    let answered_before = site.speaker.counter("frames_received_total{verdict=\"answered\"}");
    // To the node alone: a broadcast would flood scapy at the client too, which is slower than any speaker.
    let unicast = question(&flooder.mac, VIP).replace("ff:ff:ff:ff:ff:ff", &site.node.mac);
    flood.flood(&unicast, 50_000, SECONDS);
    let of_arp = latencies(&mut site, OTHER_VIP, 100);
    let of_ndp = latencies(&mut site, OTHER_VIP6, 100);
    show("ARP for another VIP under the flood", &of_arp);
    show("NDP for another VIP under the flood", &of_ndp);
    let patience = Duration::from_secs(30);
    let flooded = flood.expect_within(patience, "the end of the flood", |frame| frame["flooded"].is_u64());
    println!("{} questions in {:.1} s", flooded["flooded"], flooded["took"].as_f64().unwrap_or_default());
    let answered = site.speaker.counter("frames_received_total{verdict=\"answered\"}") - answered_before;
    println!("{answered} answers");
    // One a millisecond and a burst of 200 for the VIP asked for, and each of the timed questions; the last of the flood
    // may be read a while after it was sent.
    let took = Duration::from_secs_f64(flooded["took"].as_f64().expect("seconds"));
    let limit = took.as_millis() + 1_000 + 200 + 200;
    assert!((200..=limit).contains(&u128::from(answered)), "{answered} answers, {limit} allowed");
    assert!(of_arp[50] < 0.05 && of_ndp[50] < 0.05, "others wait");
}
