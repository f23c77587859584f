//! Kubernetes events: what people are told of transitions.
//!
//! They are a courtesy: conditions and the log say the same. So a burst loses some rather than compete with the writes of
//! addresses that have moved.

use crate::metrics::Metrics;
use herald_core::address::Vip;
use herald_core::names::{NodeName, Uid};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Events that wait to be written; further ones are dropped and counted. As many as a user reads.
const WAITING: usize = 200;
/// Pause between two events. A single one leaves at once.
const PACE: Duration = Duration::from_millis(50);
/// Longest note that the API server takes, in bytes.
const NOTE: usize = 1024;
/// Time limit of one write.
const LIMIT: Duration = Duration::from_secs(10);
/// Where events about objects of the cluster live by convention.
const NAMESPACE: &str = "default";

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A `VirtualIP`.
    Vip(Vip, Uid),
    /// A `Speaker`.
    Speaker(NodeName, Uid),
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The object.
    pub about: Subject,
    /// Whether somebody should look.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
}

/// Takes notices.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<Notice>,
    metrics: Metrics,
}

impl Events {
    /// The two ends: one takes, [`write()`] writes.
    pub fn new(metrics: Metrics) -> (Self, mpsc::Receiver<Notice>) {
        let (queue, receiver) = mpsc::channel(WAITING);
        (Self { queue, metrics }, receiver)
    }

    /// Takes a notice if there is room.
    pub fn tell(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            self.metrics.event_dropped();
        }
    }
}

/// Writes notices as events, for as long as some may come.
pub async fn write(client: Client, node: NodeName, mut notices: mpsc::Receiver<Notice>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let api = Api::<Event>::namespaced(client, NAMESPACE);
    while let Some(notice) = notices.recv().await {
        #[expect(clippy::disallowed_methods, reason = "an event says when it was written")]
        let event = event(&notice, &node, Timestamp::now());
        let params = PostParams::default();
        match tokio::time::timeout(LIMIT, api.create(&params, &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, reason = notice.reason, "event not written"),
            Err(_) => tracing::debug!(reason = notice.reason, "event not written in time"),
        }
        pace.tick().await;
    }
}

fn event(notice: &Notice, node: &NodeName, now: Timestamp) -> Event {
    let (kind, name, uid) = match &notice.about {
        Subject::Vip(vip, uid) => ("VirtualIP", vip.object_name(), uid),
        Subject::Speaker(node, uid) => ("Speaker", node.to_string(), uid),
    };
    Event {
        metadata: ObjectMeta {
            namespace: Some(NAMESPACE.to_owned()),
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(notice.reason.to_owned()),
        action: Some("Announce".to_owned()),
        note: Some(cut(&notice.note).to_owned()),
        reporting_controller: Some("herald-lb.io/speaker".to_owned()),
        reporting_instance: Some(instance(node)),
        regarding: Some(ObjectReference {
            api_version: Some("herald-lb.io/v1alpha1".to_owned()),
            kind: Some(kind.to_owned()),
            name: Some(name),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

/// Names this speaker within the 128 characters that the API server takes; a node's name may be longer.
fn instance(node: &NodeName) -> String {
    format!("speaker-{node}").chars().take(128).collect()
}

fn cut(note: &str) -> &str {
    let end = (0..=NOTE.min(note.len())).rev().find(|end| note.is_char_boundary(*end));
    note.get(..end.unwrap_or(0)).unwrap_or(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_fits_the_limits_of_the_api_server() {
        let vip = Vip::new("2001:db8::10".parse().unwrap()).unwrap();
        let about = Subject::Vip(vip, "u1".into());
        let notice = Notice { about, warning: true, reason: "AddressConflict", note: "ä".repeat(600) };
        let event = event(&notice, &"n".repeat(253).into(), Timestamp::UNIX_EPOCH);
        let note = event.note.unwrap();
        assert!(note.len() <= 1024 && note.len() > 1020, "{}", note.len());
        assert_eq!(event.reporting_instance.unwrap().len(), 128);
        assert_eq!(event.regarding.unwrap().name.as_deref(), Some("2001-0db8-0000-0000-0000-0000-0000-0010"));
    }

    #[test]
    fn a_burst_loses_what_nobody_would_read() {
        let (events, mut written) = Events::new(Metrics::default());
        let about = Subject::Speaker("node-1".into(), "u1".into());
        for _ in 0..WAITING + 5 {
            events.tell(Notice { about: about.clone(), warning: false, reason: "Moved", note: String::new() });
        }
        let count = std::iter::from_fn(|| written.try_recv().ok()).count();
        assert_eq!(count, WAITING);
    }
}
