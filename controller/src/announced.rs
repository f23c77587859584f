//! Whether a Service's addresses are announced, the sentence that says so, and which of them may show.
//!
//! The announcing speakers know; the controller repeats what they report, and says what nobody is there to report: no
//! speaker at all, no node that could. A speaker that should announce gets some time before the Service says that it
//! doesn't.
//!
//! An address shows only when nobody else is known to have it: a speaker found it silent, or announces it. Where nobody can
//! ask, or nobody does for long, it shows unasked.

use crate::records::{Announcing, VipFacts};
use herald_api::condition::{Verdict, status};
use herald_api::keys::{condition, reason};
use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_core::names::NodeName;
use herald_core::ownership::{self, Subject, Unowned, View};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A speaker announces within milliseconds after it learned of an address; after this long something is wrong.
pub const GRACE: Duration = Duration::from_secs(5);

/// An address is asked for in about 0.2 s; what takes longer is said.
pub const ASKING: Duration = Duration::from_secs(1);

/// Since when addresses that some node should announce wait for it.
#[derive(Debug, Default)]
pub struct Patience {
    since: BTreeMap<Vip, Instant>,
    /// Addresses whose time is up; there is nothing more to wait for.
    overdue: BTreeMap<Vip, Instant>,
}

/// How long an address has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Short,
    Long,
    TooLong,
}

impl Patience {
    /// Notes that the address waits now.
    fn waits(&mut self, vip: Vip, now: Instant) -> Wait {
        if self.overdue.contains_key(&vip) {
            return Wait::TooLong;
        }
        let since = *self.since.entry(vip).or_insert(now);
        let waited = now.duration_since(since);
        if waited >= GRACE {
            self.since.remove(&vip);
            self.overdue.insert(vip, since);
            Wait::TooLong
        } else if waited >= ASKING {
            Wait::Long
        } else {
            Wait::Short
        }
    }

    /// Notes that the address waits no more.
    pub fn forget(&mut self, vip: Vip) {
        self.since.remove(&vip);
        self.overdue.remove(&vip);
    }

    /// When the first of them, after this moment, has waited long or too long.
    pub fn next_due(&self, after: Instant) -> Option<Instant> {
        let dues = self.since.values().flat_map(|since| [*since + ASKING, *since + GRACE]);
        dues.filter(|due| *due > after).min()
    }
}

/// One address of a Service, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// The address.
    pub vip: Vip,
    /// Its record, if there is one yet.
    pub facts: Option<&'a VipFacts>,
    /// Whether the Service's status shows it.
    pub shown: bool,
    /// Whether it may show before anybody announces it: it was found silent lately, or its pool is not asked about.
    pub vouched: bool,
    /// Who answered lately when a speaker asked for it.
    pub answer: Option<MacAddr>,
}

/// What is to be said of a Service's addresses, and which of them may show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// What the condition should say; `None` = what was said so far stays, because something is about to change.
    pub verdict: Option<Verdict>,
    /// The addresses that may show.
    pub clear: BTreeSet<Vip>,
    /// Some address is being asked for: better one write in a moment than two.
    pub waiting: bool,
}

/// What is known of one address.
#[derive(Debug, PartialEq, Eq)]
enum Announcement {
    By {
        node: NodeName,
        interface: String,
    },
    /// Somebody else has it.
    Conflict {
        message: String,
    },
    /// Nobody announces it.
    Not {
        reason: &'static str,
        message: String,
    },
    /// It will be announced in a moment.
    Pending,
    /// It is being asked for.
    Asking {
        long: bool,
    },
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
    /// Judges all addresses of a Service.
    pub fn assess(
        &self,
        addresses: &[Address<'_>],
        subject: impl Fn(Vip) -> Subject,
        patience: &mut Patience,
    ) -> Assessment {
        let mut result = Assessment::default();
        let mut by = Vec::new();
        let mut troubles = Vec::new();
        let mut conflicts = Vec::new();
        let mut pending = addresses.is_empty();
        for address in addresses {
            let vip = address.vip;
            let announcement = self.announcement(address, &subject, patience);
            if !matches!(announcement, Announcement::Conflict { .. } | Announcement::Asking { .. }) {
                result.clear.insert(vip);
            }
            match announcement {
                Announcement::By { node, interface } => by.push((vip, format!("by {node} on {interface}"))),
                Announcement::Conflict { message } => conflicts.push((vip, reason::ADDRESS_CONFLICT, message)),
                Announcement::Not { reason, message } => troubles.push((vip, reason, message)),
                Announcement::Asking { long: true } => {
                    result.waiting = true;
                    let message = format!("the network is being asked whether somebody has {vip} already");
                    troubles.push((vip, reason::PROBING, message));
                }
                Announcement::Asking { long: false } => (result.waiting, pending) = (true, true),
                Announcement::Pending => pending = true,
            }
        }
        let several = addresses.len() > 1;
        result.verdict = if let Some((vip, reason, message)) = conflicts.into_iter().chain(troubles).next() {
            let message = if several { format!("{vip}: {message}") } else { message };
            Some(Verdict::new(condition::SERVICE_ANNOUNCED, false, reason, message))
        } else if pending {
            None
        } else {
            Some(announced(&by))
        };
        result
    }

    fn announcement(
        &self,
        address: &Address<'_>,
        subject: impl Fn(Vip) -> Subject,
        patience: &mut Patience,
    ) -> Announcement {
        let Address { vip, facts, shown, vouched, answer } = *address;
        if let Some(message) = facts.and_then(conflict) {
            patience.forget(vip);
            return Announcement::Conflict { message };
        }
        let reported =
            facts.and_then(|facts| facts.conditions.iter().find(|reported| reported.type_ == condition::ANNOUNCED));
        let announcer = facts.and_then(|facts| facts.announcer.as_ref());
        let denied = reported.filter(|reported| reported.status == status(false));
        if let (None, Some(Announcing { claim, interface })) = (denied, announcer) {
            let node = self.view.nodes.get(&claim.node);
            // A node that is not Ready may have lost no more than its kubelet: the other speakers hear whether it is there.
            let stays = |node: &ownership::Node| matches!(node.bar, None | Some(ownership::Bar::NotReady));
            if node.is_some_and(|node| node.speaker && stays(node)) {
                patience.forget(vip);
                return Announcement::By { node: claim.node.clone(), interface: interface.to_string() };
            }
        }
        if let Some(mac) = answer.filter(|_| !shown) {
            patience.forget(vip);
            let message =
                format!("{mac} answers for {vip}: give that machine another address, or the pool other addresses");
            return Announcement::Conflict { message };
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
                None => match patience.waits(vip, self.now) {
                    Wait::TooLong => {
                        Announcement::Not { reason: Unowned::NoSpeaker.reason(), message: self.silent(vip, owner) }
                    }
                    _ if shown || vouched => Announcement::Pending,
                    wait => Announcement::Asking { long: wait == Wait::Long },
                },
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

/// All addresses are announced, by these.
fn announced(by: &[(Vip, String)]) -> Verdict {
    let message = match by {
        [(_, first), rest @ ..] if rest.iter().all(|(_, other)| other == first) => first.clone(),
        all => all.iter().map(|(vip, by)| format!("{vip} {by}")).collect::<Vec<_>>().join(", "),
    };
    Verdict::new(condition::SERVICE_ANNOUNCED, true, reason::ANNOUNCED, message)
}

/// What a speaker says of somebody else who has the address. That a verification went wrong is another matter.
pub fn conflict(facts: &VipFacts) -> Option<String> {
    let said = facts.conditions.iter().find(|said| said.type_ == condition::CONFLICT && said.status == status(true))?;
    let reasons = [reason::ADDRESS_CONFLICT, reason::OTHER_LOAD_BALANCER];
    reasons.contains(&said.reason.as_str()).then(|| said.message.clone())
}

/// The reasons that speakers give for not announcing at all.
fn known_reason(text: &str) -> Option<&'static str> {
    [reason::NO_SPEAKER, reason::NO_SEGMENT, reason::NO_LOCAL_ENDPOINTS, reason::NODES_EXCLUDED, reason::NOT_ADVERTISED]
        .into_iter()
        .find(|known| *known == text)
}

#[cfg(test)]
mod tests;
