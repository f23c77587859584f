//! The admin endpoint: `/healthz`, `/readyz`, `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the speaker still lacks before it can announce; empty = ready.
pub type Lacking = Vec<&'static str>;

/// The admin endpoint can't be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not ours.
    #[error("can't listen on {address} for /healthz and /metrics: choose another --admin-address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

struct Shared {
    registry: Registry,
    lacking: watch::Receiver<Lacking>,
}

/// Binds the address; what it returns serves for ever.
///
/// # Errors
/// The address can't be bound.
pub async fn serve(
    address: SocketAddr,
    registry: Registry,
    lacking: watch::Receiver<Lacking>,
) -> Result<impl Future<Output = std::io::Result<()>>, AdminError> {
    let listener = TcpListener::bind(address).await.map_err(|source| AdminError::Listen { address, source })?;
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Shared { registry, lacking }));
    Ok(axum::serve(listener, routes).into_future())
}

async fn readyz(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let lacking = shared.lacking.borrow().clone();
    if lacking.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", lacking.join(", ")))
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &shared.registry) {
        Ok(()) => {
            let content = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
            (StatusCode::OK, content, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("can't encode metrics: {error}\n")).into_response(),
    }
}
