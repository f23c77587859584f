//! From what should become of an address to what this node does about it: the changes of state, and what each entails.

use super::decision::Decision;
use super::{Came, Cause, Member};
use crate::address::Vip;
use crate::announce::schedule::after;
use crate::claims::Merged;
use crate::liveness::{Claim, Inquiry, Offer};
use crate::names::{IfIndex, NodeName};
use crate::ownership;
use crate::probe::Probe;
use crate::tenure::{ASK_AGAIN, Charge, OVERLAP, PATIENCE, Phase, Yielding};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A stranger that hasn't been heard for so long has given up.
const CONFLICT_LASTS: Duration = Duration::from_mins(1);
/// A planned move may be answered so long after the last question.
const ANSWER_COUNTS: Duration = Duration::from_secs(3);

impl Member {
    /// Looks at an address and does what follows.
    pub(super) fn review(&mut self, vip: Vip, now: Instant) {
        if !self.refresh(vip) {
            return;
        }
        self.progress(vip, now);
        let Some(charge) = self.charges.get(&vip) else { return };
        let decision = self.decide(vip, charge, now);
        self.conduct(vip, decision, now);
    }

    /// Makes sure that the address is known here, with the interfaces it would be announced on. `false`: nobody uses it.
    fn refresh(&mut self, vip: Vip) -> bool {
        let Some(subject) = self.outlook.subjects.get(&vip) else {
            self.drop_charge(vip);
            return false;
        };
        let interfaces = ownership::interfaces(subject, &self.view, &self.config.node);
        let links: BTreeSet<IfIndex> =
            self.links.iter().filter(|(_, link)| interfaces.contains(&link.name)).map(|(index, _)| *index).collect();
        let charge = self.charges.entry(vip).or_insert_with(|| {
            // What a person wants is followed up; what the balancer wanted may be long over.
            Charge::new(subject.preferred.clone().filter(|_| !subject.pinned))
        });
        if links.is_empty() && charge.phase.is_held() {
            // It is answered where it was until another node has it.
            charge.links.retain(|link| self.links.get(link).is_some_and(|link| link.carrier));
        } else if charge.links != links {
            charge.links = links;
        }
        let before = charge.announced.len();
        charge.announced.retain(|link, _| charge.links.contains(link));
        if charge.announced.len() != before {
            self.dirty.insert(vip);
        }
        self.claims.use_address(vip);
        true
    }

    fn drop_charge(&mut self, vip: Vip) {
        self.claims.forget(vip);
        self.unsettled.remove(&vip);
        self.held.remove(&vip);
        let Some(mut charge) = self.charges.remove(&vip) else { return };
        if let Some(timer) = charge.timer.take() {
            self.timers.remove(&(timer, vip));
        }
        self.announcer.place(vip, BTreeSet::new(), BTreeSet::new());
        self.announcer.stop_probing(vip);
        charge.phase = Phase::Idle;
        charge.unowned = None;
        charge.conflict = None;
        self.says.extend(charge.take_news(None).map(|state| (vip, state)));
    }

    /// Asks on, or takes silence for an answer.
    fn progress(&mut self, vip: Vip, now: Instant) {
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        let Phase::Asking(probe) = &mut charge.phase else { return };
        charge.unasked.retain(|link| charge.links.contains(link));
        if !charge.unasked.is_empty() {
            return;
        }
        if probe.is_over(now) {
            charge.phase = Phase::Idle;
            charge.silent_at = Some(now);
            charge.unclaimed_answers = 0;
            charge.conflict = None;
        } else if probe.take_question(now) {
            charge.unasked.clone_from(&charge.links);
            self.announcer.probe(vip, &charge.links);
            self.placed = true;
        }
    }

    /// The question of a probe may leave on an interface, and does.
    pub(super) fn send_probe(&mut self, vip: Vip, link: IfIndex, now: Instant) {
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        if !charge.unasked.remove(&link) {
            return;
        }
        let is_last = charge.unasked.is_empty();
        let timer = match &mut charge.phase {
            Phase::Asking(probe) => {
                probe.note_departure(now);
                is_last.then(|| probe.next_deadline())
            }
            _ => return,
        };
        self.ask_for(vip, &BTreeSet::from([link]), true);
        if timer.is_some() {
            self.set_timer(vip, timer);
        }
    }

    /// Asks everybody on some interfaces for an address.
    pub(super) fn ask_for(&mut self, vip: Vip, links: &BTreeSet<IfIndex>, probe: bool) {
        for link in links {
            self.ask(*link, Inquiry::Resolve { target: vip.address(), mac: None, probe });
        }
    }

    fn conduct(&mut self, vip: Vip, decision: Decision, now: Instant) {
        let is_settled = matches!(decision, Decision::Theirs | Decision::Hold);
        if is_settled {
            self.unsettled.remove(&vip)
        } else {
            self.unsettled.insert(vip)
        };
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        charge.unowned = None;
        match &decision {
            Decision::Theirs | Decision::Hold | Decision::HoldUntil(_) | Decision::Yield { .. } => {
                charge.open_since = None;
                charge.silent_at = None;
            }
            _ => _ = charge.open_since.get_or_insert(now),
        }
        let timer = match decision {
            Decision::Theirs | Decision::Rest => self.rest(vip, None),
            Decision::Wait(until) => self.rest(vip, Some(until)),
            Decision::Unowned(unowned) => {
                charge.unowned = Some(unowned);
                self.rest(vip, None)
            }
            Decision::Ask => self.begin_to_ask(vip, now),
            Decision::Claim { cause, from, since } => {
                self.claim(vip, cause, from, since, now);
                None
            }
            Decision::Hold => self.hold(vip, now),
            Decision::HoldUntil(until) => Some(self.hold(vip, now).map_or(until, |timer| timer.min(until))),
            Decision::Yield { heirs, elective } => self.yield_to(vip, &heirs, elective, now),
            Decision::Suspend => {
                self.enter(vip, Phase::Suspended);
                None
            }
        };
        self.set_timer(vip, timer);
    }

    /// Falls silent, but for what still has its time.
    fn rest(&mut self, vip: Vip, until: Option<Instant>) -> Option<Instant> {
        let charge = self.charges.get_mut(&vip)?;
        let has_time = until.is_some() && matches!(charge.phase, Phase::Ceding { .. } | Phase::Answered { .. });
        if !has_time {
            if until.is_none() {
                charge.conflict = None;
                charge.unclaimed_answers = 0;
            }
            self.enter(vip, Phase::Idle);
        }
        until
    }

    fn begin_to_ask(&mut self, vip: Vip, now: Instant) -> Option<Instant> {
        let charge = self.charges.get(&vip)?;
        if !matches!(charge.phase, Phase::Asking(_)) {
            self.enter(vip, Phase::Asking(Probe::new(now)));
            self.progress(vip, now);
        }
        let charge = self.charges.get(&vip)?;
        match &charge.phase {
            Phase::Asking(probe) if charge.unasked.is_empty() => Some(probe.next_deadline()),
            _ => None,
        }
    }

    /// Makes an address this node's: claims it, tells everybody, announces it.
    pub(super) fn claim(
        &mut self,
        vip: Vip,
        cause: Cause,
        from: Option<NodeName>,
        since: Option<Instant>,
        now: Instant,
    ) {
        let epoch = self.claims.get(vip).map_or(0, |claim| claim.epoch).saturating_add(1);
        let claim = Claim { epoch, node: self.config.node.clone() };
        if matches!(self.claims.merge(vip, claim), Merged::Refused) {
            return;
        }
        self.claims.use_address(vip);
        let wish = self.outlook.subjects.get(&vip).and_then(|subject| subject.preferred.clone());
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        charge.came = Some(Came { cause, from, at: None, gap: None });
        charge.lost = since;
        charge.wish = wish;
        charge.damper.note(now);
        charge.open_since = None;
        charge.silent_at = None;
        charge.announced.clear();
        for link in &charge.links {
            self.outbox.claims.entry(*link).or_default().push(Offer { vip, epoch });
        }
        self.enter(vip, Phase::Holding);
    }

    fn hold(&mut self, vip: Vip, now: Instant) -> Option<Instant> {
        let preferred = self.outlook.subjects.get(&vip).and_then(|subject| subject.preferred.clone());
        let charge = self.charges.get_mut(&vip)?;
        if !charge.phase.is_held() {
            charge.announced.clear();
            charge.lost = None;
        }
        charge.came.get_or_insert(Came { cause: Cause::Resumed, from: None, at: None, gap: None });
        if preferred.as_ref() == Some(&self.config.node) {
            charge.wish = preferred;
        }
        let quiet = charge.conflict.as_ref().map(|(_, heard)| after(*heard, CONFLICT_LASTS));
        if quiet.is_some_and(|quiet| quiet <= now) {
            charge.conflict = None;
        }
        self.enter(vip, Phase::Holding);
        quiet.filter(|quiet| *quiet > now)
    }

    /// Asks another node to take an address, and goes on with it until then.
    fn yield_to(&mut self, vip: Vip, heirs: &[NodeName], elective: bool, now: Instant) -> Option<Instant> {
        let epoch = self.claims.get(vip)?.epoch;
        let charge = self.charges.get_mut(&vip)?;
        let answering = charge.phase.is_held();
        let mut yielding = match std::mem::take(&mut charge.phase) {
            Phase::Yielding(yielding) if yielding.elective == elective => yielding,
            _ => Box::new(Yielding::new(elective, answering, now)),
        };
        if !yielding.choose(heirs, now) {
            charge.wish = heirs.first().cloned();
            self.enter(vip, Phase::Holding);
            return None;
        }
        if let Some(to) = yielding.to.as_ref().filter(|_| now >= yielding.again)
            && let Some(link) = self.hood.way_to(to, &charge.links)
        {
            charge.asked = Some(now);
            self.outbox.handovers.entry((link, to.clone(), elective)).or_default().push(Offer { vip, epoch });
            yielding.again = after(now, ASK_AGAIN);
        }
        let over = after(yielding.since, PATIENCE);
        let next = if yielding.to.is_some() && yielding.again > now { over.min(yielding.again) } else { over };
        self.enter(vip, Phase::Yielding(yielding));
        Some(next)
    }

    /// Another node has claimed what this node had: by agreement, or because it knew better.
    pub(super) fn lose(&mut self, vip: Vip, now: Instant) {
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        let asked = charge.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ANSWER_COUNTS);
        charge.came = None;
        charge.asked = None;
        if charge.phase.is_held() && asked {
            let until = after(now, OVERLAP);
            self.enter(vip, Phase::Ceding { until, answering: true });
        } else if !matches!(charge.phase, Phase::Ceding { .. }) {
            self.enter(vip, Phase::Idle);
        }
    }

    /// The node that is to take an address has announced it. Its claim may come later, or be lost: it is asked again.
    pub(super) fn cede(&mut self, vip: Vip, now: Instant) {
        let until = after(now, PATIENCE);
        self.enter(vip, Phase::Ceding { until, answering: false });
        self.set_timer(vip, Some(until));
    }

    /// Enters a state, tells the announcer where the address is answered, and remembers to report it.
    pub(super) fn enter(&mut self, vip: Vip, phase: Phase) {
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        charge.phase = phase;
        if !matches!(charge.phase, Phase::Asking(_)) && !std::mem::take(&mut charge.unasked).is_empty() {
            self.announcer.stop_probing(vip);
        }
        let held = charge.phase.is_held();
        if held {
            self.held.insert(vip)
        } else {
            self.held.remove(&vip)
        };
        let placed = Some((held, charge.links.clone()));
        if charge.placed != placed {
            charge.placed = placed;
            let owned = if held { charge.links.clone() } else { BTreeSet::new() };
            self.announcer.place(vip, owned, charge.links.clone());
            self.placed = true;
        }
        if !held {
            charge.announced.clear();
        }
        self.dirty.insert(vip);
    }

    pub(super) fn set_timer(&mut self, vip: Vip, timer: Option<Instant>) {
        let Some(charge) = self.charges.get_mut(&vip) else { return };
        if charge.timer == timer {
            return;
        }
        if let Some(before) = std::mem::replace(&mut charge.timer, timer) {
            self.timers.remove(&(before, vip));
        }
        self.timers.extend(timer.map(|timer| (timer, vip)));
    }
}
