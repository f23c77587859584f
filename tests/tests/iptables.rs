//! The scenarios that every mode of kube-proxy must pass, with kube-proxy in iptables mode.

use anyhow::Result;
use herald_tests::lab::{Options, Proxy, SharedLab};
use herald_tests::scenario::Stage;

#[path = "services/traffic.rs"]
mod traffic;

static LAB: SharedLab = SharedLab::new(|| Options { proxy: Proxy::Iptables, ..Options::named("iptables") });

/// Plays a scenario beside others.
async fn on_stage(scenario: impl AsyncFnOnce(&Stage) -> Result<()>) -> Result<()> {
    LAB.run(async |lab| Stage::for_test(lab).await?.play(scenario).await).await
}
