//! A node whose time of day is set while its speaker runs. The kernel stamps what arrives with the time of day, so that all of
//! it seems to come from the past or the future.
//!
//! The machine's clock is everybody's, so the process is shown another one than its kernel's: `libfaketime` between it and
//! the C library. That is worse than any real jump, after which the two agree again.

use crate::processes::{NODES, Stage, be_a_speaker};
use crate::site::name;
use herald_core::liveness::Standing;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// # Panics
/// When it is missing: says what to install.
fn library() -> PathBuf {
    let architectures = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|name| Path::new("/usr/lib").join(name));
    let found = architectures.iter().map(|folder| folder.join(LIBRARY)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("libfaketime is not there: apt-get install faketime"))
}

/// How far the clock that a process is shown is from the kernel's.
struct Clock(PathBuf);

impl Clock {
    fn new(test: &str) -> Self {
        let clock = Self(std::env::temp_dir().join(format!("herald-clock-{test}-{}", std::process::id())));
        clock.set("+0");
        clock
    }

    /// Sets it: `+3600` is an hour ahead.
    fn set(&self, offset: &str) {
        // Replaced as a whole: it is read at every look at the clock.
        let fresh = self.0.with_extension("new");
        std::fs::write(&fresh, format!("{offset}\n")).expect("a temporary file");
        std::fs::rename(&fresh, &self.0).expect("the temporary file in its place");
    }

    /// A command that runs this program with it.
    fn program(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", &self.0);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        command
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn a_node_whose_clock_is_set_keeps_its_address_and_accuses_nobody() {
    if be_a_speaker() {
        return;
    }
    let clock = Clock::new("set");
    let test = "clocks::a_node_whose_clock_is_set_keeps_its_address_and_accuses_nobody";
    let mut stage = Stage::with(test, 0, clock.program());
    for offset in ["+3600", "-3600", "+864000", "+0"] {
        clock.set(offset);
        let frames = stage.ask_for(Duration::from_secs(2));
        let answered = stage.asserted_by(&frames, 0).len();
        assert!(answered > 80, "the clock set by {offset} s, and only {answered} answers to 100 questions");
        for other in 1..NODES {
            let strange = stage.asserted_by(&frames, other);
            assert!(strange.is_empty(), "the clock set by {offset} s, and {} takes over: {strange:#?}", name(other));
            stage.site.expect_standing(other, 0, |standing| matches!(standing, Standing::Alive(_)));
            let speaker = stage.site.speaker(other);
            assert_eq!(speaker.counter("verdicts_total{verdict=\"suspected\"}"), 0, "{} suspects it", name(other));
        }
        assert!(stage.site.dropped(1) + stage.site.dropped(2) < 20, "its heartbeats are believed");
    }
    assert_eq!(stage.suspicions(), 0, "it suspects others");
}
