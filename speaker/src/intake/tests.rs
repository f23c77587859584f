use super::*;
use axum::http;
use kube::client::Body;
use serde_json::json;
use std::time::Duration;
use tower_test::mock;

type Server = mock::Handle<http::Request<Body>, http::Response<Body>>;

/// Lets the watches run against a server that answers every request so, for a minute; says how many there were.
async fn requests_in_a_minute(intake: &mut Intake, mut server: Server, code: u16) -> usize {
    let status = json!({ "kind": "Status", "status": "Failure", "message": "no", "reason": "Refused", "code": code });
    let body = serde_json::to_vec(&status).unwrap();
    let mut requests = 0;
    let answer = async {
        while let Some((_, send)) = server.next_request().await {
            requests += 1;
            send.send_response(http::Response::builder().status(code).body(Body::from(body.clone())).unwrap());
        }
    };
    let watch = async {
        let mut refused = 0;
        loop {
            intake.changed().await;
            drop(intake.take_news());
            let is_new = intake.troubles.refused.len() > refused;
            refused = intake.troubles.refused.len();
            let is_away = intake.away_since().is_some();
            assert!(is_new || is_away, "nothing but a first refusal or the server's absence can be news");
        }
    };
    let minute = Duration::from_mins(1);
    let both = async { tokio::join!(answer, watch) };
    tokio::time::timeout(minute, both).await.expect_err("watches go on for ever");
    requests
}

fn intake() -> (Intake, Server) {
    let (service, server) = mock::pair();
    (Intake::new(&Client::new(service, "default"), "https://192.0.2.10".to_owned(), "herald-system"), server)
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_refused_is_asked_for_every_few_seconds_and_not_all_the_time() {
    for code in [403, 404] {
        let (mut intake, server) = intake();
        let requests = requests_in_a_minute(&mut intake, server, code).await;
        assert!((9 * 10..9 * 20).contains(&requests), "{code}: {requests} requests of nine watches");
        assert_eq!(intake.troubles.refused.len(), 9, "{code}: every kind stays refused until it is listed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absent_server_is_not_back_because_a_list_is_about_to_be_asked_for() {
    let (mut intake, server) = intake();
    let since = tokio::time::Instant::now();
    requests_in_a_minute(&mut intake, server, 503).await;
    let away = intake.away_since().expect("it never answered");
    assert!(away.duration_since(since) < Duration::from_secs(1), "away since {:?}", away.duration_since(since));
}
