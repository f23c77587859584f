//! What the speaker writes: who announces a `VirtualIP`, since when and how it came to that, whether somebody else has it;
//! and its own `Speaker`. Nothing else, and never a Service.
//!
//! Owns the words and when they are due: on change only. Pure; [`writer`] sends them.

mod conflict;
pub mod speaker;
pub mod writer;

use crate::intake::VipRecord;
use crate::situation::{self, Held, Verification};
use herald_api::condition::Verdict;
use herald_api::keys::{condition, reason};
use herald_api::virtual_ip::{AnnouncementCause, Announcer, LastMove, Verified};
use herald_core::address::Vip;
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use herald_core::member::{Came, Cause, Tenure};
use herald_core::names::{InterfaceName, NodeName, Uid};
use herald_core::ownership::score;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use serde_json::{Map, Value, json};

/// How old the last verification must be to be written anew although nothing else about it is new.
const VERIFIED_AFTER: SignedDuration = SignedDuration::from_hours(1);

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

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// This node.
    pub node: &'a NodeName,
    /// Its interfaces.
    pub links: &'a Links,
    /// Now.
    pub now: Timestamp,
}

/// Says what this node does about an address and what the wire said of it. `None` if it is said already, or nothing is to
/// be said.
pub fn vip(
    vip: Vip,
    record: &VipRecord,
    held: Option<&Held>,
    verification: Option<&Verification>,
    author: Author<'_>,
) -> Option<Report> {
    let mut status = Map::new();
    let mut verdicts = Vec::new();
    if let Some(held) = held {
        tenure(vip, record, held, author, &mut status, &mut verdicts);
    }
    if let Some(verification) = verification
        && record.announcer.as_ref().is_some_and(|announcer| announcer.node == verification.node.as_str())
    {
        if let Some(verified) = verified(record, verification, author) {
            status.insert("verified".to_owned(), json!(verified));
        }
        verdicts.extend(conflict::of_verification(record, verification, author));
    }
    verdicts.retain(|verdict| !verdict.is_said_by(&record.conditions, None));
    if !verdicts.is_empty() {
        let conditions =
            verdicts.iter().fold(record.conditions.clone(), |all, verdict| with(&all, verdict, author.now));
        status.insert("conditions".to_owned(), json!(conditions));
    }
    if status.is_empty() {
        return None;
    }
    let based_on = record.resource_version.clone();
    let patch = json!({ "metadata": { "resourceVersion": based_on }, "status": status });
    Some(Report::Vip { vip, based_on, patch })
}

fn tenure(
    vip: Vip,
    record: &VipRecord,
    held: &Held,
    author: Author<'_>,
    status: &mut Map<String, Value>,
    verdicts: &mut Vec<Verdict>,
) {
    if let Tenure::Unowned(why) = &held.state.tenure {
        verdicts.push(Verdict::new(condition::ANNOUNCED, false, why.reason(), why.to_string()));
    }
    if let Some((epoch, came)) = situation::claim(&held.state) {
        let announced = announced(held, author.links);
        let Some(first) = announced.first() else { return };
        if !outranks(vip, epoch, author.node, record) {
            return;
        }
        let announcer = announcer(record, first, epoch, came, held.since, author.node);
        if record.announcer.as_ref() != Some(&announcer) {
            if let Some(last_move) = last_move(record, &announcer, came) {
                status.insert("lastMove".to_owned(), json!(last_move));
            }
            status.insert("announcer".to_owned(), json!(announcer));
        }
        let interfaces: Vec<_> = announced.iter().map(|(interface, _)| interface.as_str()).collect();
        let message = format!("by {} on {}", author.node, interfaces.join(", "));
        verdicts.push(Verdict::new(condition::ANNOUNCED, true, reason::ANNOUNCED, message));
    }
    verdicts.extend(conflict::of_tenure(vip, record, held, author));
}

/// Where the address has been announced, on interfaces that are there.
fn announced<'a>(held: &Held, links: &'a Links) -> Vec<(&'a InterfaceName, MacAddr)> {
    let announced = held.state.announced.iter();
    announced.filter_map(|(link, mac)| Some((&links.get(link)?.name, *mac))).collect()
}

/// Whether the claim is at least as good as the one on record, by the rule that all speakers follow.
fn outranks(vip: Vip, epoch: u64, node: &NodeName, record: &VipRecord) -> bool {
    record.announcer.as_ref().is_none_or(|last| {
        let (theirs, them) = (u64::try_from(last.epoch).unwrap_or(0), NodeName::new(&last.node));
        (epoch, score(vip, node)) >= (theirs, score(vip, &them))
    })
}

fn announcer(
    record: &VipRecord,
    (interface, mac): &(&InterfaceName, MacAddr),
    epoch: u64,
    came: &Came,
    since: Timestamp,
    node: &NodeName,
) -> Announcer {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    let mine = record.announcer.as_ref().filter(|last| last.node == node.as_str());
    // The same claim on another interface, or by a speaker that was started again, has lasted since it was made.
    let (since, cause) = match mine {
        Some(last) if last.epoch == epoch || came.cause == Cause::Resumed => (last.since.clone(), last.cause),
        _ => (MicroTime(since), cause(came.cause)),
    };
    Announcer {
        node: node.to_string(),
        interface: interface.to_string(),
        mac: mac.to_string(),
        epoch: epoch.max(1),
        since,
        cause,
    }
}

const fn cause(cause: Cause) -> AnnouncementCause {
    match cause {
        Cause::Allocated | Cause::Resumed => AnnouncementCause::Allocated,
        Cause::Dead | Cause::Gone | Cause::Starved | Cause::Unfit => AnnouncementCause::Takeover,
        Cause::Left | Cause::Handover => AnnouncementCause::Handover,
        Cause::Moved => AnnouncementCause::Moved,
    }
}

/// The move that a new claim means; `None` if nobody else had the address before.
fn last_move(record: &VipRecord, announcer: &Announcer, came: &Came) -> Option<LastMove> {
    let before = record.announcer.as_ref();
    if before.is_some_and(|last| last.node == announcer.node && last.epoch == announcer.epoch) {
        return None;
    }
    let from = match &came.from {
        Some(from) => from.as_str(),
        None => &before?.node,
    };
    (from != announcer.node).then(|| LastMove {
        from: from.to_owned(),
        to: announcer.node.clone(),
        at: announcer.since.clone(),
        cause: announcer.cause,
        gap: came.gap.map(|gap| format!("{:.3}s", gap.as_secs_f64())),
    })
}

/// What another node's asking is worth writing: the first answer, another answer, or one after a long time.
fn verified(record: &VipRecord, verification: &Verification, author: Author<'_>) -> Option<Verified> {
    let mac = verification.answer.filter(|_| verification.right)?.to_string();
    let is_news = record
        .verified
        .as_ref()
        .is_none_or(|last| last.mac != mac || verification.at.duration_since(last.at.0).abs() >= VERIFIED_AFTER);
    is_news.then(|| Verified { at: MicroTime(verification.at), by: author.node.to_string(), mac })
}

/// The conditions with one of them said anew; those of others are kept.
fn with(conditions: &[Condition], verdict: &Verdict, now: Timestamp) -> Vec<Condition> {
    let said = verdict.condition(conditions, None, now);
    let others = conditions.iter().filter(|condition| condition.type_ != verdict.type_).cloned();
    others.chain([said]).collect()
}

#[cfg(test)]
mod tests;
