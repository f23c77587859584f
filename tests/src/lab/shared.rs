//! Tests on a lab: one lab per test binary, shared by its tests; what is known of a failure is kept in a directory that
//! the failure's message names. Namespaces, servers and Services of a test are [`crate::scenario`]'s.
//!
//! ```no_run
//! use herald_tests::lab::{Options, SharedLab};
//!
//! static LAB: SharedLab = SharedLab::new(|| Options::named("scenarios"));
//!
//! #[tokio::test]
//! async fn a_node_is_reached_from_behind_the_router() -> anyhow::Result<()> {
//!     LAB.run(async |lab| {
//!         let ping = lab.exec("client", &["ping", "-c", "1", "192.0.2.11"]).await?;
//!         ping.text().map(drop)
//!     })
//!     .await
//! }
//! ```

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use futures::FutureExt as _;
use tokio::sync::{OnceCell, RwLock};

use super::Lab;
use super::capture::{Capture, Frame};
use super::options::Options;
use super::process::ProcessId;
use crate::artifacts::Progress;

/// Names a lab that runs already: tests use it instead of one of their own, which saves its start while one writes them.
pub const LAB_VARIABLE: &str = "HERALD_LAB";

/// The lab of one test binary: made when the first test wants it, removed when the process ends, however it ends.
#[derive(Debug)]
pub struct SharedLab {
    options: fn() -> Options,
    made: OnceCell<Result<Made, String>>,
    /// Held for writing by tests that break something.
    faults: RwLock<()>,
}

#[derive(Debug)]
struct Made {
    lab: Lab,
    frames: Capture,
}

impl SharedLab {
    /// A lab by these options; tests that run at the same time must give different names.
    pub const fn new(options: fn() -> Options) -> Self {
        Self { options, made: OnceCell::const_new(), faults: RwLock::const_new(()) }
    }

    /// The lab itself, made if this is the first test that wants it.
    pub async fn lab(&self) -> Result<&Lab> {
        Ok(&self.made().await?.lab)
    }

    /// Runs a test beside others. It must leave nodes and links as they are.
    pub async fn run(&self, test: impl AsyncFnOnce(&Act<'_>) -> Result<()>) -> Result<()> {
        let made = self.made().await?;
        let _others_may_run = self.faults.read().await;
        play(made, test).await
    }

    /// Runs a test while no other runs, so that it may break things; whatever it broke is mended afterwards.
    pub async fn run_alone(&self, test: impl AsyncFnOnce(&Act<'_>) -> Result<()>) -> Result<()> {
        let made = self.made().await?;
        let _nobody_else_runs = self.faults.write().await;
        let result = play(made, test).await;
        made.lab.heal().await.context("mending what a test broke")?;
        result
    }

    async fn made(&self) -> Result<&Made> {
        let made =
            self.made.get_or_init(async || make((self.options)()).await.map_err(|error| format!("{error:#}"))).await;
        made.as_ref().map_err(|error| anyhow!("{error}"))
    }
}

async fn make(options: Options) -> Result<Made> {
    let lab = if let Ok(name) = std::env::var(LAB_VARIABLE) {
        Lab::open(&name)?
    } else {
        Lab::end_with_this_process(&options.name)?;
        Lab::up(options, Some(ProcessId::own()?), Progress::stderr()).await?
    };
    let frames = lab.capture().await?;
    Ok(Made { lab, frames })
}

impl Lab {
    /// Starts a process that removes the lab of this name when the calling one has ended, by whatever cause: it waits for
    /// the end of a pipe that only this process holds open.
    pub fn end_with_this_process(name: &str) -> Result<()> {
        let lab = lab_program()?;
        let mut janitor = Command::new("setsid");
        janitor.arg(lab).args(["down", "--name", name, "--after-input-ends"]);
        janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut janitor = janitor.spawn().context("starting what removes the lab in the end")?;
        // Never closed: the kernel does that when the process ends.
        std::mem::forget(janitor.stdin.take());
        Ok(())
    }
}

/// The program `lab`, which cargo builds together with the tests, one directory above them.
fn lab_program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let found = this.ancestors().skip(1).take(2).map(|directory| directory.join("lab")).find(|path| path.is_file());
    found.with_context(|| format!("no program `lab` beside {}: `cargo build -p herald-tests` makes it", this.display()))
}

/// A lab during one test.
#[derive(Debug)]
pub struct Act<'lab> {
    made: &'lab Made,
    since: SystemTime,
}

impl Deref for Act<'_> {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.made.lab
    }
}

impl Act<'_> {
    /// The frames of the LAN since the test began, as far as they are written.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        self.frames_since(self.since)
    }

    /// The same since a later moment.
    pub fn frames_since(&self, since: SystemTime) -> Result<Vec<Frame>> {
        self.made.frames.frames(since)
    }
}

async fn play(made: &Made, test: impl AsyncFnOnce(&Act<'_>) -> Result<()>) -> Result<()> {
    let act = Act { made, since: clock() };
    let result = match AssertUnwindSafe(test(&act)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(anyhow!("{}", panic_message(&*panic))),
    };
    let Err(error) = result else { return Ok(()) };
    // The test harness calls the thread after the test.
    let thread = std::thread::current();
    let kept = made.lab.keep_evidence(thread.name().unwrap_or("test"), &made.frames, act.since).await;
    Err(error.context(match kept {
        Ok(directory) => format!("frames, logs and objects are in {}", directory.display()),
        Err(error) => format!("nothing could be kept of it: {error:#}"),
    }))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[expect(clippy::disallowed_methods, reason = "frames carry the time of the wall clock")]
fn clock() -> SystemTime {
    SystemTime::now()
}
