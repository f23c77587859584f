//! Events: what people are told of transitions.
//!
//! They are a courtesy: conditions say the same and stay. So a burst loses some rather than compete with the writes that
//! Services wait for.

use crate::effects::{Notice, Subject};
use crate::metrics::Metrics;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Events that wait to be written; further ones are dropped and counted. As many as a user reads.
const WAITING: usize = 200;

/// Pause between two events. One of a single Service leaves at once.
const PACE: Duration = Duration::from_millis(50);

/// Longest note that the API server takes, in bytes.
const NOTE: usize = 1024;

/// Time limit of one write.
const LIMIT: Duration = Duration::from_secs(10);

/// Takes notices.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Notice>,
    metrics: Metrics,
}

impl Events {
    /// The two ends: one takes, the other writes.
    pub fn new(metrics: Metrics) -> (Self, mpsc::Receiver<Notice>) {
        let (queue, receiver) = mpsc::channel(WAITING);
        (Self { queue, metrics }, receiver)
    }

    /// Takes notices as long as there is room.
    pub fn tell(&self, notices: Vec<Notice>) {
        for notice in notices {
            if self.queue.try_send(notice).is_err() {
                self.metrics.event_dropped();
            }
        }
    }
}

/// Writes notices as events until the token is cancelled.
pub async fn write(client: Client, instance: String, mut notices: mpsc::Receiver<Notice>, stop: CancellationToken) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let notice = tokio::select! {
            () = stop.cancelled() => return,
            notice = notices.recv() => notice,
        };
        let Some(notice) = notice else { return };
        #[expect(clippy::disallowed_methods, reason = "an event says when it was written")]
        let event = event(&notice, &instance, Timestamp::now());
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api = Api::<Event>::namespaced(client.clone(), &namespace);
        let params = PostParams::default();
        match tokio::time::timeout(LIMIT, api.create(&params, &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, reason = notice.reason, "event not written"),
            Err(_) => tracing::debug!(reason = notice.reason, "event not written in time"),
        }
        pace.tick().await;
    }
}

fn event(notice: &Notice, instance: &str, now: Timestamp) -> Event {
    let Notice { about, warning, reason, note } = notice;
    let Subject { kind, namespace, name, uid } = about;
    let (api_version, kind) = kind.names();
    Event {
        metadata: ObjectMeta {
            // Events about objects of the cluster live in this namespace by convention.
            namespace: Some(namespace.clone().unwrap_or_else(|| "default".to_owned())),
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(if *warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(reason.clone()),
        action: Some("Reconcile".to_owned()),
        note: Some(cut(note).to_owned()),
        reporting_controller: Some("herald-lb.io/controller".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            namespace: namespace.clone(),
            name: Some(name.clone()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

fn cut(note: &str) -> &str {
    let end = (0..=NOTE.min(note.len())).rev().find(|end| note.is_char_boundary(*end));
    note.get(..end.unwrap_or(0)).unwrap_or(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::SubjectKind;

    #[test]
    fn an_event_fits_the_limits_of_the_api_server() {
        let about = Subject {
            kind: SubjectKind::Service,
            namespace: Some("shop".to_owned()),
            name: "web".to_owned(),
            uid: "u1".into(),
        };
        let note = "ä".repeat(600);
        let notice = Notice { about, warning: true, reason: "NoPool".to_owned(), note };
        let event = event(&notice, "herald-controller-0", Timestamp::UNIX_EPOCH);
        let note = event.note.unwrap();
        assert!(note.len() <= 1024 && note.len() > 1020, "{}", note.len());
        assert_eq!(event.metadata.namespace.as_deref(), Some("shop"));
        assert_eq!(event.regarding.unwrap().kind.as_deref(), Some("Service"));
    }
}
