//! A node loses power.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use herald_tests::artifacts::Progress;
use herald_tests::lab::{Capture, Frame, Seen, eventually};
use herald_tests::scenario::Audience;
use herald_tests::scenario::trial::{Breakage, Trial};

use super::ground::{Ground, PATIENCE, heirs};
use crate::report::Figure;

/// What clients may notice: the bound of the profile `balanced`.
const BOUND: Duration = Duration::from_secs(1);

/// What was seen of one loss of power, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    /// The longest gap of any client.
    outage: f64,
    /// The longest wait of a newcomer.
    silence: f64,
    /// From the node's last frame to the first announcement of the last of its addresses by another node.
    last: f64,
}

/// Clients' gaps.
pub(crate) fn outages(losses: &[Loss]) -> Vec<f64> {
    losses.iter().map(|loss| loss.outage).collect()
}

/// What is said of them.
pub(crate) fn figures(what: &str, losses: &[Loss]) -> Result<Vec<Figure>> {
    let of = |pick: fn(&Loss) -> f64| losses.iter().map(pick).collect();
    Ok(vec![
        Figure::of(format!("{what}: clients' longest gap"), "ms", "median ≤ 500, worst ≤ 1000", outages(losses))?,
        Figure::of(format!("{what}: newcomer without ARP or ND answer"), "ms", "", of(|loss| loss.silence))?,
        Figure::of(format!("{what}: its last frame → all announced again"), "ms", "", of(|loss| loss.last))?,
    ])
}

/// The node that announces loses power so many times, each time the one that took over the time before.
pub(crate) async fn losses(ground: &Ground<'_>, progress: Progress, runs: u32, alone: bool) -> Result<Vec<Loss>> {
    let mut losses = Vec::new();
    for run in 1..=runs {
        let loss = loss(ground, progress, alone).await.with_context(|| format!("loss of power number {run}"))?;
        let without = if alone { ", no API server" } else { "" };
        progress.say(&format!("loss of power {run} of {runs}{without}: clients' longest gap {:.0} ms", loss.outage));
        losses.push(loss);
    }
    Ok(losses)
}

async fn loss(ground: &Ground<'_>, progress: Progress, alone: bool) -> Result<Loss> {
    let lab = ground.lab;
    let victim = ground.announcer().await?;
    let (mac, vips) = (ground.mac(&victim)?, ground.announced_by(&victim).await?);
    let capture = lab.capture().await?;
    let audience = ground.audience(&capture).await?;
    let mut trial = Trial::begin(lab, [ground.watched()?])?;
    if alone {
        lab.stop_api_server().await?;
    }
    let off = trial.start() + trial.elapsed();
    trial.broken(&victim, Breakage::Death, BOUND, BOUND);
    lab.power_off(&victim).await?;
    let found = eventually(PATIENCE, &format!("the addresses of {victim} are announced by others"), async || {
        let found = heirs(&capture.frames(trial.start())?, &vips, mac, off);
        Ok(Seen::when(found.len() == vips.len(), found.clone(), (found.len(), vips.len())))
    })
    .await?;
    served_again(&audience, &capture, &trial, off).await?;
    let review = audience.leave(|since| capture.frames(since)).await?;
    review.tell(&mut trial);
    let last_frame = |frame: &&Frame| frame.source() == Some(mac.0);
    let died = review.frames.iter().rev().find(last_frame).context("the node had said nothing")?.at;
    let last = found.iter().map(|(_, at)| *at).max().context("it announced nothing")?;
    ground.judge(progress, &format!("{victim} lost power"), &trial.record(&review.frames));
    if alone {
        lab.start_api_server().await?;
    }
    ground.restored(&victim).await?;
    Ok(Loss {
        outage: milliseconds(review.outage()?.length),
        silence: milliseconds(review.silence()?.length),
        last: milliseconds(last.duration_since(died).unwrap_or_default()),
    })
}

/// Waits until a newcomer has been answered for a while again, so that what comes to an end has been seen to its end.
pub(super) async fn served_again(
    audience: &Audience,
    capture: &Capture,
    trial: &Trial,
    since: SystemTime,
) -> Result<()> {
    eventually(PATIENCE, "the newcomer is answered again, fifty times on end", async || {
        let seen = audience.newcomer(&capture.frames(trial.start())?);
        let after: Vec<bool> =
            seen.attempts.iter().filter(|attempt| attempt.at > since).map(|attempt| attempt.answer.is_ok()).collect();
        let answered = after.iter().rev().skip(1).take_while(|answered| **answered).count();
        Ok(Seen::when(answered >= 50, (), answered))
    })
    .await
}

/// In milliseconds.
pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
