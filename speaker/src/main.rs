//! `herald-speaker`: announces external addresses from one node.

use clap::Parser;
use herald_speaker::{app, args::Args};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match app::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herald-speaker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
