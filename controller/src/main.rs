//! `herald-controller`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use herald_controller::args::Args;
use herald_controller::start;

// One thread: the work is waiting for the API server, and a second one would cost memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match start::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herald-controller: {error}");
            ExitCode::FAILURE
        }
    }
}
