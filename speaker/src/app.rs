//! The assembly: from the command line to a running speaker.

use crate::admin;
use crate::args::{
    Args, ClusterArgs, HealthChoice, LogFormat, NetworkArgs, Pacing, ProcessArgs, Steering as SteeringMode,
};
use crate::driver::{Driver, Parts};
use crate::events::{self, Events};
use crate::guard::Guard;
use crate::intake::Intake;
use crate::kube_proxy;
use crate::links;
use crate::member::{self, Feeds, Member};
use crate::metrics::Metrics;
use crate::report::writer::Writer;
use crate::settings::Settings;
use crate::state_file::StateFile;
use crate::steering::{GuardMetrics, Steering};
use anyhow::Context;
use herald_core::announce;
use herald_core::liveness::{Life, Profile};
use herald_core::member::Config as MemberConfig;
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
    let NetworkArgs {
        interfaces: _,
        ignore_interfaces: _,
        steering,
        announce_pacing,
        heartbeat_port,
        kube_proxy_health,
    } = &network;
    let ProcessArgs { admin_address, drain_timeout, state_file, cleanup, log_level, log_format } = &process;
    start_log(log_level, *log_format)?;
    if *cleanup {
        return clean_up();
    }
    let node = cluster.node()?;
    let mut registry = Registry::with_prefix("herald_speaker");
    let guard = open_guard(*steering, &mut registry)?;
    let interfaces = network.interface_choice();
    let choice = interfaces.clone();
    let watched = links::watch(move |name| choice.admits(name)).await?;
    let (settings, keys, profile) = Settings::new();
    let feeds = Feeds { links: watched.links.clone(), notices: watched.notices.clone(), keys, profile };
    let member = start_member(&node, *announce_pacing, *heartbeat_port, feeds, &mut registry)?;
    let config = api_config(kubeconfig.as_deref()).await?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).context("setting up the connection to the API server")?;
    tracing::info!(%node, namespace, server, version = env!("CARGO_PKG_VERSION"), "speaker starts");

    let metrics = Metrics::default();
    metrics.register(&mut registry);
    let (lacking, lacking_receiver) = watch::channel(vec!["a first view of the cluster"]);
    let admin = tokio::spawn(admin::serve(*admin_address, registry, lacking_receiver).await?);
    let (events, notices) = Events::new(metrics.clone());
    let events_task = tokio::spawn(events::write(client.clone(), node.clone(), notices));
    let driver = Driver::new(Parts {
        interfaces,
        heartbeat_port: *heartbeat_port,
        drain_timeout: *drain_timeout,
        namespace: namespace.clone(),
        intake: Intake::new(&client, server, namespace),
        state_file: StateFile::new(state_file.0.clone(), node.clone()),
        links: watched.links.clone(),
        kube_proxy: ask_kube_proxy(kube_proxy_health),
        settings,
        member,
        guard,
        writer: Writer::new(client, node.clone()),
        events,
        metrics,
        lacking,
        node,
    });
    let ended = driver.run(stop_signals()?).await;
    events_task.abort();
    admin.abort();
    Ok(ended?)
}

/// Asks for as long as the driver listens. The sender is kept by the task, or by nobody if there is nothing to ask.
fn ask_kube_proxy(url: &HealthChoice) -> watch::Receiver<kube_proxy::Health> {
    let (said, heard) = watch::channel(kube_proxy::Health::default());
    if let Some(url) = &url.0 {
        tokio::spawn(kube_proxy::ask_on(url.clone(), said));
    }
    heard
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

fn open_guard(steering: SteeringMode, registry: &mut Registry) -> anyhow::Result<Guard> {
    match steering {
        SteeringMode::Native => {
            GuardMetrics::register(registry);
            Ok(Guard::native(Steering::open()?))
        }
        SteeringMode::Off => Ok(Guard::Off),
    }
}

fn start_member(
    node: &NodeName,
    pacing: Pacing,
    port: u16,
    feeds: Feeds,
    registry: &mut Registry,
) -> anyhow::Result<Member> {
    let metrics = member::Metrics::default();
    metrics.register(registry);
    let pacing = match pacing {
        Pacing::Default => announce::Pacing::Default,
        Pacing::Compat => announce::Pacing::Compat,
    };
    let mut life = [0; 8];
    aws_lc_rs::rand::fill(&mut life).map_err(|_| anyhow::anyhow!("the kernel gives no random numbers"))?;
    // Any number that differs between nodes will do.
    let seed = node.as_str().bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let config = MemberConfig {
        node: node.clone(),
        life: Life(u64::from_ne_bytes(life)),
        profile: Profile::default(),
        announce: announce::Config { pacing, seed, ..announce::Config::default() },
    };
    Ok(Member::start(config, port, feeds, metrics)?)
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
