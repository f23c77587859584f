//! The scenarios that every mode of kube-proxy must pass, with kube-proxy in iptables mode.

use anyhow::{Result, ensure};
use herald_tests::lab::{Options, Proxy, SharedLab};
use herald_tests::scenario::Stage;

#[path = "services/traffic.rs"]
mod traffic;

static LAB: SharedLab = SharedLab::new(|| Options { proxy: Proxy::Iptables, ..Options::named("iptables") });

/// Plays a scenario beside others.
async fn on_stage(scenario: impl AsyncFnOnce(&Stage) -> Result<()>) -> Result<()> {
    LAB.run(async |lab| Stage::for_test(lab).await?.play(scenario).await).await
}

#[tokio::test]
async fn kube_proxy_is_in_iptables_mode_on_every_node() -> Result<()> {
    LAB.run(async |lab| {
        for node in lab.nodes() {
            let rules = lab.exec(node.name(), &["iptables-save", "-t", "nat"]).await?.text()?;
            ensure!(rules.contains("KUBE-SERVICES"), "no rules of kube-proxy on {}:\n{rules}", node.name());
            let tables = lab.exec(node.name(), &["nft", "list", "tables"]).await?.text()?;
            ensure!(!tables.contains("kube-proxy"), "{}: {tables}", node.name());
        }
        Ok(())
    })
    .await
}
