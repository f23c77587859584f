//! The command line. Every flag can be given by an environment variable, and everything but the node's name has a
//! default, so that the program also runs by hand.

use crate::kube_proxy::{HealthUrl, HealthUrlError};
use clap::{Args as ClapArgs, Parser, ValueEnum};
use herald_core::names::{InterfaceName, NodeName};
use herald_core::ownership::InterfacePattern;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Interfaces that container networks and virtual machines make on a node. None of them is a way out to clients, and
/// there may be hundreds.
const POD_SIDE_INTERFACES: &str = "veth*,cali*,cilium*,lxc*,cni*,flannel*,docker*,podman*,kube-*,nodelocaldns,\
    antrea*,ovs-*,weave*,vxlan*,geneve*,tunl*,wg*,virbr*,vnet*,tap*,br-????????????,dummy*,ifb*";

/// UDP port of heartbeats.
const HEARTBEAT_PORT: u16 = 7948;

/// Announces external addresses of Kubernetes Services from this node: answers ARP and NDP for those it owns and sends
/// their traffic to the Services.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "herald-speaker",
    version,
    max_term_width = 110,
    after_help = "Examples:\n  \
        KUBECONFIG=admin.conf NODE_NAME=node-1 herald-speaker\n  \
        herald-speaker --node-name node-1 --interfaces 'bond0,eth*' --log-level debug\n  \
        herald-speaker --cleanup\n\n\
        Needs CAP_NET_RAW, and CAP_NET_ADMIN unless --steering is off."
)]
pub struct Args {
    /// What and where this speaker is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How it announces.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// How it runs.
    #[command(flatten)]
    pub process: ProcessArgs,
}

/// Flags about the cluster.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// File that says where the API server is and who we are; without it, the pod's account
    #[arg(long, env = "KUBECONFIG", value_name = "FILE", hide_env_values = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Name of the Node this speaker runs on; required, unless to clean up
    #[arg(long, env = "NODE_NAME", value_name = "NAME", default_value = "", hide_default_value = true)]
    pub node_name: String,
    /// Namespace that Herald runs in: where the Secret with the keys of heartbeats lies
    #[arg(long, env = "HERALD_NAMESPACE", value_name = "NAMESPACE", default_value = "herald-system")]
    pub namespace: String,
}

/// Flags about the wire and the kernel.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Ethernet interfaces to use: names or globs, separated by commas
    #[arg(long, env = "HERALD_INTERFACES", value_name = "GLOBS", value_delimiter = ',', default_value = "*")]
    pub interfaces: Vec<String>,
    /// Interfaces to leave alone even if --interfaces names them; by default those of container networks
    #[arg(
        long,
        env = "HERALD_IGNORE_INTERFACES",
        value_name = "GLOBS",
        value_delimiter = ',',
        default_value = POD_SIDE_INTERFACES,
        hide_default_value = true
    )]
    pub ignore_interfaces: Vec<String>,
    /// How traffic gets from an address to its Service
    #[arg(long, env = "HERALD_STEERING", value_name = "MODE", value_enum, default_value_t = Steering::Native)]
    pub steering: Steering,
    /// How fast announcements go out
    #[arg(long, env = "HERALD_ANNOUNCE_PACING", value_name = "PACE", value_enum, default_value_t = Pacing::Default)]
    pub announce_pacing: Pacing,
    /// UDP port at which this speaker hears the others; a firewall must let it through between nodes
    #[arg(long, env = "HERALD_HEARTBEAT_PORT", value_name = "PORT", default_value_t = HEARTBEAT_PORT,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub heartbeat_port: u16,
    /// URL at which kube-proxy, or what does its work, says whether it is well; while it says no, this node announces
    /// nothing. No answer is no answer. Empty: don't ask
    #[arg(
        long,
        env = "HERALD_KUBE_PROXY_HEALTH",
        value_name = "URL",
        default_value = "http://127.0.0.1:10256/healthz",
        value_parser = health_url
    )]
    pub kube_proxy_health: HealthChoice,
}

/// Flags about the process.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, env = "HERALD_ADMIN_ADDRESS", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7473")]
    pub admin_address: SocketAddr,
    /// How long a stop waits at most for other nodes to take this node's addresses, in seconds: less than the pod's
    /// grace period
    #[arg(long, env = "HERALD_DRAIN_TIMEOUT", value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub drain_timeout: Duration,
    /// File in which the last view of the cluster and the keys of heartbeats are kept, so that a speaker that starts while
    /// the API server is away goes on where it was. Empty: none
    #[arg(long, env = "HERALD_STATE_FILE", value_name = "FILE", default_value = "/var/lib/herald/speaker.json",
        value_parser = file)]
    pub state_file: FileChoice,
    /// Remove the nf_tables rules this program left in the kernel, and exit
    #[arg(long)]
    pub cleanup: bool,
    /// What to log: error, warn, info, debug or trace, or a list such as info,herald_speaker=debug
    #[arg(long, env = "HERALD_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// How log lines look
    #[arg(long, env = "HERALD_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How packets to an address reach its Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Steering {
    /// Left to kube-proxy, behind a guard in nf_tables that refuses what kube-proxy doesn't serve.
    Native,
    /// Left to others; nothing is programmed, which needs no CAP_NET_ADMIN.
    Off,
}

/// How fast announcements go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pacing {
    /// As fast as networks take them: 5,000 first announcements and 200 repeats a second.
    Default,
    /// Ten frames a second in all, for switches that count ARP frames (Dynamic ARP Inspection).
    Compat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// The flags can't be used as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node's name is missing: give --node-name or NODE_NAME (in a pod from fieldRef spec.nodeName)")]
pub struct MissingNodeName;

impl ClusterArgs {
    /// The node this speaker runs on.
    ///
    /// # Errors
    /// It was not given.
    pub fn node(&self) -> Result<NodeName, MissingNodeName> {
        if self.node_name.is_empty() { Err(MissingNodeName) } else { Ok(NodeName::new(&self.node_name)) }
    }
}

/// Which of the node's interfaces to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceChoice {
    wanted: Vec<InterfacePattern>,
    ignored: Vec<InterfacePattern>,
}

impl NetworkArgs {
    /// The interfaces meant by the two flags.
    pub fn interface_choice(&self) -> InterfaceChoice {
        let patterns = |texts: &[String]| {
            let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
            texts.map(InterfacePattern::new).collect()
        };
        InterfaceChoice { wanted: patterns(&self.interfaces), ignored: patterns(&self.ignore_interfaces) }
    }
}

impl InterfaceChoice {
    /// Whether to use this interface.
    pub fn admits(&self, interface: &InterfaceName) -> bool {
        let named = |patterns: &[InterfacePattern]| patterns.iter().any(|pattern| pattern.matches(interface));
        named(&self.wanted) && !named(&self.ignored)
    }

    /// `--interfaces` as text.
    pub fn wanted(&self) -> String {
        self.wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Where kube-proxy is asked; `None`: nowhere.
pub type HealthChoice = Chosen<HealthUrl>;
/// A file; `None`: none.
pub type FileChoice = Chosen<PathBuf>;

/// What a flag names; empty, it names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<T>(pub Option<T>);

#[expect(clippy::unnecessary_wraps, reason = "what reads a flag may fail")]
fn file(text: &str) -> Result<FileChoice, String> {
    Ok(Chosen((!text.is_empty()).then(|| PathBuf::from(text))))
}

fn health_url(text: &str) -> Result<HealthChoice, HealthUrlError> {
    if text.is_empty() { Ok(Chosen(None)) } else { text.parse().map(|url| Chosen(Some(url))) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u32 = text.parse().map_err(|_| format!("{text:?} is no number of seconds from 0 to {}", u32::MAX))?;
    Ok(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Args {
        Args::try_parse_from([&["herald-speaker"], arguments].concat()).unwrap()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn uplinks_are_used_and_interfaces_of_container_networks_are_not() {
        let choice = parse(&[]).network.interface_choice();
        for uplink in ["eth0", "eno1", "enp3s0f0np0", "bond0", "bond0.100", "br0", "ens192", "team0"] {
            assert!(choice.admits(&uplink.into()), "{uplink}");
        }
        for other in ["veth12ab34cd", "cali1234567890a", "cni0", "docker0", "br-0123456789ab", "vnet3", "kube-ipvs0"] {
            assert!(!choice.admits(&other.into()), "{other}");
        }
    }

    #[test]
    fn interfaces_can_be_named_and_what_is_ignored_can_be_chosen() {
        let choice = parse(&["--interfaces", "eth1, veth*", "--ignore-interfaces", ""]).network.interface_choice();
        for (interface, expected) in [("eth1", true), ("eth0", false), ("veth0", true)] {
            assert_eq!(choice.admits(&interface.into()), expected, "{interface}");
        }
        assert_eq!(choice.wanted(), "eth1,veth*");
    }

    #[test]
    fn a_missing_node_name_is_said_only_when_one_is_needed() {
        let error = parse(&["--node-name", "", "--cleanup"]).cluster.node().unwrap_err();
        assert!(error.to_string().contains("NODE_NAME"), "{error}");
        assert_eq!(parse(&["--node-name", "node-1"]).cluster.node(), Ok("node-1".into()));
    }

    #[test]
    fn a_url_and_a_file_can_be_left_out_by_naming_nothing() {
        let args = parse(&[]);
        assert_eq!(args.process.state_file.0, Some(PathBuf::from("/var/lib/herald/speaker.json")));
        assert_eq!(args.network.kube_proxy_health.0, "http://127.0.0.1:10256/healthz".parse().ok());
        assert_eq!(args.network.heartbeat_port, 7948);
        let args = parse(&["--state-file", "", "--kube-proxy-health="]);
        assert_eq!((args.process.state_file.0, args.network.kube_proxy_health.0), (None, None));
        let error = Args::try_parse_from(["herald-speaker", "--kube-proxy-health", "10256"]).unwrap_err();
        assert!(error.to_string().contains("\"10256\" is no URL such as"), "{error}");
        assert!(Args::try_parse_from(["herald-speaker", "--heartbeat-port", "0"]).is_err());
    }

    #[test]
    fn the_drain_timeout_is_a_number_of_seconds() {
        assert_eq!(parse(&["--drain-timeout", "3"]).process.drain_timeout, Duration::from_secs(3));
        let error = Args::try_parse_from(["herald-speaker", "--drain-timeout", "soon"]).unwrap_err();
        assert!(error.to_string().contains("\"soon\" is no number of seconds"), "{error}");
    }
}
