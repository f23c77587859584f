//! Tests on a lab: one lab per test binary, shared by its tests, each with a namespace of its own; what is known of a
//! failure is kept in a directory that the failure's message names.
//!
//! ```no_run
//! use herald_tests::lab::{Options, SharedLab};
//!
//! static LAB: SharedLab = SharedLab::new(|| Options::named("scenarios"));
//!
//! #[tokio::test]
//! async fn a_node_is_reached_from_behind_the_router() -> anyhow::Result<()> {
//!     LAB.run(async |stage| {
//!         let ping = stage.exec("client", &["ping", "-c", "1", "192.0.2.11"]).await?;
//!         ping.text().map(drop)
//!     })
//!     .await
//! }
//! ```

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use futures::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::{OnceCell, RwLock};

use super::capture::{Capture, Frame};
use super::options::Options;
use super::process::ProcessId;
use super::wait::until;
use super::Lab;
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

    /// Runs a test beside others. It must leave nodes and links as they are.
    pub async fn run(&self, test: impl AsyncFnOnce(&Stage<'_>) -> Result<()>) -> Result<()> {
        let made = self.made().await?;
        let _others_may_run = self.faults.read().await;
        play(made, test).await
    }

    /// Runs a test while no other runs, so that it may break things; whatever it broke is mended afterwards.
    pub async fn run_alone(&self, test: impl AsyncFnOnce(&Stage<'_>) -> Result<()>) -> Result<()> {
        let made = self.made().await?;
        let _nobody_else_runs = self.faults.write().await;
        let result = play(made, test).await;
        made.lab.heal().await.context("mending what a test broke")?;
        result
    }

    async fn made(&self) -> Result<&Made> {
        let made = self.made.get_or_init(async || make((self.options)()).await.map_err(|error| format!("{error:#}"))).await;
        made.as_ref().map_err(|error| anyhow!("{error}"))
    }
}

async fn make(options: Options) -> Result<Made> {
    let lab = match std::env::var(LAB_VARIABLE) {
        Ok(name) => Lab::open(&name)?,
        Err(_) => {
            let name = options.name.clone();
            end_with_this_process(&name)?;
            Lab::up(options, Some(ProcessId::own()?), Progress::stderr()).await?
        }
    };
    let frames = lab.capture().await?;
    Ok(Made { lab, frames })
}

/// Starts a process that removes the lab when this one has ended, by whatever cause: it waits for the end of a pipe that
/// only this process holds open.
fn end_with_this_process(name: &str) -> Result<()> {
    let lab = lab_program()?;
    let mut janitor = Command::new("setsid");
    janitor.arg(lab).args(["down", "--name", name, "--after-input-ends"]);
    janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut janitor = janitor.spawn().context("starting what removes the lab in the end")?;
    // Never closed: the kernel does that when the process ends.
    std::mem::forget(janitor.stdin.take());
    Ok(())
}

/// The program `lab`, which cargo builds together with the tests, one directory above them.
fn lab_program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let found = this.ancestors().skip(1).take(2).map(|directory| directory.join("lab")).find(|path| path.is_file());
    found.with_context(|| format!("no program `lab` beside {}: `cargo build -p herald-tests` makes it", this.display()))
}

/// A lab, for one test.
pub struct Stage<'lab> {
    made: &'lab Made,
    client: Client,
    namespace: String,
    since: SystemTime,
}

impl Deref for Stage<'_> {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.made.lab
    }
}

impl Stage<'_> {
    /// A client with the administrator's rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The test's own namespace, which goes when the test has ended.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Objects of one kind in the test's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// Objects of a cluster-scoped kind.
    pub fn cluster<K>(&self) -> Api<K>
    where
        K: Resource,
        K::DynamicType: Default,
    {
        Api::all(self.client())
    }

    /// The frames of the LAN since the test began, as far as they are written.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        self.made.frames.frames(self.since)
    }
}

async fn play(made: &Made, test: impl AsyncFnOnce(&Stage<'_>) -> Result<()>) -> Result<()> {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("test").rsplit("::").next().unwrap_or("test").to_owned();
    let client = made.lab.client().await?;
    let namespace = new_namespace(&client, &name).await?;
    let stage = Stage { made, client: client.clone(), namespace, since: clock() };
    let result = match AssertUnwindSafe(test(&stage)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(anyhow!("{}", panic_message(&*panic))),
    };
    if let Err(error) = result {
        let kept = made.lab.keep_evidence(&name, &made.frames, stage.since).await;
        let kept = kept.map_or_else(|error| format!("nothing could be kept of it: {error:#}"), |path| {
            format!("frames, logs and objects are in {}", path.display())
        });
        return Err(error.context(kept));
    }
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&stage.namespace, &DeleteParams::default()).await?;
    Ok(())
}

async fn new_namespace(client: &Client, test: &str) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let prefix: String = test.replace('_', "-").chars().take(40).collect();
    let wanted = serde_json::from_value(json!({"metadata": {"generateName": format!("{}-", prefix.trim_end_matches('-'))}}))?;
    let namespace = namespaces.create(&PostParams::default(), &wanted).await?.metadata.name.context("a name")?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    until(Duration::from_secs(10), "the new namespace has a service account, which pods need", async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await?;
    Ok(namespace)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[expect(clippy::disallowed_methods, reason = "frames carry the time of the wall clock")]
fn clock() -> SystemTime {
    SystemTime::now()
}
