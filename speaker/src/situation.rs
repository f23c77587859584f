//! What the member has said last about each thing: its addresses, its peers, itself.
//!
//! Owns the mirror and the times of the wall clock that go with it; decides nothing. What is written to the API server and
//! told to people follows from here.

use crate::member::{Event, Task};
use herald_core::address::Vip;
use herald_core::link::Links;
use herald_core::liveness::{Standing, Witness};
use herald_core::mac::MacAddr;
use herald_core::member::{self, Came, Tenure, VipState};
use herald_core::names::{IfIndex, NodeName};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a name counts as doubly used after that was noticed last.
const DUPLICATE_FOR: Duration = Duration::from_mins(1);
/// How long this node counts as late after it was so last: on a node that is often late that is one write, not many.
const LATE_FOR: Duration = Duration::from_secs(30);
/// How long a free address counts as somebody else's after that one has answered for it.
const OCCUPIED_FOR: Duration = Duration::from_mins(10);
/// How long what the wire has said about another node's address is worth telling.
const VERIFIED_FOR: Duration = Duration::from_secs(30);

/// One moment, by the clock that measures and by the one that people read.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For measuring.
    pub instant: Instant,
    /// For people.
    pub timestamp: Timestamp,
}

impl Moment {
    /// When something in the past was, for people.
    pub fn timestamp_of(self, past: Instant) -> Timestamp {
        let ago =
            SignedDuration::try_from(self.instant.saturating_duration_since(past)).unwrap_or(SignedDuration::ZERO);
        self.timestamp.checked_sub(ago).unwrap_or(self.timestamp)
    }
}

/// What this node does about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What the member says.
    pub state: VipState,
    /// When its first announcement left; while it is not announced, when it was last heard of.
    pub since: Timestamp,
}

/// What the wire said about a free address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Who answered.
    pub answer: Option<MacAddr>,
    /// When.
    pub at: Timestamp,
    /// When, for measuring.
    pub instant: Instant,
}

/// What the wire said about another node's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The node that announces it.
    pub node: NodeName,
    /// Who answered.
    pub answer: Option<MacAddr>,
    /// Whether that is right.
    pub right: bool,
    /// When.
    pub at: Timestamp,
    instant: Instant,
}

impl Verification {
    /// What the wire said at a moment.
    pub const fn new(node: NodeName, answer: Option<MacAddr>, right: bool, at: Timestamp, instant: Instant) -> Self {
        Self { node, answer, right, at, instant }
    }
}

/// What a piece of news is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// This address; the state it had.
    Vip(Vip, VipState),
    /// What the wire says of another node's address.
    Verified(Vip),
    /// What this node reports of itself.
    Myself,
    /// What the wire says of free addresses.
    Probed,
    /// A number for the metrics.
    Late(Duration),
    /// Nothing that anything follows from.
    Nothing,
}

/// The mirror.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    vips: BTreeMap<Vip, Held>,
    peers: BTreeMap<(IfIndex, NodeName), Standing>,
    witnesses: BTreeMap<IfIndex, Witness>,
    /// Where this node holds back because it was late, and when it was so last where it doesn't any more.
    late: BTreeMap<IfIndex, Option<Instant>>,
    probed: BTreeMap<Vip, Probed>,
    verified: BTreeMap<Vip, Verification>,
    duplicates: BTreeMap<NodeName, Instant>,
    refusing: BTreeSet<(IfIndex, NodeName)>,
    hindrances: BTreeMap<(IfIndex, Task), String>,
}

impl Situation {
    /// Takes in what the member says.
    pub fn note(&mut self, event: Event, now: Moment) -> News {
        match event {
            Event::Member(event) => self.note_member(event, now),
            Event::Hindered { link, task, hindrance } => {
                match hindrance {
                    Some(hindrance) => drop(self.hindrances.insert((link, task), hindrance)),
                    None => drop(self.hindrances.remove(&(link, task))),
                }
                News::Myself
            }
        }
    }

    fn note_member(&mut self, event: member::Event, now: Moment) -> News {
        use member::Event;
        match event {
            Event::Vip { vip, state } => return self.note_vip(vip, state, now),
            Event::Verified { vip, node, answer, right, at } => {
                self.verified.insert(vip, Verification::new(node, answer, right, now.timestamp_of(at), at));
                return News::Verified(vip);
            }
            Event::Woke { lateness } => return News::Late(lateness),
            Event::Peer { link, node, standing } => {
                self.peers.insert((link, node), standing);
                return News::Nothing;
            }
            Event::Witness { link, witness } => drop(self.witnesses.insert(link, witness)),
            Event::Degraded { link, degraded } => {
                self.late.insert(link, (!degraded).then_some(now.instant));
            }
            Event::Probed { vip, answer, at } => {
                self.probed.insert(vip, Probed { answer, at: now.timestamp_of(at), instant: at });
                return News::Probed;
            }
            // The member's thread says so in words, as a hindrance.
            Event::NoLinkLocal { .. } => return News::Nothing,
            Event::DuplicateName { node } => drop(self.duplicates.insert(node, now.instant)),
            Event::Refusing { link, node, refuses: true } => drop(self.refusing.insert((link, node))),
            Event::Refusing { link, node, refuses: false } => drop(self.refusing.remove(&(link, node))),
        }
        News::Myself
    }

    /// Takes note that another process speaks under a name, as far as the API server shows.
    pub fn note_duplicate(&mut self, node: NodeName, now: Instant) {
        self.duplicates.insert(node, now);
    }

    fn note_vip(&mut self, vip: Vip, state: VipState, now: Moment) -> News {
        let before = self.vips.get(&vip).map(|held| held.state.clone()).unwrap_or_default();
        if state == VipState::default() {
            self.vips.remove(&vip);
        } else {
            let since = claim(&state).and_then(|(_, came)| came.at).map_or(now.timestamp, |at| now.timestamp_of(at));
            self.vips.insert(vip, Held { state, since });
        }
        News::Vip(vip, before)
    }

    /// What this node does about an address; `None`: nothing.
    pub fn vip(&self, vip: Vip) -> Option<&Held> {
        self.vips.get(&vip)
    }

    /// The addresses this node does something about.
    pub const fn vips(&self) -> &BTreeMap<Vip, Held> {
        &self.vips
    }

    /// What the wire has just said about another node's address.
    pub fn verification(&self, vip: Vip) -> Option<&Verification> {
        self.verified.get(&vip)
    }

    /// What the wire has said about free addresses.
    pub const fn probed(&self) -> &BTreeMap<Vip, Probed> {
        &self.probed
    }

    /// Peers by interface and name.
    pub const fn peers(&self) -> &BTreeMap<(IfIndex, NodeName), Standing> {
        &self.peers
    }

    /// The first hindrance on an interface that is there.
    pub fn hindrance(&self, links: &Links) -> Option<&str> {
        self.hindrances.iter().find(|((link, _), _)| links.contains_key(link)).map(|(_, hindrance)| hindrance.as_str())
    }

    /// Whether this node was late just now.
    pub fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Interfaces on which this node has fallen silent because nothing is heard there.
    pub fn cut_off(&self) -> impl Iterator<Item = IfIndex> {
        self.witnesses.iter().filter(|(_, witness)| witness.passive).map(|(link, _)| *link)
    }

    /// Names under which two processes speak.
    pub fn duplicates(&self) -> impl Iterator<Item = &NodeName> {
        self.duplicates.keys()
    }

    /// Peers whose kernels refuse messages although their speakers run, by interface.
    pub const fn refusing(&self) -> &BTreeSet<(IfIndex, NodeName)> {
        &self.refusing
    }

    /// Forgets what counts no more, and says whether this node has something else to report of itself then. `wanted` are
    /// the free addresses that are still asked for.
    pub fn age(&mut self, links: &Links, wanted: &BTreeSet<Vip>, now: Instant) -> bool {
        self.verified.retain(|_, verified| now.saturating_duration_since(verified.instant) < VERIFIED_FOR);
        self.peers.retain(|(link, _), _| links.contains_key(link));
        self.witnesses.retain(|link, _| links.contains_key(link));
        self.refusing.retain(|(link, _)| links.contains_key(link));
        let before = (self.probed.len(), self.duplicates.len(), self.late.len());
        let younger = |past: Instant, than: Duration| now.saturating_duration_since(past) < than;
        // An address that somebody has is asked for no more, but not forgotten at once: it would be tried again and again.
        self.probed.retain(|vip, probed| {
            wanted.contains(vip) || (probed.answer.is_some() && younger(probed.instant, OCCUPIED_FOR))
        });
        self.duplicates.retain(|_, heard| younger(*heard, DUPLICATE_FOR));
        self.late.retain(|link, until| links.contains_key(link) && until.is_none_or(|until| younger(until, LATE_FOR)));
        before != (self.probed.len(), self.duplicates.len(), self.late.len())
    }

    /// When to call [`Situation::age`] again at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let duplicates = self.duplicates.values().filter_map(|heard| heard.checked_add(DUPLICATE_FOR));
        let late = self.late.values().flatten().filter_map(|until| until.checked_add(LATE_FOR));
        duplicates.chain(late).min()
    }
}

/// The epoch of this node's claim and how it came by it, while it answers for the address.
pub const fn claim(state: &VipState) -> Option<(u64, &Came)> {
    match &state.tenure {
        Tenure::Announcing { epoch, came } | Tenure::Yielding { epoch, came, .. } => Some((*epoch, came)),
        Tenure::Idle | Tenure::Unowned(_) | Tenure::Probing | Tenure::Suspended { .. } => None,
    }
}

#[cfg(test)]
mod tests;
