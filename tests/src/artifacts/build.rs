//! Runs a compiler while showing that it lives, and says what it said if it fails.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::progress::Step;

/// Lines of a failed compiler's last words that are kept for the message.
const KEPT_LINES: usize = 40;

/// Lines between reader and display. The reader waits when it is full, which holds the compiler up for a moment only.
const QUEUE: usize = 256;

/// Runs `command`, showing the last line of its standard error on `step`, and returns its standard output.
///
/// # Errors
/// It can't be started, or ends with a failure; then with the last lines of its standard error.
pub(super) fn run(mut command: Command, step: &mut Step) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{name} can't be started"))?;
    let mut output = child.stdout.take().context("standard output is piped")?;
    let words = child.stderr.take().context("standard error is piped")?;

    let collector = thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let (sender, lines) = sync_channel(QUEUE);
    let reader = thread::spawn(move || {
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let last_words = show(&lines, step);

    let status = child.wait().with_context(|| format!("{name} can't be waited for"))?;
    // Both threads ended with their pipes; a panic in them can't happen.
    let _ = reader.join();
    let output = collector.join().ok().context("the reader of standard output died")??;
    if !status.success() {
        bail!("{name} failed ({status}):\n{}", Vec::from(last_words).join("\n"));
    }
    Ok(output)
}

/// Shows lines until their sender is gone, and returns the last ones.
fn show(lines: &Receiver<String>, step: &mut Step) -> VecDeque<String> {
    let mut kept = VecDeque::with_capacity(KEPT_LINES);
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                step.tick(line.trim());
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
            Err(RecvTimeoutError::Timeout) => step.tick(kept.back().map_or("", |line| line.trim())),
            Err(RecvTimeoutError::Disconnected) => return kept,
        }
    }
}
