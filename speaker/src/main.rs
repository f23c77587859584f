//! `herald-speaker`: announces external addresses from one node.

use clap::Parser;
use herald_speaker::{app, args::Args};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    app::run(Args::parse()).await
}
