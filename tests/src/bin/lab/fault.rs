//! `lab fault` and `lab heal`

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use herald_tests::lab::{OneWay, SPEAKER};

use crate::Which;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lab fault power node-2\n  lab fault loss node-1 --percent 1\n  lab fault kill node-1 --process kube-proxy\n  lab fault stranger 192.0.2.100\n  lab fault api-server\n  lab heal"
)]
pub(crate) struct Fault {
    #[command(flatten)]
    which: Which,
    /// What happens
    #[arg(value_enum)]
    kind: Kind,
    /// To which node. For stranger: the address it has. api-server needs none
    node: Option<String>,
    /// Which process is killed, frozen or starved
    #[arg(long, default_value = SPEAKER)]
    process: String,
    /// For loss: how many frames are lost. For starve: how much of one CPU is left
    #[arg(long, default_value_t = 1.0)]
    percent: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The node loses power: silence, and all its processes gone at once
    Power,
    /// A process dies; the node's kernel goes on
    Kill,
    /// A process is stopped and goes on when healed
    Freeze,
    /// The LAN cable is pulled; the API server is still reached
    CutLan,
    /// The API server is not reached; the LAN goes on
    CutApi,
    /// Nobody on the LAN hears the node, which hears everybody
    Mute,
    /// The node hears nobody on the LAN; everybody hears it
    Deaf,
    /// The switch loses frames from and to the node at random
    Loss,
    /// A process gets next to no CPU time
    Starve,
    /// The API server ends; nodes and etcd go on
    ApiServer,
    /// A machine on the LAN, none of the cluster's, has an address
    Stranger,
}

impl Fault {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let lab = self.which.open()?;
        let (node, process) = (self.node.as_deref().unwrap_or_default(), self.process.as_str());
        ensure!(
            matches!(self.kind, Kind::ApiServer) || !node.is_empty(),
            "say which node (for stranger: which address), as in `lab fault power node-2`"
        );
        match self.kind {
            Kind::Power => lab.power_off(node).await?,
            Kind::Kill => lab.kill(node, process)?,
            Kind::Freeze => lab.freeze(node, process)?,
            Kind::CutLan => lab.cut_lan(node)?,
            Kind::CutApi => lab.cut_api(node)?,
            Kind::Mute => lab.cut_one_way(node, OneWay::Mute)?,
            Kind::Deaf => lab.cut_one_way(node, OneWay::Deaf)?,
            Kind::Stranger => lab.let_stranger_have(node.parse().with_context(|| format!("{node} is no address"))?)?,
            Kind::ApiServer => lab.stop_api_server().await?,
            Kind::Loss => lab.lose_frames(node, self.percent)?,
            Kind::Starve => lab.starve(node, process, self.percent)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Heal {
    #[command(flatten)]
    which: Which,
}

impl Heal {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let lab = self.which.open()?;
        lab.heal().await?;
        println!("Links, processes, API server and power of lab {} are as they were at its start.", lab.name());
        Ok(ExitCode::SUCCESS)
    }
}
