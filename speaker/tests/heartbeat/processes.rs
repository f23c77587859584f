//! A speaker whose process is killed, or stands still, as on a machine that swaps or is a virtual one being moved. Its kernel
//! goes on.
//!
//! The process is this test binary once more, told by its environment to be a speaker.

use crate::site::{Family, Site, VIP, announces, keyring, name, outlook, question, wall_clock};
use crate::speaker::Speaker;
use crate::support::namespace::Running;
use herald_core::announce::Config;
use herald_core::liveness::Standing;
use herald_core::member::Cause;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Set in the process that is the first node's speaker, to the number of the node that has the address.
const BE_A_SPEAKER: &str = "HERALD_TEST_SPEAKER";

/// What the process prints at its end, before the number of its suspicions.
const SUSPICIONS: &str = "suspicions: ";

pub(crate) const NODES: usize = 3;

/// A site whose first node's speaker is a process of its own.
pub(crate) struct Stage {
    pub(crate) site: Site,
    process: Running,
}

impl Stage {
    /// With the address at that node. `test` is the name of the calling test, which is run by the process too.
    fn new(test: &str, owner: usize) -> Self {
        Self::with(test, owner, Command::new(std::env::current_exe().expect("this program")))
    }

    /// As [`Stage::new`], with a command that runs this program.
    pub(crate) fn with(test: &str, owner: usize, mut command: Command) -> Self {
        let mut site = Site::new(NODES, Family::V4);
        site.kill(0);
        command.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
        command.env(BE_A_SPEAKER, owner.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = site.hosts[0].namespace.start(&mut command);
        site.publish(&[(VIP, owner)]);
        site.station.expect("the first announcement", |frame| announces(frame, VIP));
        for node in 1..NODES {
            site.expect_standing(node, 0, |standing| matches!(standing, Standing::Alive(_)));
        }
        Self { site, process }
    }

    /// Ends the process in order, and returns how often it has suspected another node.
    pub(crate) fn suspicions(mut self) -> u64 {
        drop(self.process.0.stdin.take());
        let mut said = String::new();
        let output = self.process.0.stdout.as_mut().expect("a piped output");
        output.read_to_string(&mut said).expect("what the process said");
        let line = said.lines().find_map(|line| line.strip_prefix(SUSPICIONS));
        line.unwrap_or_else(|| panic!("no word of suspicions: {said}")).parse().expect("a number")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.0.id().cast_signed());
        kill(pid, signal).expect("a process to stop and to continue");
    }

    /// Lets a client ask every 20 ms, and returns all frames of a span of time.
    pub(crate) fn ask_for(&mut self, span: Duration) -> Vec<Value> {
        let question = question(&self.site.client.mac, "192.0.2.50", VIP);
        self.site.station.flood(&question, 50, span.as_secs_f64());
        self.site.station.until_within(span * 2, "the end of the questions", |frame| frame["flooded"].is_u64())
    }

    pub(crate) fn asserted_by<'f>(&self, frames: &'f [Value], node: usize) -> Vec<&'f Value> {
        let mac = self.site.hosts[node].mac.as_str();
        frames.iter().filter(|frame| frame["arp"]["spa"] == VIP && frame["src"] == mac).collect()
    }
}

/// Runs as the first node's speaker, until its standard input ends, if that is what this process is for.
pub(crate) fn be_a_speaker() -> bool {
    let Ok(owner) = std::env::var(BE_A_SPEAKER) else { return false };
    let owner = owner.parse().expect("the number of a node");
    let here = crate::support::namespace::Namespace::own();
    let speaker = Speaker::start(&here, name(0).as_str(), u64::from(std::process::id()), Config::default(), keyring());
    speaker.outlook.send_replace(Arc::new(outlook(Family::V4, NODES, &[(VIP, owner)])));
    std::io::stdin().read_to_end(&mut Vec::new()).expect("an input that ends with the test");
    println!("\n{SUSPICIONS}{}", speaker.counter("verdicts_total{verdict=\"suspected\"}"));
    true
}

#[test]
fn a_speaker_that_stands_still_for_a_moment_keeps_its_address() {
    if be_a_speaker() {
        return;
    }
    let mut stage = Stage::new("processes::a_speaker_that_stands_still_for_a_moment_keeps_its_address", 0);
    for milliseconds in [200, 600, 1_500] {
        stage.signal(Signal::SIGSTOP);
        let mut frames = stage.ask_for(Duration::from_millis(milliseconds));
        stage.signal(Signal::SIGCONT);
        frames.extend(stage.ask_for(Duration::from_secs(1)));
        for other in 1..NODES {
            let strange = stage.asserted_by(&frames, other);
            assert!(strange.is_empty(), "stopped for {milliseconds} ms, and {} takes over: {strange:#?}", name(other));
        }
        let answered = stage.asserted_by(&frames, 0).len();
        assert!(answered > 20, "stopped for {milliseconds} ms, and only {answered} answers after it");
    }
}

#[test]
fn a_speaker_that_stood_still_for_longer_finds_its_address_taken_and_stays_silent() {
    if be_a_speaker() {
        return;
    }
    let mut stage =
        Stage::new("processes::a_speaker_that_stood_still_for_longer_finds_its_address_taken_and_stays_silent", 0);
    stage.signal(Signal::SIGSTOP);
    let frames = stage.ask_for(Duration::from_secs(6));
    let takers: Vec<_> = (1..NODES).filter(|other| !stage.asserted_by(&frames, *other).is_empty()).collect();
    assert_eq!(takers.len(), 1, "one other node takes over: {takers:?}");
    let stopped = frames[0]["at"].as_f64().expect("a time");
    let taken = stage.asserted_by(&frames, takers[0])[0]["at"].as_f64().expect("a time");
    println!("taken over {:.1} s after it stood still", taken - stopped);
    assert!((2.5..4.5).contains(&(taken - stopped)), "{} s", taken - stopped);
    // 250 of the client's questions wait in its kernel when it goes on, and hundreds more come.
    stage.signal(Signal::SIGCONT);
    let frames = stage.ask_for(Duration::from_secs(2));
    let late = stage.asserted_by(&frames, 0);
    assert!(late.is_empty(), "it has lost the address and answers for it: {late:#?}");
    assert!(stage.asserted_by(&frames, takers[0]).len() > 50, "the new owner answers on");
}

#[test]
fn a_speaker_that_stood_still_accuses_nobody_of_its_own_silence() {
    if be_a_speaker() {
        return;
    }
    let mut stage = Stage::new("processes::a_speaker_that_stood_still_accuses_nobody_of_its_own_silence", 1);
    for seconds in [1, 4] {
        stage.signal(Signal::SIGSTOP);
        let mut frames = stage.ask_for(Duration::from_secs(seconds));
        stage.signal(Signal::SIGCONT);
        frames.extend(stage.ask_for(Duration::from_secs(2)));
        for other in [0, 2] {
            let strange = stage.asserted_by(&frames, other);
            assert!(strange.is_empty(), "stopped for {seconds} s: {} takes over: {strange:#?}", name(other));
        }
        stage.site.expect_standing(1, 0, |standing| matches!(standing, Standing::Alive(_)));
    }
}

#[test]
fn the_kernel_of_a_killed_process_tells_the_others_at_once() {
    if be_a_speaker() {
        return;
    }
    let stage = Stage::new("processes::the_kernel_of_a_killed_process_tells_the_others_at_once", 0);
    let killed = wall_clock();
    stage.signal(Signal::SIGKILL);
    let gap = stage.site.expect_takeover(VIP, 0)["at"].as_f64().expect("a time") - killed;
    println!("first frame of the new owner {:.0} ms after the kill", gap * 1e3);
    assert!(gap < 0.3, "{gap} s");
    stage.site.expect_cause(VIP, 0, Cause::Gone);
}
