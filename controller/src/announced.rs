//! Whether a Service's addresses are announced, and the sentence that says so.
//!
//! The announcing speakers know; the controller repeats what they report, and says what nobody is there to report: no
//! speaker at all, no node that could. A speaker that should announce gets some time before the Service says that it
//! doesn't.

use crate::records::VipFacts;
use herald_api::condition::{Verdict, status};
use herald_api::keys::{condition, reason};
use herald_core::address::Vip;
use herald_core::names::NodeName;
use herald_core::ownership::{self, Subject, Unowned, View};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A speaker announces within milliseconds after it learned of an address; after this long something is wrong.
pub const GRACE: Duration = Duration::from_secs(5);

/// Since when addresses that some node should announce wait for it.
#[derive(Debug, Default)]
pub struct Patience {
    since: BTreeMap<Vip, Instant>,
    /// Addresses whose time is up; there is nothing more to wait for.
    overdue: BTreeMap<Vip, Instant>,
}

impl Patience {
    /// Notes that the address waits now; `true` = for too long already.
    fn waits(&mut self, vip: Vip, now: Instant) -> bool {
        if self.overdue.contains_key(&vip) {
            return true;
        }
        let since = *self.since.entry(vip).or_insert(now);
        let overdue = now.duration_since(since) >= GRACE;
        if overdue {
            self.since.remove(&vip);
            self.overdue.insert(vip, since);
        }
        overdue
    }

    /// Notes that the address waits no more.
    pub fn forget(&mut self, vip: Vip) {
        self.since.remove(&vip);
        self.overdue.remove(&vip);
    }

    /// When the first of them, after this moment, has waited too long.
    pub fn next_due(&self, after: Instant) -> Option<Instant> {
        self.since.values().map(|since| *since + GRACE).filter(|due| *due > after).min()
    }
}

/// What is known of one address.
#[derive(Debug, PartialEq, Eq)]
enum Announcement {
    By { node: String, interface: String },
    Not { reason: &'static str, message: String },
    Pending,
}

/// What judging depends on beside the addresses themselves.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// Nodes, their speakers, and advertisements.
    pub view: &'a View,
    /// The namespace that Herald runs in, for messages.
    pub namespace: &'a str,
    /// The moment.
    pub now: Instant,
}

impl Judge<'_> {
    /// Judges all addresses of a Service. `None` = some are about to be announced: what was said so far stays.
    pub fn verdict(
        &self,
        vips: &[(Vip, Option<&VipFacts>)],
        subject: impl Fn(Vip) -> Subject,
        patience: &mut Patience,
    ) -> Option<Verdict> {
        let several = vips.len() > 1;
        let mut by = Vec::new();
        let mut pending = vips.is_empty();
        for (vip, facts) in vips {
            match self.announcement(*vip, *facts, &subject, patience) {
                Announcement::By { node, interface } => by.push((vip, format!("by {node} on {interface}"))),
                Announcement::Not { reason, message } => {
                    let message = if several { format!("{vip}: {message}") } else { message };
                    return Some(Verdict::new(condition::SERVICE_ANNOUNCED, false, reason, message));
                }
                Announcement::Pending => pending = true,
            }
        }
        if pending {
            return None;
        }
        let message = match by.as_slice() {
            [(_, first), rest @ ..] if rest.iter().all(|(_, other)| other == first) => first.clone(),
            all => all.iter().map(|(vip, by)| format!("{vip} {by}")).collect::<Vec<_>>().join(", "),
        };
        Some(Verdict::new(condition::SERVICE_ANNOUNCED, true, reason::ANNOUNCED, message))
    }

    fn announcement(
        &self,
        vip: Vip,
        facts: Option<&VipFacts>,
        subject: impl Fn(Vip) -> Subject,
        patience: &mut Patience,
    ) -> Announcement {
        let reported =
            facts.and_then(|facts| facts.conditions.iter().find(|reported| reported.type_ == condition::ANNOUNCED));
        let announcer = facts.and_then(|facts| facts.announcer.as_ref());
        let denied = reported.filter(|reported| reported.status == status(false));
        if let (None, Some(announcer)) = (denied, announcer) {
            let node = self.view.nodes.get(&NodeName::new(&announcer.node));
            if node.is_some_and(|node| node.speaker && node.bar.is_none()) {
                patience.forget(vip);
                return Announcement::By { node: announcer.node.clone(), interface: announcer.interface.clone() };
            }
        }
        match ownership::owner(&subject(vip), self.view) {
            Err(unowned) => {
                patience.forget(vip);
                Announcement::Not { reason: unowned.reason(), message: self.unowned(&unowned) }
            }
            Ok(owner) => match denied.and_then(|denied| Some((known_reason(&denied.reason)?, &denied.message))) {
                Some((reason, message)) => {
                    patience.forget(vip);
                    Announcement::Not { reason, message: message.clone() }
                }
                None if patience.waits(vip, self.now) => {
                    Announcement::Not { reason: Unowned::NoSpeaker.reason(), message: self.silent(vip, owner) }
                }
                None => Announcement::Pending,
            },
        }
    }

    fn unowned(&self, unowned: &Unowned) -> String {
        match unowned {
            Unowned::NoSpeaker => format!("{unowned} (kubectl -n {} get pods)", self.namespace),
            _ => unowned.to_string(),
        }
    }

    fn silent(&self, vip: Vip, owner: &NodeName) -> String {
        format!(
            "{owner} should announce {vip} and has not done so for {} s: look at the log of its herald-speaker pod in \
             namespace {}",
            GRACE.as_secs(),
            self.namespace
        )
    }
}

/// The reasons that speakers give.
fn known_reason(text: &str) -> Option<&'static str> {
    [reason::NO_SPEAKER, reason::NO_SEGMENT, reason::NO_LOCAL_ENDPOINTS, reason::NODES_EXCLUDED, reason::NOT_ADVERTISED]
        .into_iter()
        .find(|known| *known == text)
}

#[cfg(test)]
mod tests;
