//! Puts the parts together, and takes them apart again when told to stop.

use crate::admin::{self, Admin};
use crate::args::{Args, LogFormat, Switch};
use crate::connection;
use crate::difference::Policy;
use crate::driver::Driver;
use crate::events::{self, Events};
use crate::executor::Executor;
use crate::intake::{self, Reader};
use crate::metrics::Metrics;
use crate::state::State;
use herald_api::class::LoadBalancerClass;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Why the controller can't start. That the API server is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `--log-level` can't be read.
    #[error("--log-level {text:?} is not a level (info) or a list of them (info,herald_controller=debug)")]
    LogLevel {
        /// What was given.
        text: String,
    },
    /// The kubeconfig file can't be read.
    #[error("can't use kubeconfig {}: {source}", file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor a pod's account.
    #[error("don't know where the API server is: give --kubeconfig, or run in a pod with a service account: {0}")]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// What the configuration says can't be used.
    #[error("can't use the cluster's configuration: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The admin address can't be used.
    #[error(transparent)]
    Admin(#[from] admin::ListenError),
    /// Signals can't be handled.
    #[error("can't handle signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Sends log lines to standard error.
pub fn logging(format: LogFormat, level: &str) -> Result<(), StartError> {
    let mut filter = EnvFilter::try_new(level).map_err(|_| StartError::LogLevel { text: level.to_owned() })?;
    if !level.contains("kube")
        && let Ok(silence) = "kube_client=off".parse()
    {
        // It logs each failed request as an error, in words without object or fix; we say it once ourselves.
        filter = filter.add_directive(silence);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// Runs the controller until a signal ends it.
pub async fn run(args: Args) -> Result<(), StartError> {
    let Args {
        kubeconfig,
        namespace,
        load_balancer_class,
        default_class,
        service_finalizer,
        admin_address,
        log_format,
        log_level,
    } = args;
    logging(log_format, &log_level)?;
    let stop = stop_on_signal()?;
    let listener = admin::listen(admin_address).await?;
    let config = config(kubeconfig).await?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| StartError::Client(Box::new(error)))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        server,
        class = load_balancer_class,
        default_class = ?default_class,
        service_finalizer,
        "starting"
    );
    let reader = Reader {
        class: Arc::new(LoadBalancerClass { name: load_balancer_class, is_default: default_class == Switch::On }),
        finalizer: service_finalizer.map(Arc::from),
    };
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let (waiting_for, waits) = watch::channel(Some("the API server".to_owned()));
    let admin = admin::serve(listener, Admin { registry: Arc::new(registry), waiting_for: waits }, stop.clone());
    let admin = tokio::spawn(admin);
    let (events, notices) = Events::new(metrics.clone());
    let writer = tokio::spawn(events::write(client.clone(), instance(), notices, stop.clone()));
    let keeper = tokio::spawn(connection::keep_open(client.clone(), stop.clone()));
    let driver = Driver {
        state: State::default(),
        watches: intake::watches(&client, &reader, &namespace),
        executor: Executor {
            namespace: Arc::from(namespace.as_str()),
            client,
            reader: reader.clone(),
            metrics: metrics.clone(),
        },
        policy: Policy { finalizer: reader.finalizer.is_some(), namespace },
        events,
        metrics,
        waiting_for,
        server,
    };
    driver.run(stop).await;
    // All end with the token; what they might still say nobody waits for.
    admin.abort();
    writer.abort();
    keeper.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Calls have time limits and retries of their own; the client's would hide failures for minutes.
async fn config(kubeconfig: Option<PathBuf>) -> Result<Config, StartError> {
    let mut config = match kubeconfig {
        None => Config::infer().await.map_err(|error| StartError::NoCluster(Box::new(error)))?,
        Some(file) => {
            let refuse = |source| StartError::Kubeconfig { file: file.clone(), source };
            let read = Kubeconfig::read_from(&file).map_err(refuse)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(refuse)?
        }
    };
    config.default_retry = false;
    Ok(config)
}

fn stop_on_signal() -> Result<CancellationToken, StartError> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}

/// Which of several controllers an event is from.
fn instance() -> String {
    std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "herald-controller".to_owned())
}
