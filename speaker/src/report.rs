//! What the speaker writes: the announcer and the condition `Announced` of a `VirtualIP`, and its own `Speaker`.
//! Nothing else, and never a Service.
//!
//! Owns the words and when they are due: on change only. Pure; [`writer`] sends them.

pub mod writer;

use crate::intake::{SpeakerRecord, VipRecord};
use herald_api::condition::Verdict;
use herald_api::keys::{condition, reason};
use herald_api::speaker::{Segment, SpeakerStatus};
use herald_api::virtual_ip::{AnnouncementCause, Announcer};
use herald_core::address::Vip;
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use herald_core::names::{InterfaceName, NodeName, Uid};
use herald_core::ownership::{Bar, Unowned, View};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use serde_json::{Value, json};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// To the status of a `VirtualIP`.
    Vip {
        /// Which.
        vip: Vip,
        /// The version it was computed from. The API server refuses it for any other, so that of two claims one wins.
        based_on: String,
        /// A merge patch of the object.
        patch: Value,
        /// Set when it is a claim.
        claim: Option<AnnouncementCause>,
    },
    /// A `Speaker` for this node, which vanishes with the Node.
    CreateSpeaker {
        /// The Node's life.
        node_uid: Uid,
    },
    /// To the status of this node's `Speaker`.
    Speaker {
        /// The version it was computed from.
        based_on: String,
        /// A merge patch of the object.
        patch: Value,
    },
}

/// Where an address was announced first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The interface.
    pub interface: InterfaceName,
    /// The MAC address.
    pub mac: MacAddr,
}

/// Says that this node announces the address on these interfaces, the first of which goes into the claim. `None` if it
/// is said already, or nothing was announced yet.
pub fn claim(
    vip: Vip,
    record: &VipRecord,
    node: &NodeName,
    announced: &[Announced],
    view: &View,
    now: Timestamp,
) -> Option<Report> {
    let first = announced.first()?;
    let (epoch, since, cause, is_new) = match &record.announcer {
        Some(last) if last.node == node.as_str() => (last.epoch, last.since.clone(), last.cause, false),
        Some(last) => (last.epoch.saturating_add(1), MicroTime(now), cause(&NodeName::new(&last.node), view), true),
        None => (1, MicroTime(now), AnnouncementCause::Allocated, true),
    };
    let announcer = Announcer {
        node: node.to_string(),
        interface: first.interface.to_string(),
        mac: first.mac.to_string(),
        epoch,
        since,
        cause,
    };
    let interfaces: Vec<_> = announced.iter().map(|announced| announced.interface.as_str()).collect();
    let message = format!("by {node} on {}", interfaces.join(", "));
    let verdict = Verdict::new(condition::ANNOUNCED, true, reason::ANNOUNCED, message);
    if record.announcer.as_ref() == Some(&announcer) && verdict.is_said_by(&record.conditions, None) {
        return None;
    }
    let status = json!({ "announcer": announcer, "conditions": with(&record.conditions, &verdict, now) });
    Some(vip_report(vip, record, &status, is_new.then_some(cause)))
}

/// Says why nobody announces the address. `None` if it is said already.
pub fn unowned(vip: Vip, record: &VipRecord, unowned: &Unowned, now: Timestamp) -> Option<Report> {
    let verdict = Verdict::new(condition::ANNOUNCED, false, unowned.reason(), unowned.to_string());
    if verdict.is_said_by(&record.conditions, None) {
        return None;
    }
    Some(vip_report(vip, record, &json!({ "conditions": with(&record.conditions, &verdict, now) }), None))
}

fn vip_report(vip: Vip, record: &VipRecord, status: &Value, claim: Option<AnnouncementCause>) -> Report {
    let based_on = record.resource_version.clone();
    let patch = json!({ "metadata": { "resourceVersion": based_on }, "status": status });
    Report::Vip { vip, based_on, patch, claim }
}

/// A node that is there and was not given up as lost has left in order.
fn cause(last: &NodeName, view: &View) -> AnnouncementCause {
    match view.nodes.get(last) {
        Some(node) if node.bar != Some(Bar::NotReady) => AnnouncementCause::Handover,
        _ => AnnouncementCause::Takeover,
    }
}

/// The conditions with one of them said anew; those of others are kept.
fn with(conditions: &[Condition], verdict: &Verdict, now: Timestamp) -> Vec<Condition> {
    let said = verdict.condition(conditions, None, now);
    let others = conditions.iter().filter(|condition| condition.type_ != verdict.type_).cloned();
    others.chain([said]).collect()
}

/// What the speaker has to say of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it is about to stop.
    pub draining: bool,
    /// Whether it announces nothing any more.
    pub stopped: bool,
    /// What doesn't work as it should: a reason of the condition `Degraded`, and the sentence.
    pub degraded: Option<(&'static str, String)>,
}

/// The most interfaces, and networks of one, that a `Speaker` can hold.
const MOST_SEGMENTS: usize = 128;
const MOST_SUBNETS: usize = 64;

/// Says what this node has and how its speaker is. `None` if it is said already.
pub fn speaker(record: &SpeakerRecord, links: &Links, health: &Health, now: Timestamp) -> Option<Report> {
    let verdicts = [ready(health), degraded(health)];
    let segments = links.values().take(MOST_SEGMENTS).map(|link| Segment {
        interface: link.name.to_string(),
        mac: link.mac.to_string(),
        subnets: link.addresses.iter().take(MOST_SUBNETS).map(|net| net.trunc().to_string()).collect(),
        carrier: link.carrier,
    });
    let mut status = SpeakerStatus {
        segments: segments.collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        draining: health.draining,
        conditions: record.status.conditions.clone(),
        ..SpeakerStatus::default()
    };
    let said = verdicts.iter().all(|verdict| verdict.is_said_by(&record.status.conditions, None));
    if said && status == record.status {
        return None;
    }
    for verdict in &verdicts {
        status.conditions = with(&status.conditions, verdict, now);
    }
    Some(Report::Speaker { based_on: record.resource_version.clone(), patch: json!({ "status": status }) })
}

fn ready(health: &Health) -> Verdict {
    if health.stopped {
        Verdict::new(condition::READY, false, reason::STOPPED, "the speaker was stopped and announces nothing")
    } else {
        Verdict::new(condition::READY, true, reason::READY, "the speaker announces what this node owns")
    }
}

fn degraded(health: &Health) -> Verdict {
    match &health.degraded {
        Some((reason, message)) => Verdict::new(condition::DEGRADED, true, reason, message),
        None => Verdict::new(condition::DEGRADED, false, reason::ALL_WELL, "everything works as it should"),
    }
}

#[cfg(test)]
mod tests;
