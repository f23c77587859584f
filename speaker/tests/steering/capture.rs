//! What passes an interface, as `tcpdump` tells it.

use crate::support::eventually;
use crate::support::namespace::{Namespace, Running};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A port nobody uses: a datagram to it marks the end of what is looked at.
const END: u16 = 40_404;

/// A running capture.
pub(crate) struct Capture {
    lines: Arc<Mutex<Vec<String>>>,
    _process: Running,
}

impl Capture {
    /// Captures one direction (`in`, `out`) of an interface; returns once it does.
    pub(crate) fn start(namespace: &Namespace, interface: &str, direction: &str) -> Self {
        let mut command = Command::new("tcpdump");
        command.args(["-n", "-e", "-l", "--immediate-mode", "-Q", direction, "-i", interface]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = namespace.start(&mut command);
        let mut said = BufReader::new(process.0.stderr.take().expect("a piped error output")).lines();
        let ready = said.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("listening on")));
        ready.expect("tcpdump listens").expect("readable output");
        let output = BufReader::new(process.0.stdout.take().expect("a piped output"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            // Held so that tcpdump's last words find a reader.
            let _said = said;
            for line in output.lines().map_while(Result::ok) {
                kept.lock().expect("the other end").push(line);
            }
        });
        Self { lines, _process: process }
    }

    /// All that passed until a mark sent now: a datagram from the capturing host (or to it), which passes last.
    pub(crate) fn until_now(self, sender: &Namespace, receiver: &str) -> Vec<String> {
        let to = crate::site::at(receiver, END);
        crate::site::datagrams(sender, to).send(b"end").expect("the mark is sent");
        let mark = format!(".{END}: UDP");
        eventually("the mark in the capture", Duration::from_secs(10), || {
            let mut lines = self.lines.lock().expect("the other end");
            match lines.iter().position(|line| line.contains(&mark)) {
                Some(end) => Ok(lines.drain(..end).collect()),
                None => Err(format!("{lines:#?}")),
            }
        })
    }

    /// Waits for a line that holds all the words.
    pub(crate) fn expect(&self, what: &str, words: &[&str]) {
        eventually(what, Duration::from_secs(10), || {
            let lines = self.lines.lock().expect("the other end");
            let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
            if found { Ok(()) } else { Err(format!("{lines:#?}")) }
        });
    }
}
