//! The API server away, at the start and later.

use anyhow::{Result, ensure};
use herald_tests::lab::{Seen, eventually};

use super::cluster::{Cluster, SOON, is};
use super::on_bare_nodes;
use nix::sys::signal::Signal;
use std::path::Path;

async fn readiness(cluster: &Cluster, node: &str, text: &str) -> Result<()> {
    eventually(SOON, &format!("/readyz of {node} says {text:?}"), async || {
        let output = cluster.lab.exec(node, &["curl", "-s", "-m", "2", "http://127.0.0.1:7473/readyz"]).await?;
        Ok(Seen::when(output.stdout.contains(text), (), output))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_waits_for_an_absent_api_server_says_so_and_begins_when_it_is_there() -> Result<()> {
    on_bare_nodes(async |cluster| {
        let address = cluster.hold("192.0.2.101", "web").await?;
        cluster.lab.cut_api("node-1")?;
        cluster.start("node-1", &[])?;
        cluster.logged("node-1", "waiting for the API server").await?;
        readiness(cluster, "node-1", "waiting for a first view of the cluster").await?;
        cluster.lab.mend_api("node-1")?;
        cluster.announced(address, "by the speaker that waited", is("node-1")).await?;
        readiness(cluster, "node-1", "ready").await?;
        cluster.logged("node-1", "the API server answers again").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_stay_where_they_are_while_the_api_server_is_away() -> Result<()> {
    on_bare_nodes(async |cluster| {
        cluster.start("node-1", &[])?;
        cluster.running("node-1").await?;
        let address = cluster.hold("192.0.2.102", "web").await?;
        let before = cluster.announced(address, "by node-1", is("node-1")).await?;
        cluster.lab.cut_api("node-1")?;
        cluster.logged("node-1", "waiting for the API server").await?;
        cluster.answers(address, &["node-1"]).await?;
        cluster.lab.mend_api("node-1")?;
        cluster.logged("node-1", "the API server answers again").await?;
        let later = cluster.hold("192.0.2.103", "later").await?;
        cluster.announced(later, "by node-1", is("node-1")).await?;
        ensure!(cluster.announced(address, "by node-1", is("node-1")).await? == before, "it was claimed anew");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_that_is_killed_while_the_api_server_is_away_goes_on_where_it_was() -> Result<()> {
    on_bare_nodes(async |cluster| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.state.json", cluster.lab.name()));
        let kept = file.display().to_string();
        let flags = ["--state-file", &kept];
        cluster.start("node-1", &flags)?;
        cluster.running("node-1").await?;
        let address = cluster.hold("192.0.2.106", "web").await?;
        let before = cluster.announced(address, "by node-1", is("node-1")).await?;
        eventually(SOON, "the address in the state file", async || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            Ok(Seen::when(text.contains("192.0.2.106"), (), text))
        })
        .await?;
        cluster.lab.cut_api("node-1")?;
        cluster.signal("node-1", Signal::SIGKILL)?;
        cluster.ended("node-1", SOON).await?;
        cluster.answers(address, &[]).await?;
        cluster.start("node-1", &flags)?;
        cluster.answers(address, &["node-1"]).await?;
        cluster.logged("node-1", "going on with the view of the cluster in --state-file").await?;
        cluster.lab.mend_api("node-1")?;
        cluster.logged("node-1", "the API server answers again").await?;
        let later = cluster.hold("192.0.2.107", "later").await?;
        cluster.announced(later, "by node-1", is("node-1")).await?;
        let now = cluster.announced(address, "by node-1", is("node-1")).await?;
        ensure!((now.epoch, now.since) == (before.epoch, before.since), "it was claimed anew");
        std::fs::remove_file(&file)?;
        Ok(())
    })
    .await
}
