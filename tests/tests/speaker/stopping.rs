//! What happens to addresses when a speaker ends, in order or not.

use anyhow::{Result, ensure};
use herald_api::virtual_ip::Announcer;
use nix::sys::signal::Signal;
use std::net::IpAddr;
use std::time::Duration;

use super::cluster::{Cluster, is, not};
use super::{on_bare_nodes, with_speakers};

/// Far below the time a stop may wait for others.
const PROMPTLY: Duration = Duration::from_secs(8);

/// Addresses are where they were, after one that came later has been decided about.
async fn stays(cluster: &Cluster, addresses: &[IpAddr], announcers: &[Announcer]) -> Result<()> {
    let later = cluster.hold("192.0.2.181", "later").await?;
    cluster.announced(later, "by anybody", |_| true).await?;
    for (address, before) in addresses.iter().zip(announcers) {
        let now = cluster.announced(*address, "by anybody", |_| true).await?;
        ensure!(now == *before, "{address} moved: {before:?}, then {now:?}");
    }
    Ok(())
}

/// An address of each family that the node announces.
async fn addresses_of(cluster: &Cluster, node: &str) -> Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for family in ["192.0.2.", "2001:db8:1::1:"] {
        for last in 150..180 {
            let address = cluster.hold(&format!("{family}{last}"), &format!("s-{last}")).await?;
            if cluster.announced(address, "by anybody", |_| true).await?.node == node {
                found.push(address);
                break;
            }
        }
    }
    ensure!(found.len() == 2, "of thirty addresses of a family {node} got none: {found:?}");
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_that_is_stopped_hands_its_addresses_over_and_does_not_get_them_back() -> Result<()> {
    with_speakers(async |cluster| {
        let addresses = addresses_of(cluster, "node-1").await?;
        cluster.signal("node-1", Signal::SIGTERM)?;
        let output = cluster.ended("node-1", PROMPTLY).await?;
        ensure!(output.is_ok(), "{output}");
        cluster
            .speaker("node-1", "says that it has stopped", |speaker| {
                let status = speaker.status.clone().unwrap_or_default();
                status.draining && super::cluster::says(&status.conditions, "Ready").as_deref() == Some("False/Stopped")
            })
            .await?;
        let mut taken = Vec::new();
        for address in &addresses {
            let announcer = cluster.announced(*address, "by another node", not("node-1")).await?;
            ensure!(announcer.epoch == 2 && format!("{:?}", announcer.cause) == "Handover", "{announcer:?}");
            cluster.answers(*address, &[&announcer.node]).await?;
            taken.push(announcer);
        }
        cluster.start("node-1", &[])?;
        cluster.running("node-1").await?;
        stays(cluster, &addresses, &taken).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_speaker_had_is_taken_over_and_does_not_go_back_to_it() -> Result<()> {
    with_speakers(async |cluster| {
        let addresses = addresses_of(cluster, "node-2").await?;
        cluster.signal("node-2", Signal::SIGKILL)?;
        cluster.ended("node-2", PROMPTLY).await?;
        let mut taken = Vec::new();
        for address in &addresses {
            let announcer = cluster.announced(*address, "by another node", not("node-2")).await?;
            ensure!(announcer.epoch == 2 && format!("{:?}", announcer.cause) == "Takeover", "{announcer:?}");
            cluster.answers(*address, &[&announcer.node]).await?;
            taken.push(announcer);
        }
        cluster.start("node-2", &[])?;
        cluster.running("node-2").await?;
        stays(cluster, &addresses, &taken).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_speaker_killed_and_started_again_goes_on_with_the_same_claims() -> Result<()> {
    on_bare_nodes(async |cluster| {
        cluster.start("node-2", &[])?;
        cluster.running("node-2").await?;
        let address = cluster.hold("192.0.2.191", "web").await?;
        cluster.announced(address, "by the only speaker", is("node-2")).await?;
        cluster.signal("node-2", Signal::SIGKILL)?;
        cluster.ended("node-2", PROMPTLY).await?;
        cluster.answers(address, &[]).await?;
        cluster.start("node-2", &[])?;
        cluster.answers(address, &["node-2"]).await?;
        let announcer = cluster.announced(address, "by the same node", is("node-2")).await?;
        ensure!(announcer.epoch == 1, "{announcer:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_speaker_waits_for_nobody() -> Result<()> {
    on_bare_nodes(async |cluster| {
        cluster.start("node-3", &[])?;
        cluster.running("node-3").await?;
        let address = cluster.hold("192.0.2.190", "web").await?;
        cluster.announced(address, "by the only speaker", is("node-3")).await?;
        cluster.signal("node-3", Signal::SIGTERM)?;
        let output = cluster.ended("node-3", PROMPTLY).await?;
        ensure!(output.is_ok(), "{output}");
        cluster.answers(address, &[]).await?;
        cluster.start("node-3", &[])?;
        cluster.answers(address, &["node-3"]).await?;
        let announcer = cluster.announced(address, "by it again", is("node-3")).await?;
        ensure!(announcer.epoch == 1, "{announcer:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_speakers_are_restarted_one_by_one_an_address_is_never_without_an_answer() -> Result<()> {
    with_speakers(async |cluster| {
        let address = addresses_of(cluster, "node-1").await?[0];
        let text = address.to_string();
        // 200 requests a second, each of which must be answered: all speakers are restarted within half a second.
        let asking = ["arping", "-I", "eth0", "-W", "0.005", "-c", "100000", &text];
        let asking = cluster.lab.start("lan-client", &asking)?;
        for node in ["node-1", "node-2", "node-3"] {
            cluster.signal(node, Signal::SIGTERM)?;
            cluster.ended(node, PROMPTLY).await?;
            cluster.start(node, &[])?;
            cluster.running(node).await?;
        }
        let output = asking.stop().await?;
        let last = output.stdout.lines().filter(|line| line.contains("packets transmitted")).collect::<String>();
        let numbers: Vec<u32> =
            last.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect();
        let (sent, received) = (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(0));
        // The request under way when arping is stopped has no answer yet.
        ensure!(sent > 20 && received + 1 >= sent, "{output}");
        Ok(())
    })
    .await
}
