//! What must not be: keys that vanish, names and addresses given twice, noise. It is said where people look, and moves nothing.

use anyhow::{Result, ensure};
use herald_api::keys::HEARTBEAT_SECRET;
use herald_api::virtual_ip::Announcer;
use herald_tests::lab::{HERALD_NAMESPACE, Seen, eventually};
use nix::sys::signal::Signal;
use serde_json::json;
use std::net::IpAddr;

use super::cluster::{Cluster, SOON, not, says};
use super::ground::heartbeat_keys;
use super::{on_bare_nodes, with_speakers};

const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// Waits until a node says this of itself, and returns the sentence.
async fn degraded(cluster: &Cluster, node: &str, expected: &str) -> Result<String> {
    let speaker = cluster
        .speaker(node, &format!("has the condition Degraded {expected}"), |speaker| {
            let status = speaker.status.clone().unwrap_or_default();
            says(&status.conditions, "Degraded").as_deref() == Some(expected)
        })
        .await?;
    let conditions = speaker.status.unwrap_or_default().conditions;
    let found = conditions.into_iter().find(|condition| condition.type_ == "Degraded");
    Ok(found.map(|condition| condition.message).unwrap_or_default())
}

/// Holds some addresses and returns who announces each.
async fn some(cluster: &Cluster) -> Result<Vec<(IpAddr, Announcer)>> {
    let mut found = Vec::new();
    for last in 160..166 {
        let address = cluster.hold(&format!("192.0.2.{last}"), &format!("h-{last}")).await?;
        found.push((address, cluster.announced(address, "by anybody", |_| true).await?));
    }
    Ok(found)
}

/// No address has moved.
async fn unmoved(cluster: &Cluster, before: &[(IpAddr, Announcer)]) -> Result<()> {
    for (address, announcer) in before {
        let now = cluster.announced(*address, "by anybody", |_| true).await?;
        ensure!(now == *announcer, "{address} has moved: {announcer:?}, then {now:?}");
        cluster.answers(*address, &[&announcer.node]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_deleted_or_garbled_are_missed_aloud_and_go_on_being_used() -> Result<()> {
    with_speakers(async |cluster| {
        let before = some(cluster).await?;
        let result = lose_keys(cluster, &before).await;
        cluster.lab.apply(&heartbeat_keys()).await?;
        result?;
        for node in ["node-2", "node-3"] {
            degraded(cluster, node, "False/AllWell").await?;
        }
        Ok(())
    })
    .await
}

async fn lose_keys(cluster: &mut Cluster, before: &[(IpAddr, Announcer)]) -> Result<()> {
    let secret = ["secret", HEARTBEAT_SECRET, "--namespace", HERALD_NAMESPACE];
    cluster.lab.kubectl(&[&["delete"], secret.as_slice()].concat()).await?;
    for node in NODES {
        let message = degraded(cluster, node, "True/HeartbeatKeyUnreadable").await?;
        ensure!(message.contains(HERALD_NAMESPACE) && message.contains("start the controller"), "{message}");
        cluster.event("HeartbeatKeyUnreadable", node).await?;
    }
    unmoved(cluster, before).await?;
    let mut garbled = heartbeat_keys();
    let entries = garbled["data"].as_object_mut().into_iter().flatten();
    let mut key = entries.map(|(name, _)| name.clone()).filter(|name| name.contains("-01-"));
    let Some(key) = key.next() else { anyhow::bail!("no key in {garbled}") };
    garbled["data"][&key] = json!("c2hvcnQ=");
    cluster.lab.apply(&garbled).await?;
    for node in NODES {
        let message = degraded(cluster, node, "True/HeartbeatKeyUnreadable").await?;
        eventually(SOON, &format!("{node} names the entry {key}"), async || {
            let message = degraded(cluster, node, "True/HeartbeatKeyUnreadable").await?;
            Ok(Seen::when(message.contains(&key), (), message))
        })
        .await
        .map_err(|error| error.context(message))?;
    }
    unmoved(cluster, before).await?;
    // They hear each other on, so a killed one is missed.
    let Some((address, _)) = before.iter().find(|(_, announcer)| announcer.node == "node-1") else {
        anyhow::bail!("node-1 has none of {before:?}")
    };
    cluster.signal("node-1", Signal::SIGKILL)?;
    cluster.ended("node-1", SOON).await?;
    let heir = cluster.announced(*address, "by another node", not("node-1")).await?;
    cluster.answers(*address, &[&heir.node]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_that_may_not_read_the_keys_names_the_flag_and_the_role() -> Result<()> {
    on_bare_nodes(async |cluster| {
        cluster.start("node-1", &["--namespace", "default"])?;
        let message = degraded(cluster, "node-1", "True/HeartbeatKeyUnreadable").await?;
        ensure!(message.contains("--namespace") && message.contains("Role"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_speakers_with_one_name_say_so_and_move_nothing() -> Result<()> {
    on_bare_nodes(async |cluster| {
        cluster.start("node-1", &[])?;
        cluster.start("node-2", &[])?;
        cluster.running("node-1").await?;
        cluster.running("node-2").await?;
        let before = some(cluster).await?;
        cluster.start_as("node-3", "node-1", &[])?;
        for node in ["node-1", "node-2"] {
            let message = degraded(cluster, node, "True/DuplicateName").await?;
            ensure!(message.contains("node-1") && message.contains("--node-name"), "{message}");
        }
        unmoved(cluster, &before).await?;
        let writes = cluster.writes("node-1", 5).await?;
        println!("{writes} writes to the Speaker that two write in 5 s");
        ensure!(writes <= 10, "{writes} writes in 5 s: they write against each other");
        cluster.signal("node-3", Signal::SIGKILL)?;
        cluster.ended("node-3", SOON).await?;
        unmoved(cluster, &before).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mac_address_on_two_nodes_is_named_on_both() -> Result<()> {
    with_speakers(async |cluster| {
        let third = some(cluster).await?.into_iter().filter(|(_, announcer)| announcer.node == "node-3");
        let third: Vec<_> = third.collect();
        let mac = |node: &str| cluster.lab.node(node).map(|node| node.addresses().mac());
        let (first, second) = (mac("node-1")?, mac("node-2")?);
        let set = async |mac: &str| {
            let command = ["ip", "link", "set", "dev", "eth0", "address", mac];
            cluster.lab.exec("node-2", &command).await?.text().map(drop)
        };
        set(&first).await?;
        let said = async {
            for (node, other) in [("node-1", "node-2"), ("node-2", "node-1")] {
                let message = degraded(cluster, node, "True/DuplicateMac").await?;
                ensure!(message.contains(other) && message.contains(&first), "{message}");
                cluster.event("DuplicateMac", node).await?;
            }
            Ok(())
        }
        .await;
        set(&second).await?;
        said?;
        for node in NODES {
            degraded(cluster, node, "False/AllWell").await?;
        }
        unmoved(cluster, &third).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_port_of_heartbeats_is_counted_and_changes_nothing() -> Result<()> {
    with_speakers(async |cluster| {
        let before = some(cluster).await?;
        let noise = "for i in $(seq 50); do head -c $((i * 20)) /dev/urandom > /dev/udp/192.0.2.11/7948; done";
        for from in ["node-2", "lan-client"] {
            cluster.lab.exec(from, &["bash", "-c", noise]).await?.text()?;
        }
        eventually(SOON, "node-1 has counted a hundred datagrams that are no heartbeats", async || {
            let metrics = ["curl", "-s", "-m", "2", "http://127.0.0.1:7473/metrics"];
            let text = cluster.lab.exec("node-1", &metrics).await?.text()?;
            let dropped = text.lines().filter(|line| line.starts_with("herald_speaker_heartbeats_dropped_total"));
            let counts: Vec<_> = dropped.map(ToOwned::to_owned).collect();
            let numbers = counts.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            Ok(Seen::when(numbers.sum::<u64>() >= 100, (), counts))
        })
        .await?;
        degraded(cluster, "node-1", "False/AllWell").await?;
        unmoved(cluster, &before).await
    })
    .await
}
