//! A connection to the API server that is open when a Service needs one.
//!
//! Watches keep theirs to themselves, and a connection that nothing has used for 90 s is closed by both sides. Opening
//! one costs a handshake, about as much time as the writes that an address takes.

use kube::Client;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Often enough for an answer that is lost now and then.
const USE_EVERY: Duration = Duration::from_secs(30);

/// Time limit of one use.
const LIMIT: Duration = Duration::from_secs(10);

/// Uses a connection now and then, by the cheapest of requests, until the token is cancelled.
pub async fn keep_open(client: Client, stop: CancellationToken) {
    let mut uses = tokio::time::interval(USE_EVERY);
    uses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = uses.tick() => {}
        }
        match tokio::time::timeout(LIMIT, client.apiserver_version()).await {
            Ok(Ok(_)) => {}
            // The watches say what is wrong.
            Ok(Err(error)) => tracing::debug!(%error, "the API server does not tell its version"),
            Err(_) => tracing::debug!("the API server does not tell its version in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http;
    use kube::client::Body;
    use std::pin::pin;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_used_before_it_counts_as_idle_whatever_came_of_the_last_use_until_the_end() {
        let (service, mut server) = tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
        let stop = CancellationToken::new();
        let mut keeper = pin!(keep_open(Client::new(service, "default"), stop.clone()));
        for code in [500, 200, 403, 200] {
            let asked = tokio::time::timeout(Duration::from_secs(45), server.next_request());
            let asked = tokio::select! {
                asked = asked => asked.expect("used within half of the 90 s").expect("the client is there"),
                () = &mut keeper => panic!("it ended"),
            };
            assert_eq!(asked.0.uri().path(), "/version");
            asked.1.send_response(http::Response::builder().status(code).body(Body::empty()).unwrap());
        }
        stop.cancel();
        tokio::time::timeout(LIMIT * 2, keeper).await.expect("it ends when it is told to");
    }
}
