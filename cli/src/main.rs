//! `heraldctl`, also `kubectl herald`.

#![forbid(unsafe_code)]

mod crds;

use clap::{Parser, Subcommand};

/// Prepares a cluster for Herald
#[derive(Parser)]
#[command(name = "heraldctl", version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Crds(crds::Crds),
}

fn main() -> anyhow::Result<()> {
    match Command::parse().verb {
        Verb::Crds(verb) => verb.run(),
    }
}
