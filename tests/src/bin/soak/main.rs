//! `soak`: a cluster under constant change and crashes, for as long as asked.
//!
//! Services come, change and go at random while the controller and the speakers are killed; an observer watches all the time
//! that no address is in two Services' status. In the end everything must agree: status, ledger, and the wire. Before that,
//! trouble that lasts for minutes is endured ([`endurance`]).

mod agreement;
mod endurance;
mod observer;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use herald_tests::artifacts::Progress;
use herald_tests::lab::{Lab, Options, ProcessId};
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// The lab it plays in.
const LAB: &str = "soak";
/// Names of Services that come and go; more than the pool has addresses of, so that some must wait.
const NAMES: u64 = 40;
/// Addresses of each family.
const ADDRESSES: u32 = 30;
/// Changes between two kills.
const CHANGES_PER_KILL: u32 = 25;

/// Changes and crashes at random, then checks that everything agrees. Needs root.
#[derive(Parser)]
struct Arguments {
    /// How long Services change and daemons crash.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// How long each trouble lasts that is to be endured: a speaker that starves, an API server that is away.
    #[arg(long, default_value_t = 10)]
    endure: u64,
    /// Which changes and crashes: the same number gives the same again.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { minutes, endure, seed } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let progress = Progress::stderr();
    let lab = Lab::up(Options::named(LAB), Some(ProcessId::own()?), progress).await?;
    let result = all(&lab, progress, minutes, endure, seed).await;
    let down = Lab::down(LAB);
    println!("{}", result.with_context(|| format!("repeat with --seed {seed}"))?);
    down.map(drop)
}

async fn all(lab: &Lab, progress: Progress, minutes: u64, endure: u64, seed: u64) -> Result<String> {
    let mut said = endurance::endured(lab, progress, Duration::from_secs(endure * 60)).await?;
    said.push(soak(lab, progress, Duration::from_secs(minutes * 60), seed).await?);
    Ok(said.join("\n"))
}

async fn soak(lab: &Lab, progress: Progress, time: Duration, seed: u64) -> Result<String> {
    let stage = Stage::bare(lab, "soak", Range::take(ADDRESSES)?).await?;
    stage.pool("soak", json!({"addresses": stage.range().addresses()})).await?;
    let observer = observer::Observer::start(stage.client());
    let mut chance = Chance(seed);
    let (mut changes, mut kills) = (0_u32, 0_u32);
    let start = now();
    while start.elapsed() < time {
        change(&stage, &mut chance).await?;
        changes += 1;
        observer.check()?;
        if changes.is_multiple_of(CHANGES_PER_KILL) {
            kills += kill(lab, &mut chance)?;
            progress.say(&format!("{:4} s, {changes} changes, {kills} kills", start.elapsed().as_secs()));
        }
    }
    agreement::reached(&stage).await?;
    let seen = observer.finish()?;
    Ok(format!("{changes} changes, {kills} kills, {seen} statuses seen: status, ledger and wire agree (seed {seed})"))
}

/// Creates, changes or deletes one Service.
async fn change(stage: &Stage, chance: &mut Chance) -> Result<()> {
    let services: Api<Service> = stage.api();
    let name = format!("s{}", chance.below(NAMES));
    let exists = services.get_opt(&name).await?.is_some();
    if !exists {
        let wanted = service(&name, spec(chance));
        return services.create(&PostParams::default(), &wanted).await.map(drop).context("creating a Service");
    }
    if chance.below(2) == 0 {
        return services.delete(&name, &DeleteParams::default()).await.map(drop).context("deleting a Service");
    }
    let kind = if chance.below(2) == 0 { "ClusterIP" } else { "LoadBalancer" };
    let patch = json!({"spec": {"type": kind, "ports": [{"port": 80 + chance.below(4)}]}});
    services.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop).context("changing a Service")
}

fn spec(chance: &mut Chance) -> Value {
    match chance.below(4) {
        0 => json!({"ipFamilyPolicy": "RequireDualStack"}),
        1 => json!({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}),
        2 => json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}),
        _ => json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}),
    }
}

/// Kills the controller or one speaker; returns how many processes. One that is just being started again is spared.
fn kill(lab: &Lab, chance: &mut Chance) -> Result<u32> {
    let program = if chance.below(2) == 0 { "herald-controller" } else { "herald-speaker" };
    let running: Vec<&str> = lab
        .nodes()
        .iter()
        .map(herald_tests::lab::Node::name)
        .filter(|node| lab.processes(node, program).is_ok())
        .collect();
    let Some(node) = running.get(usize::try_from(chance.below(running.len().max(1) as u64))?) else { return Ok(0) };
    Ok(u32::from(lab.kill(node, program).is_ok()))
}

/// A small generator of random numbers (splitmix64), so that a seed gives the same run again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}

#[expect(clippy::disallowed_methods, reason = "the soak lasts as long as it is asked to")]
fn now() -> Instant {
    Instant::now()
}
