//! Nodes that die.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use herald_api::virtual_ip::AnnouncementCause;
use herald_core::address::{Family, Vip};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT};
use herald_tests::lab::{Lab, Node, Seen, eventually, throughout};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::calm::{calm, node_back, speakers_ready};
use herald_tests::scenario::trial::Breakage;
use herald_tests::scenario::wire::{asserted, who_has};
use herald_tests::scenario::{Caller, Served, Stage};

use crate::scene::{Scene, scene};
use crate::{LAB, TAKEOVER};

/// After a node has come back: long enough for anybody to give it something who wants to.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// The owner loses power; another node takes over, and keeps the address when the first one is back.
async fn owner_loses_power(scene: &mut Scene<'_>) -> Result<()> {
    let owner = scene.owner().to_owned();
    scene.trial.broken(&owner, Breakage::Death, TAKEOVER, TAKEOVER);
    scene.act.power_off(&owner).await?;
    let heir = scene.moved(AnnouncementCause::Takeover).await?.node;
    scene.act.power_on(&owner).await?;
    scene.trial.mended();
    node_back(scene.act, &owner).await?;
    speakers_ready(scene.act).await?;
    scene.stays(&heir, AFTERWARDS).await
}

#[tokio::test]
async fn an_ipv4_address_outlives_a_loss_of_power_and_does_not_go_back() -> Result<()> {
    scene(Family::V4, owner_loses_power).await
}

#[tokio::test]
async fn an_ipv6_address_outlives_a_loss_of_power_and_does_not_go_back() -> Result<()> {
    scene(Family::V6, owner_loses_power).await
}

#[tokio::test]
async fn of_two_nodes_the_one_that_is_left_takes_over() -> Result<()> {
    scene(Family::V4, async |scene| {
        let third = scene.served.third(&scene.stage)?;
        // Nobody's address moves because of it, and nobody notices.
        scene.trial.broken(&third, Breakage::Death, Duration::ZERO, Duration::ZERO);
        scene.act.power_off(&third).await?;
        scene.stays(scene.owner(), Duration::from_secs(3)).await?;
        let owner = scene.owner().to_owned();
        scene.trial.broken(&owner, Breakage::Death, TAKEOVER, TAKEOVER);
        scene.act.power_off(&owner).await?;
        let heir = scene.moved(AnnouncementCause::Takeover).await?.node;
        ensure!(heir == scene.served.server, "{heir} has no power, but announces");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_takeover_needs_no_api_server() -> Result<()> {
    scene(Family::V4, async |scene| {
        let (owner, address) = (scene.owner().to_owned(), scene.served.vip.address());
        let mac = scene.act.node(&owner)?.addresses().mac();
        scene.act.stop_api_server().await?;
        throughout(AFTERWARDS, "the address stays where it is without an API server", async || {
            let macs = who_has(scene.act, address).await?;
            Ok(Seen::when(macs == [mac.clone()], (), macs))
        })
        .await?;
        scene.trial.broken(&owner, Breakage::Death, TAKEOVER, TAKEOVER);
        scene.act.power_off(&owner).await?;
        let heir = eventually(SOON, "another node answers", async || {
            let macs = who_has(scene.act, address).await?;
            Ok(Seen::when(macs.len() == 1 && macs != [mac.clone()], macs.concat(), macs))
        })
        .await?;
        scene.act.start_api_server().await?;
        let announcer = scene.moved(AnnouncementCause::Takeover).await?;
        ensure!(announcer.mac == heir, "{heir} took over; the ledger was told of {announcer:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cluster_that_is_powered_up_at_once_announces_its_addresses_once() -> Result<()> {
    LAB.run_alone(async |act| {
        calm(act).await?;
        Stage::for_test(act)
            .await?
            .play(async |stage| {
                let served = Served::on(stage, Family::V4).await?;
                let nodes: Vec<&str> = act.nodes().iter().map(Node::name).collect();
                try_join_all(nodes.iter().map(|node| act.power_off(node))).await?;
                let dark = act.frames()?.last().map(|frame| frame.at).context("no frames")?;
                try_join_all(nodes.iter().map(|node| act.power_on(node))).await?;
                try_join_all(nodes.iter().map(|node| node_back(act, node))).await?;
                speakers_ready(act).await?;
                serves(act, served.vip).await?;
                let said: Vec<_> = act
                    .frames()?
                    .into_iter()
                    .filter(|frame| frame.at > dark)
                    .filter_map(|frame| Some((frame.at, asserted(&frame)?)))
                    .filter(|(_, said)| said.address == served.vip.address())
                    .collect();
                let mut announcers: Vec<_> = said.iter().map(|(_, said)| said.mac).collect();
                announcers.dedup();
                ensure!(announcers.len() == 1, "in turn {announcers:?} announced it: {said:?}");
                // One schedule: ten announcements in the first 30 s, directed requests apart.
                let to_all = said.iter().filter(|(_, said)| said.to_all).count();
                ensure!(to_all <= 12, "{to_all} announcements to all");
                Ok(())
            })
            .await
    })
    .await
}

/// Waits until an address answers on the wire, by one node alone, and serves clients on the LAN and behind the router.
async fn serves(lab: &Lab, vip: Vip) -> Result<()> {
    eventually(SOON, &format!("one node answers for {vip}"), async || {
        let macs = who_has(lab, vip.address()).await?;
        Ok(Seen::when(macs.len() == 1, (), macs))
    })
    .await?;
    for host in [LAN_CLIENT, CLIENT] {
        Caller::on(lab, host)?.reaches(std::net::SocketAddr::new(vip.address(), 80)).await?;
    }
    Ok(())
}
