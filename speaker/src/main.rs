//! `herald-speaker`: announces external addresses from one node.

use clap::Parser;
use herald_speaker::{app, args::Args};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    return_freed_memory();
    match app::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herald-speaker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Has glibc give memory back that a burst took: lists of thousands of objects come in pages of some hundred kilobytes, and by
/// default each that was freed raises the size from which on memory is returned. Half a megabyte less at 1,000 addresses. Each
/// thread keeps an arena of its own, so that the thread that answers never waits for another's lock.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's call that nothing wraps")]
fn return_freed_memory() {
    for (parameter, bytes) in [
        (libc::M_MMAP_THRESHOLD, 64 << 10),
        (libc::M_TRIM_THRESHOLD, 64 << 10),
        // What is taken beyond each need, 128 KiB by default.
        (libc::M_TOP_PAD, 16 << 10),
    ] {
        // SAFETY: no pointers; the parameters are such as mallopt(3) names. What it refuses stays as it was.
        let _taken = unsafe { libc::mallopt(parameter, bytes) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn return_freed_memory() {}
