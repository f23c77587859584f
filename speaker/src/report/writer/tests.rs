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
    Report::Vip { vip, based_on: version.into(), patch: json!({ "status": {} }) }
}

/// Has these addresses looked at, about which a report on that version is due.
fn submit(writer: &mut Writer, lasts: impl IntoIterator<Item = u8>, version: &str) {
    for last in lasts {
        writer.look_at(Object::Vip(Vip::new(std::net::IpAddr::from([192, 0, 2, last])).unwrap()));
    }
    start(writer, version);
}

fn start(writer: &mut Writer, version: &str) {
    writer.start(|object| match object {
        Object::Vip(vip) => match vip.address() {
            std::net::IpAddr::V4(v4) => Some(report(v4.octets()[3], version)),
            std::net::IpAddr::V6(_) => None,
        },
        Object::Speaker => None,
    });
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
    submit(&mut writer, [1], "7");
    submit(&mut writer, [1], "7");
    let (path, outcome) = answered(&mut writer, &mut server, 200).await;
    assert_eq!(path, "/apis/herald-lb.io/v1alpha1/virtualips/192.0.2.1/status");
    assert_eq!(outcome, Outcome::Written);
    submit(&mut writer, [1], "7");
    assert!(writer.is_idle(), "the watch has not caught up");
    submit(&mut writer, [1], "8");
    assert!(!writer.is_idle());
}

#[tokio::test]
async fn a_last_word_does_not_wait_for_the_watch() {
    let (mut writer, mut server) = writer();
    submit(&mut writer, [1], "7");
    answered(&mut writer, &mut server, 200).await;
    writer.insist_on(Object::Vip(Vip::new(std::net::IpAddr::from([192, 0, 2, 1])).unwrap()));
    start(&mut writer, "7");
    assert!(!writer.is_idle());
}

#[tokio::test]
async fn a_lost_race_waits_for_the_watch_and_a_failure_is_due_again() {
    let (mut writer, mut server) = writer();
    for (code, expected, again) in
        [(409, Outcome::Outrun, false), (500, Outcome::Failed, true), (403, Outcome::Failed, true)]
    {
        let version = code.to_string();
        submit(&mut writer, [1], &version);
        assert_eq!(answered(&mut writer, &mut server, code).await.1, expected);
        writer.retry();
        start(&mut writer, &version);
        assert_eq!(!writer.is_idle(), again, "{code}");
        if again {
            answered(&mut writer, &mut server, 200).await;
        }
    }
}

#[tokio::test]
async fn many_reports_go_out_a_few_at_a_time_and_say_what_holds_when_their_turn_comes() {
    let (mut writer, mut server) = writer();
    submit(&mut writer, 0..100, "1");
    assert_eq!((writer.running.len(), writer.waiting.len()), (AT_ONCE, 100 - AT_ONCE));
    for _ in 0..AT_ONCE {
        answered(&mut writer, &mut server, 200).await;
    }
    writer.start(|_| None);
    assert!(writer.is_idle() && writer.waiting.is_empty(), "nothing is to be said any more");
}

#[tokio::test]
async fn the_speakers_own_object_goes_first_and_what_is_gone_is_forgotten() {
    let (mut writer, _server) = writer();
    let vip = Object::Vip(Vip::new(std::net::IpAddr::from([192, 0, 2, 1])).unwrap());
    writer.look_at(vip);
    writer.look_at(Object::Speaker);
    let mut seen = Vec::new();
    writer.start(|object| {
        seen.push(object);
        None
    });
    assert_eq!(seen, [Object::Speaker, vip]);
    writer.look_at(vip);
    writer.forget(vip);
    assert!(writer.waiting.is_empty());
}
