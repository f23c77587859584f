//! Wires that fail, while everything on the node goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_api::virtual_ip::AnnouncementCause;
use herald_core::address::Family;
use herald_tests::lab::{OneWay, Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::trial::Breakage;
use herald_tests::scenario::wire::who_has;

use crate::scene::{Scene, scene};
use crate::{STARVED, TAKEOVER};

/// After a wire is whole again.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// Exactly the node that took over answers, and goes on to.
async fn one_answers(scene: &Scene<'_>, heir: &str) -> Result<()> {
    let (address, mac) = (scene.served.vip.address(), scene.act.node(heir)?.addresses().mac());
    eventually(SOON, &format!("{heir} alone answers for {address}"), async || {
        let macs = who_has(scene.act, address).await?;
        Ok(Seen::when(macs == [mac.clone()], (), macs))
    })
    .await?;
    scene.stays(heir, AFTERWARDS).await
}

#[tokio::test]
async fn a_pulled_cable_moves_the_address_for_good() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Cut, TAKEOVER, TAKEOVER);
        scene.act.cut_lan(&owner)?;
        let heir = scene.moved(AnnouncementCause::Takeover).await?.node;
        scene.act.mend_lan(&owner)?;
        scene.trial.mended();
        one_answers(scene, &heir).await
    })
    .await
}

#[tokio::test]
async fn a_node_without_the_api_server_keeps_its_address_also_when_kubernetes_gives_it_up() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Nuisance, Duration::ZERO, Duration::ZERO);
        scene.act.cut_api(&owner)?;
        let ready = ["get", "node", &owner, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"];
        eventually(Duration::from_mins(2), &format!("Kubernetes calls {owner} lost"), async || {
            let said = scene.act.kubectl(&ready).await?;
            Ok(Seen::when(said == "Unknown", (), said))
        })
        .await?;
        scene.stays(&owner, Duration::from_secs(8)).await?;
        scene.act.mend_api(&owner)?;
        scene.trial.mended();
        scene.stays(&owner, AFTERWARDS).await
    })
    .await
}

#[tokio::test]
async fn lost_frames_move_nothing() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        for (percent, outage) in [(1.0, Duration::from_millis(200)), (10.0, Duration::from_secs(1))] {
            scene.trial.broken(&owner, Breakage::Nuisance, outage, outage);
            scene.act.lose_frames(&owner, percent)?;
            scene.stays(&owner, Duration::from_secs(15)).await?;
            scene.act.mend_loss(&owner)?;
            scene.trial.mended();
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_node_that_nobody_hears_is_succeeded_and_yields_when_it_is_heard_again() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Cut, TAKEOVER, TAKEOVER);
        scene.act.cut_one_way(&owner, OneWay::Mute)?;
        let heir = scene.moved(AnnouncementCause::Takeover).await?.node;
        scene.act.mend_one_way(&owner)?;
        scene.trial.mended();
        one_answers(scene, &heir).await
    })
    .await
}

#[tokio::test]
async fn a_node_that_hears_nobody_is_succeeded() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        // It still says that it lives, so that it takes as long as with one that starves.
        scene.trial.broken(&owner, Breakage::Cut, STARVED, STARVED);
        scene.act.cut_one_way(&owner, OneWay::Deaf)?;
        let (announcer, _) = scene.served.moved(&scene.stage).await?;
        ensure!(announcer.epoch > scene.served.epoch, "{announcer:?}");
        scene.act.mend_one_way(&owner)?;
        scene.trial.mended();
        one_answers(scene, &announcer.node).await
    })
    .await
}
