//! The assembly: from the command line to a running speaker.

use crate::admin;
use crate::announcer::{self, Announcer};
use crate::args::{Args, ClusterArgs, LogFormat, NetworkArgs, Pacing, ProcessArgs, Steering as SteeringMode};
use crate::driver::{Driver, Parts};
use crate::guard::Guard;
use crate::intake::Intake;
use crate::links;
use crate::metrics::Metrics;
use crate::report::writer::Writer;
use crate::steering::{GuardMetrics, Steering};
use anyhow::Context;
use herald_core::names::NodeName;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long a connection to the API server may take to come about, and a request to be sent.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Runs the program to its end.
///
/// # Errors
/// What it can't do without is missing: a capability, a kernel feature, the node's name, a readable kubeconfig, its port.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { cluster, network, process } = args;
    let ClusterArgs { kubeconfig, node_name: _, namespace } = &cluster;
    let NetworkArgs { interfaces: _, ignore_interfaces: _, steering, announce_pacing } = &network;
    let ProcessArgs { admin_address, drain_timeout, cleanup, log_level, log_format } = &process;
    start_log(log_level, *log_format)?;
    if *cleanup {
        return clean_up();
    }
    let node = cluster.node()?;
    let mut registry = Registry::with_prefix("herald_speaker");
    let guard = match steering {
        SteeringMode::Native => {
            GuardMetrics::register(&mut registry);
            Guard::native(Steering::open()?)
        }
        SteeringMode::Off => Guard::Off,
    };
    let interfaces = network.interface_choice();
    let choice = interfaces.clone();
    let watched = links::watch(move |name| choice.admits(name)).await?;
    let announcer = start_announcer(&node, *announce_pacing, &watched, &mut registry)?;
    let config = api_config(kubeconfig.as_deref()).await?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).context("setting up the connection to the API server")?;
    tracing::info!(%node, namespace, server, version = env!("CARGO_PKG_VERSION"), "speaker starts");

    let metrics = Metrics::default();
    metrics.register(&mut registry);
    let (lacking, lacking_receiver) = watch::channel(vec!["a first view of the cluster"]);
    let serving = admin::serve(*admin_address, registry, lacking_receiver).await?;
    let admin = tokio::spawn(serving);
    let driver = Driver::new(Parts {
        interfaces,
        drain_timeout: *drain_timeout,
        intake: Intake::new(&client, server, namespace),
        links: watched.links.clone(),
        announcer,
        guard,
        writer: Writer::new(client, node.clone()),
        metrics,
        lacking,
        node,
    });
    let ended = driver.run(stop_signals()?).await;
    admin.abort();
    Ok(ended?)
}

fn start_log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let mut chosen = EnvFilter::try_new(filter).with_context(|| {
        format!("--log-level {filter:?} is not a level (info) or a list of them (info,herald_speaker=debug)")
    })?;
    if !filter.contains("kube") {
        // It logs each failed request as an error, in words without object or fix; we say it once ourselves.
        chosen = chosen.add_directive("kube_client=off".parse()?);
    }
    let stderr = std::io::stderr;
    let log = tracing_subscriber::fmt().with_env_filter(chosen).with_ansi(stderr().is_terminal()).with_writer(stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

fn clean_up() -> anyhow::Result<()> {
    let removed = Steering::remove()?;
    tracing::info!(tables = removed.len(), "nf_tables rules removed");
    Ok(())
}

fn start_announcer(
    node: &NodeName,
    pacing: Pacing,
    watched: &links::Watched,
    registry: &mut Registry,
) -> anyhow::Result<Announcer> {
    let metrics = announcer::Metrics::default();
    metrics.register(registry);
    let pacing = match pacing {
        Pacing::Default => announcer::Pacing::Default,
        Pacing::Compat => announcer::Pacing::Compat,
    };
    // Any number that differs between nodes will do.
    let seed = node.as_str().bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let config = announcer::Config { pacing, seed, ..announcer::Config::default() };
    Ok(Announcer::start(config, watched.links.clone(), watched.notices.clone(), metrics)?)
}

async fn api_config(kubeconfig: Option<&Path>) -> anyhow::Result<Config> {
    let mut config = match kubeconfig {
        Some(path) => {
            let file =
                Kubeconfig::read_from(path).with_context(|| format!("reading --kubeconfig {}", path.display()))?;
            let options = KubeConfigOptions::default();
            let loaded = Config::from_custom_kubeconfig(file, &options).await;
            loaded.with_context(|| format!("--kubeconfig {} can't be used", path.display()))?
        }
        None => Config::incluster().context(
            "there is no way to the API server: give --kubeconfig (KUBECONFIG), or run in a pod with a service account",
        )?,
    };
    config.connect_timeout = Some(CONNECT_WITHIN);
    config.write_timeout = Some(CONNECT_WITHIN);
    // Every call has a time limit and a second try of its own.
    config.default_retry = false;
    Ok(config)
}

/// Fires at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_signals() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if token.is_cancelled() {
                tracing::warn!("stopped a second time: ending at once");
                std::process::exit(1);
            }
            token.cancel();
        }
    });
    Ok(stop)
}
