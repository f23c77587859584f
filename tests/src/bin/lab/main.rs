//! `lab`: a real Kubernetes cluster on this machine, with a LAN, a router and clients around it, and faults to put it
//! through. One file per command.

mod capture;
mod demo;
mod down;
mod e2e;
mod exec;
mod fault;
mod image;
mod images;
mod kubectl;
mod list;
mod load;
mod logs;
mod root;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use herald_tests::lab::{DEFAULT_NAME, Lab};

/// A real Kubernetes cluster on this machine: control plane, nodes with containerd, a LAN switch, a router and clients,
/// each in a network namespace. No Docker. Nothing of it is left after `lab down`.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    after_help = "Try:\n  lab up\n  lab kubectl get nodes -o wide\n  lab exec client -- ping -c 3 192.0.2.11\n  lab down"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a lab, and wait until it can be used
    Up(up::Up),
    /// End a lab and remove all of it
    Down(down::Down),
    /// List the labs of this machine
    List(list::List),
    /// Run a command on a host of the lab
    Exec(exec::Exec),
    /// Run kubectl as the lab's administrator
    Kubectl(kubectl::Kubectl),
    /// Show the log of a component
    Logs(logs::Logs),
    /// Break something: power, processes, links
    Fault(fault::Fault),
    /// Mend everything that `lab fault` has broken
    Heal(fault::Heal),
    /// Make an image archive from a directory
    Image(image::Image),
    /// Build Herald's own images, as they are shipped, as archives
    Images(images::Images),
    /// Load image archives into every node
    Load(load::Load),
    /// Show or record the frames of every switch port
    Capture(capture::Capture),
    /// Run Kubernetes' own end-to-end suite
    E2e(e2e::E2e),
    /// Show what Herald does, in a lab that is started if none runs
    Demo(demo::Demo),
}

/// Which lab is meant.
#[derive(Debug, Args)]
struct Which {
    /// The lab's name
    #[arg(long, value_name = "LAB", default_value = DEFAULT_NAME, env = "HERALD_LAB")]
    name: String,
}

impl Which {
    fn open(&self) -> Result<Lab> {
        Lab::open(&self.name)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse()).await.unwrap_or_else(|error| {
        eprintln!("lab: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    if !matches!(arguments.command, Command::Image(_)) {
        root::require()?;
    }
    match arguments.command {
        Command::Up(up) => up.run().await,
        Command::Down(down) => down.run(),
        Command::List(list) => list.run(),
        Command::Exec(exec) => exec.run(),
        Command::Kubectl(kubectl) => kubectl.run(),
        Command::Logs(logs) => logs.run().await,
        Command::Fault(fault) => fault.run().await,
        Command::Heal(heal) => heal.run().await,
        Command::Image(image) => image.run(),
        Command::Images(images) => images.run(),
        Command::Load(load) => load.run().await,
        Command::Capture(capture) => capture.run().await,
        Command::E2e(e2e) => e2e.run().await,
        Command::Demo(demo) => demo.run().await,
    }
}
