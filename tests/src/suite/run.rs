//! Runs the suite: upstream's runner starts it in several processes, in the namespace of the client behind the router,
//! because specs that look for a preserved client address take every source near the nodes for not preserved.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::report::Report;
use crate::artifacts::{Progress, Step, SuitePrograms};
use crate::lab::room::Room;
use crate::lab::{Lab, topology};

/// The specs that are run unless others are chosen: those of Services of type LoadBalancer.
pub const LOAD_BALANCER: &str = "LoadBalancer";

/// Which specs are run, and how many at a time.
#[derive(Clone, Debug)]
pub struct Choice {
    /// An expression that names of specs match.
    pub focus: String,
    /// How many specs run at a time. They mostly wait, so this may be more than the machine has cores.
    pub at_a_time: u8,
}

impl Default for Choice {
    fn default() -> Self {
        Self { focus: LOAD_BALANCER.to_owned(), at_a_time: 4 }
    }
}

impl Choice {
    /// Whether these are the specs of which the docs tell.
    pub fn is_default(&self) -> bool {
        self.focus == LOAD_BALANCER
    }
}

/// What the runner says is kept here, beside its report.
const LOG: &str = "suite.log";
const REPORT: &str = "report.json";

/// All specs of LoadBalancer take a quarter of an hour; this is for a cluster that answers nothing.
const LONGEST: &str = "--timeout=90m";

/// Lines between the runner and the display; the runner waits when it is full.
const QUEUE: usize = 256;

/// Runs the chosen specs. What the runner said is left in `output`.
///
/// # Errors
/// The runner can't be started or leaves no report. Specs that fail are no error here.
pub(super) async fn run(
    lab: &Lab,
    programs: &SuitePrograms,
    choice: &Choice,
    output: &Path,
    progress: Progress,
) -> Result<Report> {
    super::load_images(lab, progress).await?;
    let client = lab.host(topology::CLIENT)?;
    let command = command(lab, &client, programs, choice, output);
    let step = progress.begin(format!("specs of Kubernetes {} that match {:?}", programs.version, choice.focus));
    let output = output.to_owned();
    let report = tokio::task::spawn_blocking(move || finish(&client, command, &output, step)).await??;
    Report::parse(&report)
}

fn command(lab: &Lab, client: &Room, programs: &SuitePrograms, choice: &Choice, output: &Path) -> Command {
    let mut command = client.command(&programs.ginkgo.to_string_lossy());
    command
        .args([&format!("--procs={}", choice.at_a_time), &format!("--focus={}", choice.focus)])
        .args(["-v", "--no-color", "--silence-skips", LONGEST, &format!("--json-report={REPORT}")])
        .args([&format!("--output-dir={}", output.display()), &*programs.e2e.to_string_lossy(), "--"])
        // A provider that does nothing, under the only such name that the specs' own checks accept.
        .arg("--provider=aws")
        // Only the first of the runner's processes would count them itself; specs in the others would skip themselves.
        .arg(format!("--num-nodes={}", lab.nodes().len()))
        .arg(format!("--kubeconfig={}", lab.kubeconfig().display()))
        .arg(format!("--kubectl-path={}", lab.bin().join("kubectl").display()))
        .current_dir(output)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Waits for the runner and returns its report.
fn finish(client: &Room, command: Command, output: &Path, mut step: Step) -> Result<Vec<u8>> {
    let report = output.join(REPORT);
    if report.exists() {
        fs::remove_file(&report)?; // of an earlier run: it must not pass for this one's
    }
    let mut runner = client.spawn(command)?;
    let words = runner.stdout.take().context("standard output is piped")?;
    follow(words, &output.join(LOG), &mut step)?;
    let status: ExitStatus = runner.wait()?;
    let read = fs::read(&report);
    let read =
        read.with_context(|| format!("the runner left no report ({status}): see {}", output.join(LOG).display()))?;
    step.end();
    Ok(read)
}

/// Writes all the runner says into its log, and shows how far it is.
fn follow(words: ChildStdout, log: &Path, step: &mut Step) -> Result<()> {
    let mut log = File::create(log).with_context(|| format!("{} can't be written", log.display()))?;
    let (sender, lines) = sync_channel(QUEUE);
    let reader = thread::spawn(move || {
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut count = Count::default();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                count.line(&line);
                writeln!(log, "{line}")?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        step.tick(&count.text());
    }
    // It ended with its pipe.
    let _ = reader.join();
    Ok(())
}

/// How far the runner is, as its lines tell.
#[derive(Default)]
struct Count {
    chosen: String,
    ended: u32,
    failed: u32,
}

impl Count {
    fn line(&mut self, line: &str) {
        if let Some((chosen, _)) = line.strip_prefix("Will run ").and_then(|rest| rest.split_once(' ')) {
            chosen.clone_into(&mut self.chosen);
        } else if line.starts_with("• [") {
            // "• [12.345 seconds]" or "• [FAILED] [12.345 seconds]"
            self.ended += 1;
            self.failed += u32::from(!line.ends_with(" seconds]") || line.matches('[').count() > 1);
        }
    }

    fn text(&self) -> String {
        if self.chosen.is_empty() {
            return String::new();
        }
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{} of {} done{failed}", self.ended, self.chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_what_the_runner_says() {
        let mut count = Count::default();
        assert_eq!(count.text(), "");
        for line in ["Will run 18 of 942 specs", "• [8.927 seconds]", "• [FAILED] [90.0 seconds]", "  • [FAILED] again"]
        {
            count.line(line);
        }
        assert_eq!(count.text(), "2 of 18 done, 1 failed");
    }
}
