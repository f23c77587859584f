//! Asking the wire where nobody waits for the answer: free addresses that may be given out next, and addresses that other
//! nodes announce.
//!
//! Owns which address is asked for when. What other nodes announce is asked for by one node at a time and address, in turn.

use super::{Event, Member};
use crate::address::Vip;
use crate::announce::schedule::after;
use crate::liveness::{Body, Standing};
use crate::mac::MacAddr;
use crate::names::{IfIndex, NodeName};
use crate::ownership::score;
use crate::probe::Probe;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

/// A free address is asked for again so long after the last time, which is before its silence counts no more.
const AGAIN: Duration = Duration::from_mins(5);
/// Between two free addresses that are asked for.
const PACE: Duration = Duration::from_millis(50);
/// Between two addresses of other nodes that are asked for.
const VERIFICATION: Duration = Duration::from_secs(30);
/// Where the pace of frames leaves no room, a question waits so long.
const CROWDED: Duration = Duration::from_millis(100);
/// How many addresses are looked at in one go for one to verify.
const LOOKS: usize = 512;

/// What is being asked, and what will be.
#[derive(Debug)]
pub(super) struct Inquiries {
    /// Free addresses with the time of the next question.
    free: BTreeMap<Vip, Instant>,
    due: BTreeSet<(Instant, Vip)>,
    /// When the next free address may be asked for.
    pace: Instant,
    asking: BTreeMap<Vip, Asking>,
    verification: Option<Verification>,
    next_verification: Instant,
    /// The address that was verified last.
    last: Option<Vip>,
}

#[derive(Debug)]
struct Asking {
    probe: Probe,
    answer: Option<MacAddr>,
}

#[derive(Debug)]
struct Verification {
    vip: Vip,
    node: NodeName,
    links: BTreeSet<IfIndex>,
    probe: Probe,
    right: BTreeSet<MacAddr>,
    answer: Option<MacAddr>,
}

impl Inquiries {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            free: BTreeMap::new(),
            due: BTreeSet::new(),
            pace: now,
            asking: BTreeMap::new(),
            verification: None,
            next_verification: after(now, VERIFICATION),
            last: None,
        }
    }

    /// Follows a change of the free addresses.
    pub(super) fn set_free(&mut self, free: &BTreeSet<Vip>, now: Instant) {
        let gone: Vec<Vip> = self.free.keys().filter(|vip| !free.contains(vip)).copied().collect();
        for vip in gone {
            if let Some(due) = self.free.remove(&vip) {
                self.due.remove(&(due, vip));
            }
            self.asking.remove(&vip);
        }
        for vip in free.iter().filter(|vip| !self.free.contains_key(vip)).copied().collect::<Vec<_>>() {
            self.free.insert(vip, now);
            self.due.insert((now, vip));
        }
    }

    /// Somebody says that it has an address.
    pub(super) fn note(&mut self, vip: Vip, link: IfIndex, mac: MacAddr) {
        if let Some(asking) = self.asking.get_mut(&vip) {
            asking.answer = Some(mac);
        }
        if let Some(verification) = self.verification.as_mut().filter(|it| it.vip == vip && it.links.contains(&link))
            && verification.answer.is_none_or(|answer| !verification.right.contains(&answer))
        {
            verification.answer = Some(mac);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let free = self.due.first().map(|(due, _)| (*due).max(self.pace));
        let asking = self.asking.values().map(|asking| asking.probe.next_deadline()).min();
        let verification =
            self.verification.as_ref().map_or(self.next_verification, |running| running.probe.next_deadline());
        [free, asking, Some(verification)].into_iter().flatten().min()
    }
}

impl Member {
    /// Asks what is due, and takes the answers.
    pub(super) fn inquire(&mut self, now: Instant) {
        self.begin_free(now);
        self.go_on_free(now);
        self.begin_verification(now);
        self.go_on_verification(now);
    }

    fn begin_free(&mut self, now: Instant) {
        let inquiries = &mut self.inquiries;
        let Some(&(due, vip)) = inquiries.due.first().filter(|(due, _)| *due <= now && inquiries.pace <= now) else {
            return;
        };
        inquiries.pace = after(now, PACE);
        let next = after(now, AGAIN);
        inquiries.due.remove(&(due, vip));
        inquiries.due.insert((next, vip));
        inquiries.free.insert(vip, next);
        inquiries.asking.insert(vip, Asking { probe: Probe::new(now), answer: None });
    }

    fn go_on_free(&mut self, now: Instant) {
        let due = self.inquiries.asking.iter().filter(|(_, asking)| asking.probe.next_deadline() <= now);
        for vip in due.map(|(vip, _)| *vip).collect::<Vec<_>>() {
            let Some(asking) = self.inquiries.asking.get_mut(&vip) else { continue };
            if asking.probe.asks(now) {
                let links = self.links.values().filter(|link| link.carrier && link.has_subnet_of(vip));
                let links: BTreeSet<IfIndex> = links.map(|link| link.index).collect();
                if links.is_empty() {
                    self.inquiries.asking.remove(&vip);
                } else if !links.iter().all(|link| self.announcer.may_ask(*link, now)) {
                    asking.probe.postpone(after(now, CROWDED));
                } else if asking.probe.take_question(now) {
                    self.ask_for(vip, &links, true);
                }
            } else if asking.probe.is_over(now) {
                let answer = asking.answer;
                self.inquiries.asking.remove(&vip);
                self.report(Event::Probed { vip, answer, at: now });
            }
        }
    }

    fn begin_verification(&mut self, now: Instant) {
        if self.inquiries.verification.is_some() || now < self.inquiries.next_verification {
            return;
        }
        self.inquiries.next_verification = after(now, VERIFICATION);
        let from = self.inquiries.last.map_or(Bound::Unbounded, Bound::Excluded);
        let ahead = self.charges.range((from, Bound::Unbounded));
        let candidates = ahead.chain(self.charges.iter()).take(LOOKS.min(self.charges.len()));
        let mut looked_at = None;
        let mut chosen = None;
        for (vip, charge) in candidates {
            looked_at = Some(*vip);
            let Some(claim) = self.claims.get(*vip).filter(|claim| claim.node != self.config.node) else { continue };
            if self.verifies(*vip, &claim.node, &charge.links) {
                chosen = Some((claim.node.clone(), charge.links.clone()));
                break;
            }
        }
        self.inquiries.last = looked_at;
        let (Some(vip), Some((node, links))) = (looked_at, chosen) else { return };
        let right = self.view.nodes.get(&node).into_iter().flat_map(|node| &node.segments).filter_map(|it| it.mac);
        let right = right.collect();
        let probe = Probe::unhurried(now);
        self.inquiries.verification = Some(Verification { vip, node, links, probe, right, answer: None });
    }

    /// Whether this node is the one that asks for an address of another: of the others that are there, the first in the
    /// order of the scores. One of them is enough, and of several each would write down what it heard.
    fn verifies(&self, vip: Vip, owner: &NodeName, links: &BTreeSet<IfIndex>) -> bool {
        let alive = |node: &NodeName| matches!(self.hood.standing(node, links), Standing::Alive(_));
        if !alive(owner) {
            return false;
        }
        let mine = score(vip, &self.config.node);
        let peers =
            links.iter().filter_map(|link| self.hood.segments.get(link)).flat_map(|segment| segment.peers.keys());
        let mut rivals = peers.filter(|node| *node != owner && alive(node));
        !rivals.any(|node| score(vip, node) > mine)
    }

    fn go_on_verification(&mut self, now: Instant) {
        let Some(running) = self.inquiries.verification.as_mut().filter(|it| it.probe.next_deadline() <= now) else {
            return;
        };
        let vip = running.vip;
        let is_right = running.answer.is_some_and(|answer| running.right.contains(&answer));
        if !is_right && running.probe.asks(now) {
            let links = running.links.clone();
            if !links.iter().all(|link| self.announcer.may_ask(*link, now)) {
                running.probe.postpone(after(now, CROWDED));
            } else if running.probe.take_question(now) {
                self.ask_for(vip, &links, false);
            }
            return;
        }
        let Some(done) = self.inquiries.verification.take() else { return };
        // It has moved meanwhile: whatever was heard says nothing.
        if self.claims.get(vip).is_none_or(|claim| claim.node != done.node) {
            return;
        }
        if !is_right
            && let Some(link) = self.hood.way_to(&done.node, &done.links)
            && let Some(segment) = self.hood.segments.get_mut(&link)
        {
            segment.detector.send(&done.node, Body::Mismatch(vec![vip]), now);
        }
        self.report(Event::Verified { vip, node: done.node, answer: done.answer, right: is_right, at: now });
    }
}
