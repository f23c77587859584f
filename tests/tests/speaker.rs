//! The speaker against a real API server and on a real LAN, as a plain program on each node with the rights that
//! `deploy/` gives it and no others. The ledger is written by the tests, so that nothing here depends on the controller.

#[path = "speaker/api_server.rs"]
mod api_server;
#[path = "speaker/cluster.rs"]
mod cluster;
#[path = "speaker/ground.rs"]
mod ground;
#[path = "speaker/hostile.rs"]
mod hostile;
#[path = "speaker/ownership.rs"]
mod ownership;
#[path = "speaker/program.rs"]
mod program;
#[path = "speaker/stopping.rs"]
mod stopping;

use anyhow::Result;
use cluster::Cluster;
use herald_tests::lab::{Options, SharedLab};

static LAB: SharedLab = SharedLab::new(|| Options { herald: false, dns: false, ..Options::named("speaker") });

/// Plays a scenario on nodes without speakers and a cluster without Herald's objects, alone.
async fn on_bare_nodes(scenario: impl AsyncFnOnce(&mut Cluster) -> Result<()>) -> Result<()> {
    LAB.run_alone(async |lab| {
        let mut cluster = Cluster::bare(lab).await?;
        let result = scenario(&mut cluster).await;
        cluster.clear().await?;
        result
    })
    .await
}

/// Plays a scenario with a speaker on every node.
async fn with_speakers(scenario: impl AsyncFnOnce(&mut Cluster) -> Result<()>) -> Result<()> {
    on_bare_nodes(async |cluster| {
        for node in ["node-1", "node-2", "node-3"] {
            cluster.start(node, &[])?;
        }
        for node in ["node-1", "node-2", "node-3"] {
            cluster.running(node).await?;
        }
        scenario(cluster).await
    })
    .await
}
