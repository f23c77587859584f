//! A host's interface in the hands of scapy: crafts frames, and takes apart what arrives. An outside judge of our codecs.

use super::namespace::{Namespace, Running};
use super::now;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a frame may take that should come at once. Generous: the machine may be busy; latencies are measured by
/// the frames' own times.
const PATIENCE: Duration = Duration::from_secs(5);

/// Scapy on one interface.
pub(crate) struct Station {
    commands: ChildStdin,
    frames: Receiver<Value>,
    _process: Running,
}

impl Station {
    /// Listens on an interface; returns once it does.
    ///
    /// # Panics
    /// When Python or scapy is missing: says what to install.
    pub(crate) fn listen(namespace: &Namespace, interface: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/station.py");
        let mut command = Command::new(python());
        command.arg("-u").arg(script).arg(interface).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = namespace.start(&mut command);
        let commands = process.0.stdin.take().expect("a piped input");
        let lines = BufReader::new(process.0.stdout.take().expect("a piped output")).lines();
        let (sender, frames) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let frame = serde_json::from_str(&line).expect("a line of JSON from station.py");
                if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        let station = Self { commands, frames, _process: process };
        station.expect("scapy to be ready", |frame| frame["ready"] == true);
        station
    }

    /// Sends one frame, written as a scapy expression.
    pub(crate) fn send(&mut self, packet: &str) {
        self.command(&json!({ "send": packet }));
    }

    /// Sends one frame and reports when: a value with `sent`, seconds since 1970.
    pub(crate) fn send_timed(&mut self, packet: &str) {
        self.command(&json!({ "send": packet, "timed": true }));
    }

    /// Sends a frame many times, as fast as it goes.
    pub(crate) fn send_times(&mut self, times: u32, packet: &str) {
        self.command(&json!({ "send": packet, "times": times }));
    }

    /// Starts to send a frame at a rate for some seconds, in the background.
    pub(crate) fn flood(&mut self, packet: &str, per_second: u32, seconds: f64) {
        self.command(&json!({ "flood": packet, "rate": per_second, "for": seconds }));
    }

    /// Stops (or resumes) reporting frames.
    pub(crate) fn hush(&mut self, silent: bool) {
        self.command(&json!({ "silent": silent }));
    }

    /// Reports heartbeats too.
    pub(crate) fn report_beats(&mut self) {
        self.command(&json!({ "beats": true }));
    }

    fn command(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").expect("station.py takes commands");
    }

    /// Waits for a frame; others are passed over.
    ///
    /// # Panics
    /// When none comes: shows what did.
    pub(crate) fn expect(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.expect_within(PATIENCE, what, wanted)
    }

    /// As [`Station::expect`] with a deadline of one's own.
    pub(crate) fn expect_within(&self, within: Duration, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.find_within(within, wanted)
            .unwrap_or_else(|others| panic!("waited {within:?} for {what}; seen instead: {others:#?}"))
    }

    /// Waits for a frame that may not come.
    ///
    /// # Errors
    /// The frames that came instead.
    pub(crate) fn find_within(&self, within: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value, Vec<Value>> {
        let mut others = Vec::new();
        let deadline = now() + within;
        loop {
            match self.frames.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(frame) if wanted(&frame) => return Ok(frame),
                Ok(frame) => others.push(frame),
                Err(RecvTimeoutError::Timeout) => return Err(others),
                Err(RecvTimeoutError::Disconnected) => panic!("station.py has ended; it said why above"),
            }
        }
    }

    /// All frames up to and including the first that is wanted as the end mark.
    pub(crate) fn until(&self, what: &str, end: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.until_within(PATIENCE, what, end)
    }

    /// As [`Station::until`] with a deadline of one's own.
    pub(crate) fn until_within(&self, within: Duration, what: &str, end: impl Fn(&Value) -> bool) -> Vec<Value> {
        let seen = std::cell::RefCell::new(Vec::new());
        self.expect_within(within, what, |frame| {
            seen.borrow_mut().push(frame.clone());
            end(frame)
        });
        seen.into_inner()
    }

    /// All frames that arrive in a span of time.
    pub(crate) fn during(&self, span: Duration) -> Vec<Value> {
        let deadline = now() + span;
        let mut seen = Vec::new();
        while let Ok(frame) = self.frames.recv_timeout(deadline.saturating_duration_since(now())) {
            seen.push(frame);
        }
        seen
    }
}

/// A Python that has scapy.
///
/// # Panics
/// When there is none.
pub(crate) fn python() -> &'static str {
    static FOUND: OnceLock<&str> = OnceLock::new();
    FOUND.get_or_init(|| {
        let has_scapy = |python: &&str| {
            let mut command = Command::new(python);
            command.args(["-c", "import scapy"]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        // The distribution's own Python has the distribution's scapy, also where another one comes first in PATH.
        let found = ["python3", "/usr/bin/python3"].into_iter().find(has_scapy);
        found.unwrap_or_else(|| panic!("scapy is not there: apt-get install python3-scapy"))
    })
}
