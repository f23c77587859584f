//! `lab`: a real Kubernetes cluster on this machine, and faults to put it through.

use std::path::Path;

use anyhow::Result;
use herald_tests::lab::{Lab, Options, Parts};

#[tokio::main]
async fn main() -> Result<()> {
    let d = Path::new("/var/cache/herald-lab/manual");
    let parts = Parts { kubernetes: d.join("kubernetes"), containerd: d.join("containerd"), ctr: d.join("ctr"), shim: d.join("containerd-shim-runc-v2"), images: vec![] };
    match std::env::args().nth(1).as_deref() {
        Some("up") => { Lab::up(Options::named("herald"), &parts, None, &|l| eprintln!("{l}")).await?; }
        Some("down") => { Lab::down("herald")?; }
        _ => {}
    }
    Ok(())
}
