//! What must work through an address that Herald gave and announced, on a real cluster: clients outside and inside,
//! both families, kube-proxy in nftables mode. One lab, in which every test has a namespace and addresses of its own.

use anyhow::Result;
use herald_tests::lab::{Options, SharedLab};
use herald_tests::scenario::Stage;

#[path = "services/announced.rs"]
mod announced;
#[path = "services/endpoints.rs"]
mod endpoints;
#[path = "services/families.rs"]
mod families;
#[path = "services/guard.rs"]
mod guard;
#[path = "services/ingress.rs"]
mod ingress;
#[path = "services/local.rs"]
mod local;
#[path = "services/namespaces.rs"]
mod namespaces;
#[path = "services/outage.rs"]
mod outage;
#[path = "services/probing.rs"]
mod probing;
#[path = "services/requests.rs"]
mod requests;
#[path = "services/security.rs"]
mod security;
#[path = "services/settings.rs"]
mod settings;
#[path = "services/spread.rs"]
mod spread;
#[path = "services/traffic.rs"]
mod traffic;
#[path = "services/untouched.rs"]
mod untouched;

static LAB: SharedLab = SharedLab::new(|| Options::named("services"));

/// Plays a scenario beside others.
async fn on_stage(scenario: impl AsyncFnOnce(&Stage) -> Result<()>) -> Result<()> {
    LAB.run(async |lab| Stage::for_test(lab).await?.play(scenario).await).await
}

/// Plays a scenario while no other plays.
async fn alone_on_stage(scenario: impl AsyncFnOnce(&Stage) -> Result<()>) -> Result<()> {
    LAB.run_alone(async |lab| Stage::for_test(lab).await?.play(scenario).await).await
}
