//! Trouble that lasts for minutes, under clients that watch all the time: a speaker that starves, an API server that is away
//! before a node dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_core::address::Family;
use herald_tests::artifacts::Progress;
use herald_tests::lab::{Lab, SPEAKER, Seen, eventually, throughout};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::calm::{calm, node_back, speakers_ready};
use herald_tests::scenario::trial::{Breakage, Trial};
use herald_tests::scenario::wire::who_has;
use herald_tests::scenario::{Audience, Served, Stage};

/// What clients may notice when a node dies: the bound of the profile `balanced`.
const TAKEOVER: Duration = Duration::from_secs(1);
/// What newcomers may notice while a speaker starves.
const STARVED: Duration = Duration::from_millis(3500);

/// Both, each for so long. What clients saw, in words.
pub(crate) async fn endured(lab: &Lab, progress: Progress, time: Duration) -> Result<Vec<String>> {
    progress.say(&format!("the announcer's speaker at 1 % of a processor for {} s", time.as_secs()));
    let starved = watched(lab, "starving", async |stage, served, trial| {
        trial.broken(&served.owner, Breakage::Nuisance, Duration::ZERO, STARVED);
        lab.starve(&served.owner, SPEAKER, 1.0)?;
        let address = served.vip.address();
        throughout(time, "the address stays", async || {
            let now = stage.announcer(address).await?;
            Ok(Seen::when(now.node == served.owner && now.epoch == served.epoch, (), now))
        })
        .await?;
        lab.feed()?;
        trial.mended();
        Ok(())
    })
    .await?;
    progress.say(&format!("no API server for {} s, then the announcer loses power", time.as_secs()));
    let bereft = watched(lab, "bereft", async |_, served, trial| {
        let (address, mac) = (served.vip.address(), lab.node(&served.owner)?.addresses().mac());
        lab.stop_api_server().await?;
        throughout(time, "the owner alone answers", async || {
            let macs = who_has(lab, address).await?;
            Ok(Seen::when(macs == [mac.clone()], (), macs))
        })
        .await?;
        trial.broken(&served.owner, Breakage::Death, TAKEOVER, TAKEOVER);
        lab.power_off(&served.owner).await?;
        eventually(SOON, "another node answers", async || {
            let macs = who_has(lab, address).await?;
            Ok(Seen::when(macs.len() == 1 && macs != [mac.clone()], (), macs))
        })
        .await?;
        lab.start_api_server().await?;
        lab.power_on(&served.owner).await?;
        trial.mended();
        node_back(lab, &served.owner).await?;
        speakers_ready(lab).await
    })
    .await?;
    Ok(vec![starved, bereft])
}

/// An address that clients watch while something happens; what they saw is judged.
async fn watched(
    lab: &Lab,
    name: &str,
    play: impl AsyncFnOnce(&Stage, &Served, &mut Trial) -> Result<()>,
) -> Result<String> {
    calm(lab).await?;
    let stage = Stage::set(lab, name).await?;
    let served = Served::on(&stage, Family::V4).await?;
    let capture = lab.capture().await?;
    let audience = Audience::seated(lab, served.vip, 80, |since| capture.frames(since)).await?;
    let mut trial = Trial::begin(lab, [served.vip])?;
    play(&stage, &served, &mut trial).await?;
    let review = audience.leave(|since| capture.frames(since)).await?;
    review.tell(&mut trial);
    let violations: Vec<String> = trial.record(&review.frames).violations().iter().map(ToString::to_string).collect();
    ensure!(violations.is_empty(), "{name}: {review}\npromises were broken:\n{}", violations.join("\n"));
    stage.strike().await?;
    Ok(format!("{name}: {review}"))
}
