//! The controller as a plain program against a real API server: what it gives, takes back and leaves alone, and that a
//! death at any moment loses and leaks nothing. No speaker runs: announcing is the matter of other tests.
//!
//! A cluster has one ledger and so one controller: these tests take turns.

use anyhow::Result;
use herald_tests::lab::{Options, SharedLab};

#[path = "controller/death.rs"]
mod death;
#[path = "controller/flags.rs"]
mod flags;
#[path = "controller/ground.rs"]
mod ground;
#[path = "controller/keys.rs"]
mod keys;
#[path = "controller/life.rs"]
mod life;
#[path = "controller/program.rs"]
mod program;

use ground::Ground;

static LAB: SharedLab =
    SharedLab::new(|| Options { nodes: 1, herald: false, dns: false, ..Options::named("controller") });

/// Runs a test while no other runs, in a namespace of its own.
async fn alone(test: impl AsyncFnOnce(&Ground) -> Result<()>) -> Result<()> {
    LAB.run_alone(async |lab| {
        let ground = Ground::new(lab).await?;
        test(&ground).await?;
        ground.clear().await
    })
    .await
}
