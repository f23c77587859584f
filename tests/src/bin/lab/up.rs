//! `lab up`

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use herald_tests::artifacts::Progress;
use herald_tests::lab::{DEFAULT_NAME, Lab, Options, Proxy};

use crate::Which;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Up {
    #[command(flatten)]
    which: Which,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=i64::from(herald_tests::lab::MOST_NODES)))]
    nodes: u8,
    /// How kube-proxy programs the kernel
    #[arg(long, value_enum, default_value_t = ProxyMode::Nftables)]
    proxy: ProxyMode,
    /// Leave the stage to another implementation
    #[arg(long)]
    without_herald: bool,
    /// Build Herald as it is shipped, for measuring
    #[arg(long, conflicts_with = "without_herald")]
    release: bool,
    /// Start no CoreDNS
    #[arg(long)]
    without_dns: bool,
    /// Let the switch snoop multicast groups
    #[arg(long)]
    snooping: bool,
    /// Give nodes only IPv4 addresses in Kubernetes, as its own suite needs them
    #[arg(long)]
    ipv4_nodes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProxyMode {
    Nftables,
    Iptables,
}

impl Up {
    fn options(&self) -> Options {
        Options {
            name: self.which.name.clone(),
            nodes: self.nodes,
            proxy: match self.proxy {
                ProxyMode::Nftables => Proxy::Nftables,
                ProxyMode::Iptables => Proxy::Iptables,
            },
            herald: !self.without_herald,
            release: self.release,
            dns: !self.without_dns,
            snooping: self.snooping,
            ipv4_nodes: self.ipv4_nodes,
        }
    }

    pub(crate) async fn run(self) -> Result<ExitCode> {
        let lab = Lab::up(self.options(), None, Progress::stderr()).await?;
        let name = if lab.name() == DEFAULT_NAME { String::new() } else { format!(" --name {}", lab.name()) };
        println!("Lab {} is up: {} nodes, kube-proxy in {} mode.", lab.name(), self.nodes, lab.options().proxy.mode());
        println!("export KUBECONFIG={}", lab.kubeconfig().display());
        println!("Try:");
        println!("  lab kubectl{name} get nodes -o wide");
        println!("  lab exec{name} client -- ping -c 3 {}", lab.nodes()[0].addresses().v4());
        println!("  lab fault{name} power node-2");
        println!("  lab down{name}");
        Ok(ExitCode::SUCCESS)
    }
}
