use super::*;
use axum::http;
use kube::client::Body;
use serde_json::json;
use std::pin::pin;
use tower_test::mock::{self, Handle};

type Server = Handle<http::Request<Body>, http::Response<Body>>;

fn writer() -> (Writer, Server) {
    let (service, server) = mock::pair();
    (Writer::new(Client::new(service, "default"), "node-1".into()), server)
}

fn report(last: u8, version: &str) -> Report {
    let vip = Vip::new(std::net::IpAddr::from([192, 0, 2, last])).unwrap();
    Report::Vip {
        vip,
        based_on: version.into(),
        patch: json!({ "status": {} }),
        claim: Some(AnnouncementCause::Allocated),
    }
}

fn answer(code: u16) -> http::Response<Body> {
    let body = if code == 200 {
        json!({ "apiVersion": "herald-lb.io/v1alpha1", "kind": "VirtualIP", "metadata": { "name": "192.0.2.1" },
                "spec": { "address": "192.0.2.1", "pool": "lan" } })
    } else {
        let reason = match code {
            403 => "Forbidden",
            409 => "Conflict",
            _ => "InternalError",
        };
        json!({ "kind": "Status", "status": "Failure", "message": "no", "reason": reason, "code": code })
    };
    http::Response::builder().status(code).body(Body::from(serde_json::to_vec(&body).unwrap())).unwrap()
}

/// Lets the writer work while the server answers one request with the code.
async fn answered(writer: &mut Writer, server: &mut Server, code: u16) -> (String, Outcome) {
    let mut finished = pin!(writer.finished());
    let (request, send) = tokio::select! {
        request = server.next_request() => request.expect("the client is there"),
        outcome = &mut finished => panic!("{outcome:?} without an answer"),
    };
    let path = request.uri().path().to_owned();
    send.send_response(answer(code));
    (path, finished.await)
}

#[tokio::test]
async fn a_report_is_sent_once_however_often_it_is_due_until_the_watch_shows_another_version() {
    let (mut writer, mut server) = writer();
    writer.submit(vec![report(1, "7")]);
    writer.submit(vec![report(1, "7")]);
    let (path, outcome) = answered(&mut writer, &mut server, 200).await;
    assert_eq!(path, "/apis/herald-lb.io/v1alpha1/virtualips/192.0.2.1/status");
    assert_eq!(outcome, Outcome::Written(Some(AnnouncementCause::Allocated)));
    writer.submit(vec![report(1, "7")]);
    assert!(writer.is_idle(), "the watch has not caught up");
    writer.submit(vec![report(1, "8")]);
    assert!(!writer.is_idle());
}

#[tokio::test]
async fn a_lost_race_waits_for_the_watch_and_a_failure_is_due_again_at_once() {
    let (mut writer, mut server) = writer();
    for (code, expected, again) in
        [(409, Outcome::Outrun, false), (500, Outcome::Failed, true), (403, Outcome::Failed, true)]
    {
        let version = code.to_string();
        writer.submit(vec![report(1, &version)]);
        assert_eq!(answered(&mut writer, &mut server, code).await.1, expected);
        writer.submit(vec![report(1, &version)]);
        assert_eq!(!writer.is_idle(), again, "{code}");
        if again {
            answered(&mut writer, &mut server, 200).await;
        }
    }
}

#[tokio::test]
async fn a_thousand_reports_go_out_a_few_at_a_time_and_what_is_due_no_more_is_dropped() {
    let (mut writer, mut server) = writer();
    writer.submit((0..100).map(|last| report(last, "1")).collect());
    assert_eq!((writer.running.len(), writer.waiting.len()), (AT_ONCE, 100 - AT_ONCE));
    writer.submit(vec![]);
    assert_eq!((writer.running.len(), writer.waiting.len()), (AT_ONCE, 0));
    for _ in 0..AT_ONCE {
        answered(&mut writer, &mut server, 200).await;
    }
    assert!(writer.is_idle());
}
