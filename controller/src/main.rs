//! `herald-controller`.

#![forbid(unsafe_code)]

use anyhow::Context;
use clap::Parser;
use herald_controller::args::Args;
use herald_controller::start;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // One thread: the work is waiting for the API server, and a second one would cost memory.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the runtime")?;
    Ok(runtime.block_on(start::run(args))?)
}
