//! What this node has heard from the wire about the addresses it announces: that its own first announcements left,
//! and that other members of the cluster announce them too.
//!
//! Owns how long such news counts. What follows from it is decided in [`crate::duties`].

use crate::announcer::Event;
use crate::duties::Duties;
use crate::picture::Picture;
use crate::report::Announced;
use herald_core::address::Vip;
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use herald_core::names::{IfIndex, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a member's frame for our address counts, and how long our view counts as old after the API server is
/// back: the watches need up to five seconds to go on.
const LINGER: Duration = Duration::from_secs(10);

/// News from the wire.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    announced: BTreeMap<Vip, BTreeMap<IfIndex, MacAddr>>,
    relieved: BTreeSet<Vip>,
    rivals: BTreeMap<Vip, Instant>,
    stale_until: Option<Instant>,
    hindrances: BTreeMap<IfIndex, String>,
}

/// What a piece of news calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Computing anew.
    Pass,
    /// Asking the API server whether it is still there: a member announces what our view says is ours.
    Doubt,
    /// Nothing.
    Nothing,
}

impl Heard {
    /// Takes in an event. `member` is the node a rival's MAC address belongs to.
    pub fn note(&mut self, event: &Event, member: Option<&NodeName>, duties: &Duties, now: Instant) -> Demand {
        match event {
            Event::Announced { vip, link, mac, .. } => {
                self.announced.entry(*vip).or_default().insert(*link, *mac);
                self.hindrances.remove(link);
                Demand::Pass
            }
            Event::Withdrawn { vip } => {
                self.announced.remove(vip);
                Demand::Nothing
            }
            Event::Rival { vip, .. } if member.is_some() => {
                if duties.leaving.contains_key(vip) {
                    self.relieved.insert(*vip);
                    return Demand::Pass;
                }
                self.rivals.insert(*vip, now);
                if self.is_stale(now) { Demand::Pass } else { Demand::Doubt }
            }
            Event::Rival { .. } => Demand::Nothing,
            Event::Hindered { link, hindrance } => {
                self.hindrances.insert(*link, hindrance.clone());
                Demand::Pass
            }
        }
    }

    /// Forgets what counts no more. `away`: the API server does not answer.
    pub fn age(&mut self, away: bool, now: Instant) {
        if away {
            self.stale_until = now.checked_add(LINGER);
        }
        if !self.is_stale(now) {
            self.stale_until = None;
            self.rivals.retain(|_, heard| now.saturating_duration_since(*heard) < LINGER);
        }
    }

    /// Addresses that a member announces while our view is old.
    pub fn silenced(&self, now: Instant) -> BTreeSet<Vip> {
        if self.is_stale(now) { self.rivals.keys().copied().collect() } else { BTreeSet::new() }
    }

    /// Addresses that another node must take and was heard to announce.
    pub const fn relieved(&self) -> &BTreeSet<Vip> {
        &self.relieved
    }

    /// What hinders the announcer, on interfaces that are there.
    pub fn hindrance(&self, links: &Links) -> Option<&str> {
        self.hindrances.iter().find(|(link, _)| links.contains_key(link)).map(|(_, hindrance)| hindrance.as_str())
    }

    /// Follows new duties: what is announced no more was never announced, and relief ends with the claim that it ended.
    pub fn follow(&mut self, duties: &Duties, picture: &Picture, node: &NodeName) {
        self.announced.retain(|vip, links| match duties.owned.get(vip) {
            Some(owned) => {
                links.retain(|link, _| owned.contains(link));
                !links.is_empty()
            }
            None => false,
        });
        self.relieved.retain(|vip| {
            let claimant = picture.subjects.get(vip).and_then(|subject| Some(&subject.claim.as_ref()?.node));
            claimant == Some(node) && !duties.owned.contains_key(vip)
        });
    }

    /// Where an address has been announced, by interface number.
    pub fn announced(&self, vip: Vip, links: &Links) -> Vec<Announced> {
        let links_of = self.announced.get(&vip).into_iter().flatten();
        links_of
            .filter_map(|(index, mac)| Some(Announced { interface: links.get(index)?.name.clone(), mac: *mac }))
            .collect()
    }

    /// When silence because of an old view ends.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.stale_until
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.stale_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests;
