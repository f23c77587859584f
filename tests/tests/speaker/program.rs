//! The program by itself: what it needs, and what it says when it lacks it.

use anyhow::{Result, ensure};
use herald_tests::lab::Output;

use super::cluster::{Cluster, says};
use super::ground::{kubeconfig, program};
use super::{on_bare_nodes, with_speakers};

/// Runs the speaker on node-1 without some capabilities until it ends by itself.
async fn without(cluster: &Cluster, bounding: &str, flags: &[&str]) -> Result<Output> {
    let bounding = format!("--bounding-set={bounding}");
    let kubeconfig = kubeconfig(&cluster.lab).display().to_string();
    let mut command = vec!["timeout", "10", "setpriv", &bounding, program()?, "--kubeconfig", &kubeconfig];
    command.extend(["--node-name", "node-1"]);
    command.extend(flags);
    cluster.lab.exec("node-1", &command).await
}

fn ends_with_one_line(output: &Output, texts: &[&str]) -> Result<()> {
    let lines: Vec<_> = output.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(output.status.code() == Some(1) && lines.len() == 1, "{output}");
    ensure!(texts.iter().all(|text| output.stderr.contains(text)), "{texts:?} are missing: {output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_capability_or_name_ends_the_program_with_one_line_that_names_the_fix() -> Result<()> {
    on_bare_nodes(async |cluster| {
        ends_with_one_line(&without(cluster, "-net_admin", &[]).await?, &["NET_ADMIN", "--steering=off"])?;
        ends_with_one_line(&without(cluster, "-net_raw", &[]).await?, &["NET_RAW"])?;
        let nameless = without(cluster, "-net_raw", &["--node-name", ""]).await?;
        ensure!(nameless.status.code() != Some(0), "{nameless}");
        let unreadable = without(cluster, "+net_raw", &["--kubeconfig", "/nonexistent"]).await?;
        ensure!(unreadable.stderr.contains("--kubeconfig"), "{unreadable}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_steering_the_right_to_send_frames_is_enough() -> Result<()> {
    on_bare_nodes(async |cluster| {
        // Nothing but NET_RAW: it runs until `timeout` ends it.
        let output = without(cluster, "-all,+net_raw", &["--steering", "off"]).await?;
        ensure!(output.stderr.contains("speaker starts") && output.stderr.contains("stopping"), "{output}");
        let tables = cluster.lab.exec("node-1", &["nft", "list", "tables"]).await?.text()?;
        ensure!(!tables.contains("herald"), "{tables}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_outlive_the_speaker_until_they_are_cleaned_up() -> Result<()> {
    with_speakers(async |cluster| {
        let address = cluster.hold("192.0.2.104", "web").await?;
        let node = cluster.announced(address, "by anybody", |_| true).await?.node;
        cluster.signal(&node, nix::sys::signal::Signal::SIGTERM)?;
        cluster.ended(&node, super::cluster::SOON).await?;
        let rules = cluster.lab.exec(&node, &["nft", "list", "table", "ip", "herald"]).await?.text()?;
        ensure!(rules.contains("192.0.2.104"), "{rules}");
        cluster.lab.exec(&node, &[program()?, "--cleanup"]).await?.text()?;
        let tables = cluster.lab.exec(&node, &["nft", "list", "tables"]).await?.text()?;
        ensure!(!tables.contains("herald"), "{tables}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_exist_and_interfaces_that_do_not_are_named() -> Result<()> {
    on_bare_nodes(async |cluster| {
        cluster.start_as("node-1", "node-9", &[])?;
        cluster.logged("node-1", "there is no Node of this name").await?;
        cluster.start("node-2", &["--interfaces", "wan*"])?;
        cluster.logged("node-2", "no Ethernet interface is named by --interfaces").await?;
        cluster
            .speaker("node-2", "is degraded", |speaker| {
                let status = speaker.status.clone().unwrap_or_default();
                says(&status.conditions, "Degraded").as_deref() == Some("True/NoInterface")
            })
            .await?;
        let address = cluster.hold("192.0.2.105", "web").await?;
        let message = cluster.unannounced(address, "NoSegment").await?;
        ensure!(message.contains("--interfaces") && message.contains("node-2"), "{message}");
        Ok(())
    })
    .await
}
