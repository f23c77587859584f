//! What comes from others: claims, digests, handovers, and frames about addresses.

use super::neighbourhood::Connection;
use super::{Cause, Conflict, Event, Member};
use crate::address::Vip;
use crate::announce;
use crate::announce::Question;
use crate::announce::schedule::after;
use crate::claims::Merged;
use crate::liveness::{Body, Claim, Offer, Standing};
use crate::mac::MacAddr;
use crate::names::{IfIndex, NodeName};
use crate::ownership::Fitness;
use crate::tenure::Phase;
use std::time::{Duration, Instant};

/// No more messages than that answer one peer's digests.
const PAGES: usize = 64;
/// After a stranger's answer the wire is asked again so late.
const STRANGER_PAUSE: Duration = Duration::from_secs(5);
/// After the answer of a member whose claim isn't known, which may be on its way.
const MEMBER_PAUSE: Duration = Duration::from_millis(300);
/// After the answer of the claimant itself: it lives.
const CLAIMANT_PAUSE: Duration = Duration::from_millis(200);
/// A member that is heard again so long after the first time is no longer the same encounter.
const ENCOUNTER: Duration = Duration::from_secs(10);

impl Member {
    pub(super) fn heed(&mut self, link: IfIndex, from: &NodeName, body: Body, now: Instant) {
        match body {
            Body::Claims { node, entries } => {
                for Offer { vip, epoch } in entries {
                    self.learn(vip, Claim { epoch, node: node.clone() }, Some((link, from)), now);
                }
            }
            Body::Digests(theirs) => self.answer_digests(link, from, &theirs, now),
            Body::Handover { elective, offers } => {
                for offer in offers {
                    self.take_over(link, from, offer, elective, now);
                }
            }
            Body::Mismatch(vips) => {
                for vip in vips {
                    if self.held.contains(&vip) {
                        self.announcer.contend(vip, now);
                    }
                }
            }
            _ => {}
        }
    }

    fn answer_digests(&mut self, link: IfIndex, from: &NodeName, theirs: &[u64], now: Instant) {
        let Some(segment) = self.hood.segments.get_mut(&link) else { return };
        if !segment.answers_digests(from, now) {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        for page in self.claims.pages(theirs, self.turn, PAGES) {
            segment.detector.send(from, page, now);
        }
    }

    /// Takes a claim into account, wherever it comes from.
    pub(super) fn learn(&mut self, vip: Vip, claim: Claim, from: Option<(IfIndex, &NodeName)>, now: Instant) {
        let node = claim.node.clone();
        match self.claims.merge(vip, claim) {
            Merged::News { before } => {
                if before.is_some_and(|before| before.node == self.config.node) && node != self.config.node {
                    self.lose(vip, now);
                }
                if let Some(charge) = self.charges.get_mut(&vip) {
                    charge.damper.note(now);
                }
                if self.outlook.subjects.contains_key(&vip) {
                    self.review(vip, now);
                }
            }
            Merged::Lower => {
                if let Some((link, sender)) = from.filter(|(_, sender)| **sender == node) {
                    self.correct(link, sender, vip, now);
                }
            }
            Merged::Known | Merged::Refused => {}
        }
    }

    /// Takes a claim of the ledger into account. It may be that of a node on the other side of a split: while the node that
    /// has the address on this side is there, what the other side does doesn't count before they hear each other again.
    pub(super) fn learn_recorded(&mut self, vip: Vip, claim: Claim, now: Instant) {
        let links = self.charges.get(&vip).map(|charge| &charge.links);
        let here = |node: &NodeName| {
            *node == self.config.node || links.is_some_and(|it| self.hood.standing(node, it).takes_part())
        };
        let fell = |node: &NodeName| links.is_some_and(|it| self.hood.standing(node, it).fallen_since().is_some());
        if fell(&claim.node) && self.claims.get(vip).is_some_and(|known| here(&known.node)) {
            return;
        }
        self.learn(vip, claim, None, now);
    }

    /// Tells a member that believes to have an address who has it. If that is this node, it announces it again: the other one
    /// may have announced it meanwhile.
    fn correct(&mut self, link: IfIndex, to: &NodeName, vip: Vip, now: Instant) {
        let Some(claim) = self.claims.get(vip) else { return };
        let offer = Offer { vip, epoch: claim.epoch };
        self.outbox.answers.entry((link, to.clone(), claim.node.clone())).or_default().push(offer);
        if self.held.contains(&vip) {
            self.announcer.contend(vip, now);
        }
    }

    /// The node that has an address wants this one to have it.
    fn take_over(&mut self, link: IfIndex, from: &NodeName, offer: Offer, elective: bool, now: Instant) {
        let Offer { vip, epoch } = offer;
        self.learn(vip, Claim { epoch, node: from.clone() }, None, now);
        match self.claims.get(vip) {
            Some(claim) if claim.node == *from => {}
            // It has been taken already, by this node or another, and that wasn't heard.
            Some(_) => return self.correct(link, from, vip, now),
            None => return,
        }
        if !self.outlook.subjects.contains_key(&vip) {
            return;
        }
        let Some(charge) = self.charges.get(&vip) else { return };
        let may = !charge.links.is_empty()
            && !self.outlook.unprepared.contains(&vip)
            && self.hood.connection(&charge.links) > Connection::Passive
            && self.fitness(&self.config.node, &charge.links) == Fitness::Fit
            && charge.conflict.is_none();
        if may {
            let cause = if elective { Cause::Moved } else { Cause::Handover };
            self.set_timer(vip, None);
            self.claim(vip, cause, Some(from.clone()), None, now);
            self.unsettled.remove(&vip);
        }
    }

    /// A frame says that somebody has an address.
    pub(super) fn watch(&mut self, link: IfIndex, claim: announce::Claim, now: Instant) {
        let Ok(vip) = Vip::new(claim.address) else { return };
        let is_ours = self.links.values().any(|link| link.mac == claim.mac);
        if is_ours || self.announcer.is_by_proxy(link, &claim) {
            return;
        }
        self.inquiries.note(vip, link, claim.mac);
        let Some(charge) = self.charges.get(&vip).filter(|charge| charge.links.contains(&link)) else { return };
        let member = self.hood.member(claim.mac);
        let claimant = self.claims.get(vip).map(|claim| &claim.node);
        match &charge.phase {
            Phase::Asking(_) => self.hear_answer(vip, link, claim.mac, now),
            Phase::Yielding(yielding) if member.is_some() && member == yielding.to.as_ref() => self.cede(vip, now),
            Phase::Ceding { until, answering: true } if member.is_some() && member == claimant => {
                let until = *until;
                self.enter(vip, Phase::Ceding { until, answering: false });
            }
            _ => {}
        }
    }

    /// Somebody probes for an address. A member that does so is about to take it, or hears that a stranger has it: there is no
    /// need for a deputy.
    pub(super) fn note_probe(&mut self, link: IfIndex, question: Question, now: Instant) {
        let Ok(vip) = Vip::new(question.target) else { return };
        if self.hood.member(question.mac).is_some()
            && let Some(charge) = self.charges.get_mut(&vip).filter(|charge| charge.links.contains(&link))
            && charge.open_since.is_some()
            && self.claims.get(vip).is_none()
            && !matches!(charge.phase, Phase::Asking(_))
        {
            charge.open_since = Some(now);
            self.agenda.insert(vip);
        }
    }

    /// Somebody has answered a probe.
    fn hear_answer(&mut self, vip: Vip, link: IfIndex, mac: MacAddr, now: Instant) {
        let Some(charge) = self.charges.get(&vip) else { return };
        let member = self.hood.member(mac).cloned();
        let claimant = self.claims.get(vip).map(|claim| &claim.node);
        let pause = if member.is_some() && member.as_ref() == claimant {
            let standing = member.as_ref().map(|node| self.hood.standing(node, &charge.links));
            // Whoever was found to have fallen says nothing by a late answer, or by one that another gives in its name.
            if standing.is_some_and(|standing| standing.fallen_since().is_some() || standing == Standing::Left) {
                return;
            }
            CLAIMANT_PAUSE
        } else if let Some(node) = &member
            && charge.unclaimed_answers == 0
        {
            let digests = Body::Digests(self.claims.buckets().to_vec());
            if let Some(segment) = self.hood.segments.get_mut(&link) {
                segment.detector.send(node, digests, now);
            }
            MEMBER_PAUSE
        } else {
            self.note_conflict(vip, Conflict { mac, link, node: member.clone() }, now);
            STRANGER_PAUSE
        };
        let until = after(now, pause);
        if let Some(charge) = self.charges.get_mut(&vip) {
            charge.unclaimed_answers = charge.unclaimed_answers.saturating_add(1);
            charge.silent_at = None;
        }
        self.enter(vip, Phase::Answered { until });
        self.set_timer(vip, Some(until));
        self.unsettled.insert(vip);
    }

    fn note_conflict(&mut self, vip: Vip, conflict: Conflict, now: Instant) {
        if let Some(charge) = self.charges.get_mut(&vip) {
            charge.conflict = Some((conflict, now));
            self.dirty.insert(vip);
        }
    }

    /// A node's kernel refuses messages. If its process has ended, its addresses are this node's to take in a moment: the wire is
    /// asked meanwhile.
    pub(super) fn note_refusal(&mut self, node: &NodeName, now: Instant) {
        if self.refused.get(node).is_some_and(|first| now.saturating_duration_since(*first) < ENCOUNTER) {
            return;
        }
        self.refused.insert(node.clone(), now);
        for vip in self.claims.of(node).collect::<Vec<_>>() {
            self.review(vip, now);
        }
    }

    /// Another station announces what this node does. A member that has no better claim is told so; one that has none at
    /// all is no speaker but another load balancer on its node.
    pub(super) fn rival(&mut self, vip: Vip, link: IfIndex, mac: MacAddr, now: Instant) {
        let member = self.hood.member(mac).cloned();
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        if !matches!(charge.phase, Phase::Holding) {
            return;
        }
        let Some(node) = member else {
            self.note_conflict(vip, Conflict { mac, link, node: None }, now);
            return self.wake_up_for(vip, now);
        };
        let since = charge.stray.filter(|since| now.saturating_duration_since(*since) < ENCOUNTER);
        charge.stray = Some(since.unwrap_or(now));
        let digests = Body::Digests(self.claims.buckets().to_vec());
        self.correct(link, &node, vip, now);
        if let Some(segment) = self.hood.segments.get_mut(&link) {
            segment.detector.send(&node, digests, now);
        }
        if since.is_some_and(|since| now.saturating_duration_since(since) >= MEMBER_PAUSE) {
            self.note_conflict(vip, Conflict { mac, link, node: Some(node) }, now);
            self.wake_up_for(vip, now);
        }
    }

    /// Makes sure that the end of a conflict is noticed.
    fn wake_up_for(&mut self, vip: Vip, now: Instant) {
        self.review(vip, now);
    }

    /// Takes what the announcer tells.
    pub(super) fn take_event(&mut self, event: &announce::Event, now: Instant) {
        match *event {
            announce::Event::Announced { vip, link, mac, at } => {
                let Some(charge) = self.charges.get_mut(&vip).filter(|charge| charge.phase.is_held()) else { return };
                charge.announced.insert(link, mac);
                let lost = charge.lost;
                if let Some(came) = charge.came.as_mut().filter(|came| came.at.is_none()) {
                    came.at = Some(at);
                    came.gap = match came.cause {
                        Cause::Handover | Cause::Moved | Cause::Unfit => Some(Duration::ZERO),
                        _ => lost.map(|lost| at.saturating_duration_since(lost)),
                    };
                }
                self.dirty.insert(vip);
            }
            announce::Event::Rival { vip, link, mac } => self.rival(vip, link, mac, now),
            announce::Event::NoLinkLocal { link } => self.report(Event::NoLinkLocal { link }),
            announce::Event::Withdrawn { .. } => {}
        }
    }
}
