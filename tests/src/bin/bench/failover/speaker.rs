//! A speaker is killed, and its node's kernel goes on.

use std::time::Duration;

use anyhow::{Context as _, Result};
use herald_tests::artifacts::Progress;
use herald_tests::lab::{HERALD_NAMESPACE, SPEAKER, Seen, eventually};
use herald_tests::scenario::trial::{Breakage, Trial};

use super::ground::{Ground, PATIENCE, heirs};
use super::power::{milliseconds, served_again};
use crate::report::Figure;

/// What a newcomer may notice, with what a busy machine adds.
const BOUND: Duration = Duration::from_secs(1);

/// The owner's speaker is killed so many times.
pub(crate) async fn killed(ground: &Ground<'_>, progress: Progress, runs: u32) -> Result<Vec<Figure>> {
    let (mut silences, mut outages) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        let (silence, outage) = kill(ground, progress).await.with_context(|| format!("killed speaker number {run}"))?;
        progress.say(&format!("killed speaker {run} of {runs}: newcomer without answer for {silence:.0} ms"));
        silences.push(silence);
        outages.push(outage);
    }
    Ok(vec![
        Figure::of("owner's speaker killed: newcomer without ARP answer", "ms", "≤ 300", silences)?,
        Figure::of("owner's speaker killed: clients' longest gap", "ms", "", outages)?,
    ])
}

async fn kill(ground: &Ground<'_>, progress: Progress) -> Result<(f64, f64)> {
    let (lab, victim, vip) = (ground.lab, ground.announcer().await?, ground.watched()?);
    let capture = lab.capture().await?;
    let audience = ground.audience(&capture).await?;
    let mut trial = Trial::begin(lab, [vip])?;
    let since = trial.start() + trial.elapsed();
    trial.broken(&victim, Breakage::Speaker, Duration::ZERO, BOUND);
    lab.kill(&victim, SPEAKER)?;
    let mac = ground.mac(&victim)?;
    eventually(PATIENCE, &format!("{vip} is announced by another node"), async || {
        let found = heirs(&capture.frames(trial.start())?, &[vip], mac, since);
        Ok(Seen::when(!found.is_empty(), (), found))
    })
    .await?;
    served_again(&audience, &capture, &trial, since).await?;
    let review = audience.leave(|since| capture.frames(since)).await?;
    review.tell(&mut trial);
    ground.judge(progress, &format!("the speaker of {victim} was killed"), &trial.record(&review.frames));
    // Another pod: the kubelet makes one that is killed again and again wait for minutes.
    let speaker =
        ["--selector=app.kubernetes.io/component=speaker", &format!("--field-selector=spec.nodeName={victim}")];
    let delete = ["--namespace", HERALD_NAMESPACE, "delete", "pods", speaker[0], speaker[1]];
    lab.kubectl(&delete).await?;
    ground.restored(&victim).await?;
    Ok((milliseconds(review.silence()?.length), milliseconds(review.outage()?.length)))
}
