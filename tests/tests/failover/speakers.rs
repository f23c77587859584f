//! Speakers that die, stop or starve, while their nodes' kernels go on: clients that know the address are served all the
//! time, by the kernel that they know.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_api::virtual_ip::AnnouncementCause;
use herald_core::address::Family;
use herald_tests::lab::{HERALD_NAMESPACE, SPEAKER, Seen, throughout};
use herald_tests::scenario::trial::Breakage;

use crate::scene::{Scene, scene};
use crate::{REFUSED, STARVED};

#[tokio::test]
async fn a_killed_speaker_is_succeeded_at_once_and_no_client_notices() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Speaker, Duration::ZERO, REFUSED);
        scene.act.kill(&owner, SPEAKER)?;
        let heir = scene.moved(AnnouncementCause::Takeover).await?.node;
        scene.stays(&heir, Duration::from_secs(3)).await
    })
    .await
}

/// The speaker is stopped for so long, and what was its own stays so.
async fn stopped_for(scene: &mut Scene<'_>, time: Duration) -> Result<()> {
    let owner = scene.owner().to_owned();
    let since = scene.trial.elapsed();
    frozen(scene, time).await?;
    scene.trial.was_stopped(&owner, since);
    scene.stays(&owner, Duration::from_secs(2)).await
}

/// The owner's speaker is frozen for a time.
async fn frozen(scene: &Scene<'_>, time: Duration) -> Result<()> {
    scene.act.freeze(scene.owner(), SPEAKER)?;
    throughout(time, "the speaker is frozen", async || Ok(Seen::Yes(()))).await?;
    scene.act.thaw(scene.owner(), SPEAKER)
}

#[tokio::test]
async fn a_speaker_that_stops_for_a_moment_keeps_its_address() -> Result<()> {
    scene(Family::V4, async |scene| {
        for milliseconds in [200, 500, 900, 2000] {
            stopped_for(scene, Duration::from_millis(milliseconds)).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_observer_that_stops_for_a_while_accuses_nobody_afterwards() -> Result<()> {
    scene(Family::V6, async |scene| {
        let (observer, owner) = (scene.served.third(&scene.stage)?, scene.owner().to_owned());
        scene.trial.broken(&observer, Breakage::Nuisance, Duration::ZERO, Duration::ZERO);
        scene.act.freeze(&observer, SPEAKER)?;
        scene.stays(&owner, Duration::from_secs(5)).await?;
        scene.act.thaw(&observer, SPEAKER)?;
        scene.trial.mended();
        scene.stays(&owner, Duration::from_secs(3)).await
    })
    .await
}

#[tokio::test]
async fn a_speaker_that_stops_for_long_is_succeeded_and_says_nothing_when_it_goes_on() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Speaker, Duration::ZERO, STARVED);
        frozen(scene, Duration::from_secs(10)).await?;
        let heir = scene.moved(AnnouncementCause::Takeover).await?.node;
        scene.stays(&heir, Duration::from_secs(3)).await
    })
    .await
}

#[tokio::test]
async fn a_speaker_at_one_percent_of_a_processor_keeps_its_address() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Nuisance, Duration::ZERO, STARVED);
        scene.act.starve(&owner, SPEAKER, 1.0)?;
        scene.stays(&owner, Duration::from_secs(20)).await?;
        scene.act.feed()?;
        scene.trial.mended();
        scene.stays(&owner, Duration::from_secs(3)).await
    })
    .await
}

#[tokio::test]
async fn nobody_notices_a_rolling_update_of_all_speakers() -> Result<()> {
    scene(Family::V4, async |scene| {
        let speakers = ["--namespace", HERALD_NAMESPACE, "rollout", "restart", "daemonset/herald-speaker"];
        scene.trial.planned(None, Duration::from_mins(3));
        scene.act.kubectl(&speakers).await?;
        scene.act.rolled_out(HERALD_NAMESPACE, &["daemonset/herald-speaker"]).await?;
        // Perhaps it has come back to where it was: each node is updated in turn.
        let last = scene.stage.announcer(scene.served.vip.address()).await?;
        ensure!(last.epoch > scene.served.epoch && last.cause == AnnouncementCause::Handover, "no handover: {last:?}");
        scene.stays(&last.node, Duration::from_secs(3)).await
    })
    .await
}
