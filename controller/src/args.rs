//! The command line: every flag has an environment variable, and every flag is read somewhere.

use clap::{Parser, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  herald-controller
      in a pod, or with the kubeconfig that kubectl uses
  herald-controller --kubeconfig admin.conf --default-class=off
      by hand, leaving Services without a class to another implementation
  herald-controller --service-finalizer=service.kubernetes.io/load-balancer-cleanup
      deletes of Services wait until their addresses are back in the pool";

/// Gives external addresses from AddressPools to Services of type LoadBalancer.
///
/// Records each address in a VirtualIP, writes it into the Service's status, and says in conditions and events why a
/// Service has none.
#[derive(Clone, Debug, Parser)]
#[command(name = "herald-controller", version, after_help = EXAMPLES)]
pub struct Args {
    /// File that says where the API server is and who we are; without it, what kubectl would use, then the pod's account
    #[arg(long, env = "KUBECONFIG", value_name = "FILE", hide_env_values = true, help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace that Herald runs in: where the keys of heartbeats are kept, and which pods and logs a condition names
    #[arg(
        long,
        env = "HERALD_NAMESPACE",
        value_name = "NAME",
        default_value = "herald-system",
        help_heading = "Cluster"
    )]
    pub namespace: String,

    /// Value of spec.loadBalancerClass that makes a Service ours
    #[arg(
        long,
        env = "HERALD_LOAD_BALANCER_CLASS",
        value_name = "CLASS",
        default_value = herald_api::keys::DEFAULT_CLASS,
        help_heading = "Services"
    )]
    pub load_balancer_class: String,

    /// Whether Services without spec.loadBalancerClass are ours too
    #[arg(
        long,
        env = "HERALD_DEFAULT_CLASS",
        value_name = "on|off",
        default_value = "on",
        hide_possible_values = true,
        help_heading = "Services"
    )]
    pub default_class: Switch,

    /// Finalizer to put on our Services before they get an address and to take off after its release [default: none]
    #[arg(long, env = "HERALD_SERVICE_FINALIZER", value_name = "KEY", value_parser = finalizer_key, help_heading = "Services")]
    pub service_finalizer: Option<String>,

    /// Where to serve /healthz, /readyz and /metrics
    #[arg(
        long,
        env = "HERALD_ADMIN_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "0.0.0.0:7472",
        help_heading = "Process"
    )]
    pub admin_address: SocketAddr,

    /// How log lines look
    #[arg(
        long,
        env = "HERALD_LOG_FORMAT",
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Process"
    )]
    pub log_format: LogFormat,

    /// What to log: error, warn, info, debug or trace, or a list such as info,herald_controller=debug
    #[arg(long, env = "HERALD_LOG_LEVEL", value_name = "LEVEL", default_value = "info", help_heading = "Process")]
    pub log_level: String,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The API server takes only names with a domain as finalizers of Services.
fn finalizer_key(text: &str) -> Result<String, String> {
    let named = text.split_once('/').is_some_and(|(domain, name)| !domain.is_empty() && !name.is_empty());
    if named && !text.contains(char::is_whitespace) {
        Ok(text.to_owned())
    } else {
        Err("a finalizer is written DOMAIN/NAME, such as service.kubernetes.io/load-balancer-cleanup".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_flag_has_a_variable() {
        Args::command().debug_assert();
        let command = Args::command();
        let flags = command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()));
        let without: Vec<_> = flags.filter(|arg| arg.get_env().is_none()).map(|arg| arg.get_id().as_str()).collect();
        assert_eq!(without, Vec::<&str>::new());
    }

    #[test]
    fn a_finalizer_without_a_domain_is_refused_with_an_example() {
        let refused = Args::try_parse_from(["herald-controller", "--service-finalizer=cleanup"]).unwrap_err();
        assert!(refused.to_string().contains("service.kubernetes.io/load-balancer-cleanup"), "{refused}");
    }
}
