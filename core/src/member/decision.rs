//! What should become of an address now: a pure function of claims, peers, outlook and what this node does already.

use super::neighbourhood::Connection;
use super::{Cause, Member};
use crate::address::Vip;
use crate::announce::schedule::after;
use crate::liveness::{Claim, Standing};
use crate::names::NodeName;
use crate::ownership::{self, Bar, Fitness, Node, Subject, Unowned};
use crate::probe::Probe;
use crate::tenure::{Charge, Phase};
use std::time::{Duration, Instant};

/// A probe's silence counts for so long.
const SILENCE_LASTS: Duration = Duration::from_secs(1);
/// When nobody of those before it in the succession has taken an address for so long, the next one does: views may differ.
const DEPUTY: Duration = Duration::from_secs(1);
/// The same for an address that was never claimed: a node may learn of it late, or hear that a stranger has it and ask again
/// and again.
const DEPUTY_UNCLAIMED: Duration = Duration::from_secs(8);
/// After a refused message the process of a node is doubted for so long.
const DOUBT: Duration = Duration::from_millis(500);
/// A node that can't have an address any more has so long to hand it over.
const UNFIT: Duration = Duration::from_secs(3);

/// What should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Another node has it, and all is well with it.
    Theirs,
    /// Silence until something changes.
    Rest,
    /// Silence, and another look then.
    Wait(Instant),
    /// Nobody can have it.
    Unowned(Unowned),
    /// The wire is to be asked.
    Ask,
    /// It becomes this node's.
    Claim {
        cause: Cause,
        from: Option<NodeName>,
        /// The last sign of life of the node before.
        since: Option<Instant>,
    },
    /// It stays this node's.
    Hold,
    /// The same, and another look then.
    HoldUntil(Instant),
    /// One of these shall take it. `elective`: if it doesn't, it stays.
    Yield { heirs: Vec<NodeName>, elective: bool },
    /// It is this node's, but must be silent.
    Suspend,
}

/// A node that had an address and can't have it any more.
struct Loss {
    cause: Cause,
    since: Option<Instant>,
    /// Not claimed by others before.
    allowed: Instant,
    /// Whether the wire must be asked, however well this node is connected.
    asks: bool,
}

/// How the claimant is.
enum Claimant {
    Well,
    /// It may turn out to be lost; `until`: or not, and then that is known by then.
    Suspected {
        until: Option<Instant>,
    },
    Lost(Loss),
}

impl Member {
    pub(super) fn decide(&self, vip: Vip, charge: &Charge, now: Instant) -> Decision {
        let Some(subject) = self.outlook.subjects.get(&vip) else { return Decision::Rest };
        match self.claims.get(vip) {
            Some(claim) if claim.node == self.config.node => self.decide_mine(subject, charge, now),
            Some(claim) => self.decide_others(subject, claim, charge, now),
            None => {
                let allowed = charge.open_since.unwrap_or(now);
                let loss = Loss { cause: Cause::Allocated, since: None, allowed, asks: true };
                self.decide_open(subject, None, &loss, charge, now)
            }
        }
    }

    fn decide_mine(&self, subject: &Subject, charge: &Charge, now: Instant) -> Decision {
        let me = &self.config.node;
        let held = charge.phase.is_held();
        // Without carrier nothing is heard either; what has become of the claim meanwhile shows when it is back.
        if charge.links.is_empty() || self.hood.connection(&charge.links) == Connection::Passive {
            return Decision::Suspend;
        }
        let fitness = self.fitness(me, &charge.links);
        let has_what_it_takes = ownership::can_announce(subject, &self.view, me);
        let cordoned = self.view.nodes.get(me).is_some_and(|node| node.cordoned);
        let stays = fitness == Fitness::Fit && has_what_it_takes && !cordoned;
        if stays && held {
            return self.decide_wish(subject, charge, now);
        }
        if !stays {
            let heirs = self.heirs(subject, charge);
            let others: Vec<NodeName> = heirs.iter().flatten().filter(|heir| *heir != me).cloned().collect();
            let may_stay = heirs.as_ref().is_ok_and(|heirs| heirs.contains(me));
            match heirs {
                Ok(_) if may_stay && held => return Decision::Hold,
                Ok(_) if may_stay => {}
                Ok(_) => return Decision::Yield { heirs: others, elective: false },
                Err(_) if held && has_what_it_takes && fitness.keeps() => {
                    return Decision::Yield { heirs: Vec::new(), elective: false };
                }
                Err(unowned) => return self.nobody(subject.vip, unowned),
            }
        }
        self.decide_return(subject, charge, now)
    }

    /// Back to an address that is this node's by claim: the wire is asked first.
    fn decide_return(&self, subject: &Subject, charge: &Charge, now: Instant) -> Decision {
        if self.outlook.unprepared.contains(&subject.vip) {
            return Decision::Rest;
        }
        if let Some(grace) = self.grace_until.filter(|grace| now < *grace) {
            return Decision::Wait(grace);
        }
        match charge.phase {
            Phase::Answered { until } | Phase::Ceding { until, .. } if now < until => Decision::Wait(until),
            _ if self.was_silent(charge, now) => Decision::Hold,
            _ => Decision::Ask,
        }
    }

    /// Whether an address that could stay is wanted elsewhere.
    fn decide_wish(&self, subject: &Subject, charge: &Charge, now: Instant) -> Decision {
        let me = &self.config.node;
        let Some(wish) = subject.preferred.as_ref().filter(|wish| *wish != me && charge.wish.as_ref() != Some(*wish))
        else {
            return Decision::Hold;
        };
        if !self.heirs(subject, charge).is_ok_and(|heirs| heirs.contains(wish)) {
            return Decision::Hold;
        }
        match charge.damper.clone().next(now) {
            next if next > now => Decision::HoldUntil(next),
            _ => Decision::Yield { heirs: vec![wish.clone()], elective: true },
        }
    }

    fn decide_others(&self, subject: &Subject, claim: &Claim, charge: &Charge, now: Instant) -> Decision {
        if let Phase::Ceding { until, .. } = charge.phase
            && now < until
        {
            return Decision::Wait(until);
        }
        match self.claimant(subject, claim, charge, now) {
            Claimant::Well => Decision::Theirs,
            Claimant::Suspected { until } => {
                // The wire is asked while the suspect's kernel is, so that nothing is left to do when that is silent too.
                let is_next = !self.was_silent(charge, now)
                    && !self.outlook.unprepared.contains(&subject.vip)
                    && self
                        .heirs(subject, charge)
                        .is_ok_and(|heirs| heirs.iter().find(|heir| **heir != claim.node) == Some(&self.config.node));
                match until {
                    _ if is_next => Decision::Ask,
                    Some(until) => Decision::Wait(until),
                    None => Decision::Rest,
                }
            }
            Claimant::Lost(loss) => self.decide_open(subject, Some(claim), &loss, charge, now),
        }
    }

    /// Whether an address that nobody has is this node's to take, and when.
    fn decide_open(
        &self,
        subject: &Subject,
        claim: Option<&Claim>,
        loss: &Loss,
        charge: &Charge,
        now: Instant,
    ) -> Decision {
        if let Some(grace) = self.grace_until.filter(|grace| now < *grace) {
            return Decision::Wait(grace);
        }
        let heirs = match self.heirs(subject, charge) {
            Ok(heirs) => heirs,
            Err(_) if claim.is_some_and(|claim| self.clings(subject, claim, charge)) => return Decision::Rest,
            Err(unowned) => return self.nobody(subject.vip, unowned),
        };
        let Some(rank) = heirs.iter().position(|heir| *heir == self.config.node) else { return Decision::Rest };
        let connection = self.hood.connection(&charge.links);
        if connection <= Connection::Cut || self.outlook.unprepared.contains(&subject.vip) {
            return Decision::Rest;
        }
        let deputy = if claim.is_some() { DEPUTY } else { DEPUTY_UNCLAIMED };
        let turn = deputy.saturating_mul(u32::try_from(rank).unwrap_or(u32::MAX));
        let allowed = after(loss.allowed, turn);
        if let Phase::Answered { until } = charge.phase
            && now < until
        {
            return Decision::Wait(until);
        }
        // Whoever was late may hold somebody for dead who has come back since.
        let is_late = self.hood.late_at(&charge.links, now).is_some();
        if (loss.asks || is_late || connection != Connection::Well) && !self.was_silent(charge, now) {
            let begin = allowed.checked_sub(Probe::SPAN).unwrap_or(allowed);
            return if now < begin { Decision::Wait(begin) } else { Decision::Ask };
        }
        if now < allowed {
            return Decision::Wait(allowed);
        }
        Decision::Claim { cause: loss.cause, from: claim.map(|claim| claim.node.clone()), since: loss.since }
    }

    /// How the node with the highest claim is.
    fn claimant(&self, subject: &Subject, claim: &Claim, charge: &Charge, now: Instant) -> Claimant {
        let standing = self.hood.standing(&claim.node, &charge.links);
        let open = charge.open_since.unwrap_or(now);
        let lost = |cause, since, allowed, asks| Claimant::Lost(Loss { cause, since, allowed, asks });
        let in_three = |since| after(since, Standing::STARVATION).max(open);
        match standing {
            Standing::Left => lost(Cause::Left, None, open, false),
            Standing::Gone { since } => lost(Cause::Gone, Some(since), open, false),
            Standing::Starved { since } => lost(Cause::Starved, Some(since), in_three(since), false),
            Standing::Dead { since, confirmed: true } => lost(Cause::Dead, Some(since), open, false),
            Standing::Dead { since, confirmed: false } => lost(Cause::Dead, Some(since), in_three(since), true),
            Standing::Suspected => Claimant::Suspected { until: None },
            // It speaks and is silent about its addresses: nobody reaches them.
            Standing::Alive(state) if state.cut_off => lost(Cause::Unfit, None, open, true),
            Standing::Alive(_) | Standing::Unheard if self.is_well(subject, claim, charge) => {
                let until =
                    self.refused.get(&claim.node).map(|first| after(*first, DOUBT)).filter(|until| now < *until);
                if until.is_some() { Claimant::Suspected { until } } else { Claimant::Well }
            }
            Standing::Alive(_) => lost(Cause::Unfit, None, after(open, UNFIT), false),
            Standing::Unheard => lost(Cause::Left, None, open, true),
        }
    }

    /// Whether a claimant that takes part may keep what it has.
    fn is_well(&self, subject: &Subject, claim: &Claim, charge: &Charge) -> bool {
        let Some(node) = self.view.nodes.get(&claim.node) else { return false };
        let fit = self.fitness(&claim.node, &charge.links) == Fitness::Fit
            && ownership::can_announce(subject, &self.view, &claim.node);
        fit && (!node.cordoned || self.heirs(subject, charge).is_ok_and(|heirs| heirs.contains(&claim.node)))
    }

    /// Whether a claimant goes on because there is nobody else.
    fn clings(&self, subject: &Subject, claim: &Claim, charge: &Charge) -> bool {
        self.hood.standing(&claim.node, &charge.links).takes_part()
            && self.fitness(&claim.node, &charge.links).keeps()
            && ownership::can_announce(subject, &self.view, &claim.node)
    }

    /// The candidates, best first.
    fn heirs(&self, subject: &Subject, charge: &Charge) -> Result<Vec<NodeName>, Unowned> {
        let heirs = ownership::succession(subject, &self.view, |name, _| self.fitness(name, &charge.links))?;
        Ok(heirs.into_iter().cloned().collect())
    }

    /// How a node is: what it says of itself and whether it is heard come before what the API server says.
    pub(super) fn fitness(
        &self,
        name: &NodeName,
        links: &std::collections::BTreeSet<crate::names::IfIndex>,
    ) -> Fitness {
        let Some(node) = self.view.nodes.get(name) else { return Fitness::Silent };
        if *name == self.config.node {
            let me = self.outlook.me;
            return present(node, me.able, me.leaving || me.ending);
        }
        match self.hood.standing(name, links) {
            Standing::Alive(state) => present(node, state.able && !state.left && !state.cut_off, state.leaving),
            Standing::Suspected => present(node, true, false),
            Standing::Unheard => Fitness::told(node),
            Standing::Gone { .. } | Standing::Starved { .. } | Standing::Dead { .. } | Standing::Left => {
                Fitness::Silent
            }
        }
    }

    /// Whether a probe has found nobody just now. One that was under way while this node was late shows nothing: answers may
    /// still wait to be read.
    fn was_silent(&self, charge: &Charge, now: Instant) -> bool {
        let late = self.hood.late_at(&charge.links, now);
        charge.silent_at.is_some_and(|silent| {
            now.saturating_duration_since(silent) <= SILENCE_LASTS && late.is_none_or(|late| silent > late)
        })
    }

    /// Whether this node is the one to say that nobody can have an address.
    fn nobody(&self, vip: Vip, unowned: Unowned) -> Decision {
        let is_reporter = ownership::reporter(vip, &self.view) == Some(&self.config.node);
        if is_reporter { Decision::Unowned(unowned) } else { Decision::Rest }
    }
}

/// How a node is whose speaker is there. That the API server lost sight of its kubelet then means nothing.
const fn present(node: &Node, able: bool, leaving: bool) -> Fitness {
    match node.bar {
        Some(bar @ (Bar::Label | Bar::Taint | Bar::Deletion)) => Fitness::Barred(bar),
        None | Some(Bar::NotReady) if leaving || node.leaving => Fitness::Leaving,
        None | Some(Bar::NotReady) if able => Fitness::Fit,
        None | Some(Bar::NotReady) => Fitness::Unable,
    }
}
