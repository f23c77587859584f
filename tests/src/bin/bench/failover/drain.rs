//! A node hands over while new connections come in all the time.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use herald_api::keys::DRAIN_NODE_LABEL;
use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_tests::artifacts::Progress;
use herald_tests::lab::topology::CLIENT;
use herald_tests::lab::{Frame, Seen, eventually, throughout};
use herald_tests::scenario::observer::{Manner, Traffic};
use herald_tests::scenario::wire::asserted;
use serde_json::{Value, json};

use super::ground::{Ground, PATIENCE, heirs, label};
use super::power::milliseconds;
use crate::report::Figure;

/// Before and after each move.
const AROUND: Duration = Duration::from_secs(2);
/// A SYN that was lost is sent again after a second; nothing else takes so long.
const SLOW: Duration = Duration::from_millis(900);

/// What was seen of one move.
struct Move {
    requests: f64,
    failed: f64,
    /// Of these, begun after the first frame of the new announcer.
    failed_later: f64,
    /// Under way when that frame came.
    under_way: f64,
    slow: f64,
    rate: f64,
    /// Milliseconds.
    overlap: f64,
}

/// The node that announces is drained so many times.
pub(crate) async fn drained(ground: &Ground<'_>, progress: Progress, runs: u32) -> Result<Vec<Figure>> {
    let mut moves = Vec::new();
    for run in 1..=runs {
        let one = drain(ground).await.with_context(|| format!("drained node number {run}"))?;
        progress.say(&format!(
            "drained node {run} of {runs}: {} of {} requests failed, {} of them begun after the switch",
            one.failed, one.requests, one.failed_later
        ));
        moves.push(one);
    }
    let of = |pick: fn(&Move) -> f64| moves.iter().map(pick).collect::<Vec<f64>>();
    let what = |part: &str| format!("owner drained under new connections: {part}");
    Ok(vec![
        Figure::of(what("requests in one run"), "requests", "", of(|one| one.requests))?,
        Figure::of(what("new connections"), "1/s", "1000", of(|one| one.rate))?,
        Figure::of(what("failed"), "requests", "no more than were under way", of(|one| one.failed))?,
        Figure::of(what("under way at the switch"), "requests", "", of(|one| one.under_way))?,
        Figure::of(what("failed, begun after the switch"), "requests", "0", of(|one| one.failed_later))?,
        Figure::of(what("answered after a repeated SYN"), "requests", "0", of(|one| one.slow))?,
        Figure::of(what("both MAC addresses answer"), "ms", "≤ 20", of(|one| one.overlap))?,
    ])
}

async fn drain(ground: &Ground<'_>) -> Result<Move> {
    let (lab, vip) = (ground.lab, ground.watched()?);
    let owner = ground.announcer().await?;
    let mac = ground.mac(&owner)?;
    let capture = lab.capture().await?;
    let traffic = Traffic::start(lab, CLIENT, SocketAddr::new(vip.address(), 80), Manner::BUSY)?;
    throughout(AROUND, "requests come in", async || Ok(Seen::Yes(()))).await?;
    let since = capture.frames(SystemTime::UNIX_EPOCH)?.last().context("no frames")?.at;
    label(&ground.stage, &owner, DRAIN_NODE_LABEL, json!("true")).await?;
    let new = eventually(PATIENCE, &format!("{vip} is handed over"), async || {
        let found = heirs(&capture.frames(since)?, &[vip], mac, since);
        Ok(Seen::when(!found.is_empty(), found.first().copied(), found))
    })
    .await?;
    throughout(AROUND, "requests go on", async || Ok(Seen::Yes(()))).await?;
    let observed = traffic.stop().await?;
    let (_, first) = new.context("a new announcer")?;
    let overlap = last_of(&capture.frames(since)?, vip, mac).and_then(|last| last.duration_since(first).ok());
    label(&ground.stage, &owner, DRAIN_NODE_LABEL, Value::Null).await?;
    ground.restored(&owner).await?;
    let began = observed.attempts.first().context("no requests")?.at;
    let ended = observed.attempts.last().context("no requests")?.at;
    let count = |number: usize| u32::try_from(number).map(f64::from);
    let requests = count(observed.attempts.len())?;
    Ok(Move {
        requests,
        failed: count(observed.failures().into_values().sum())?,
        failed_later: count(observed.failed_since(first))?,
        under_way: count(observed.under_way(first))?,
        slow: count(observed.slow(SLOW))?,
        rate: requests / ended.duration_since(began)?.as_secs_f64(),
        overlap: overlap.map_or(0.0, milliseconds),
    })
}

/// When a node asserted an address for the last time.
fn last_of(frames: &[Frame], vip: Vip, mac: MacAddr) -> Option<SystemTime> {
    let by = |frame: &&Frame| asserted(frame).is_some_and(|said| said.address == vip.address() && said.mac == mac);
    frames.iter().rev().find(by).map(|frame| frame.at)
}
