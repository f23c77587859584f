//! What this node does about one address, moment by moment.
//!
//! Owns the states and what each needs to be remembered. Which one follows is decided in [`crate::member`], where claims,
//! peers and the outlook meet.

mod damping;

pub(crate) use damping::Damper;

use crate::liveness::Claim;
use crate::mac::MacAddr;
use crate::member::{Came, Conflict, Tenure, VipState};
use crate::names::{IfIndex, NodeName};
use crate::ownership::Unowned;
use crate::probe::Probe;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// A planned move is asked for again so often, until the new owner is heard.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(100);
/// A node that hasn't announced an address this long after being asked to isn't asked any further for now.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How long the old owner of a planned move goes on after the new one's claim, if it doesn't see the new one's frame.
pub(crate) const OVERLAP: Duration = Duration::from_millis(50);

/// Where this node is with an address.
#[derive(Clone, Debug, Default)]
pub(crate) enum Phase {
    /// Silent.
    #[default]
    Idle,
    /// Silent; the wire is being asked.
    Asking(Probe),
    /// Silent until the wire is asked again: somebody answered.
    Answered { until: Instant },
    /// Answering and announcing.
    Holding,
    /// The same, or silent, while another node is asked to take it.
    Yielding(Box<Yielding>),
    /// Another node has it. `answering`: its frame has not been seen, so this node goes on for a moment.
    Ceding { until: Instant, answering: bool },
    /// Silent, although its claim holds, until the wire has been asked.
    Suspended,
}

impl Phase {
    /// Whether this node answers for the address.
    pub(crate) const fn is_held(&self) -> bool {
        match self {
            Self::Holding | Self::Ceding { answering: true, .. } => true,
            Self::Yielding(yielding) => yielding.answering,
            _ => false,
        }
    }
}

/// Another node is asked to take an address.
#[derive(Clone, Debug)]
pub(crate) struct Yielding {
    /// Who is asked; `None` while there is nobody to ask.
    pub(crate) to: Option<NodeName>,
    /// Who was asked in vain.
    pub(crate) tried: BTreeSet<NodeName>,
    /// Since when this one is asked, or nobody.
    pub(crate) since: Instant,
    /// When to ask again.
    pub(crate) again: Instant,
    /// Whether this node could keep it as well: then it asks one node once.
    pub(crate) elective: bool,
    /// Whether this node answers for it meanwhile. One that has just started has a claim and nothing more.
    pub(crate) answering: bool,
}

impl Yielding {
    pub(crate) const fn new(elective: bool, answering: bool, now: Instant) -> Self {
        Self { to: None, tried: BTreeSet::new(), since: now, again: now, elective, answering }
    }

    /// Chooses whom to ask. `false`: everybody was asked, and this node may keep it.
    pub(crate) fn choose(&mut self, heirs: &[NodeName], now: Instant) -> bool {
        let is_over = now.saturating_duration_since(self.since) >= PATIENCE;
        match &self.to {
            Some(to) if !is_over && heirs.contains(to) => return true,
            Some(to) => _ = self.tried.insert(to.clone()),
            None if is_over => self.tried.clear(),
            None if self.tried.is_empty() => {}
            None => return true,
        }
        self.to = heirs.iter().find(|heir| !self.tried.contains(*heir)).cloned();
        self.since = now;
        self.again = now;
        self.to.is_some() || !self.elective
    }
}

/// One address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charge {
    /// Where this node would announce it, or does.
    pub(crate) links: BTreeSet<IfIndex>,
    pub(crate) phase: Phase,
    /// What the announcer was told last: where, and whether as owner.
    pub(crate) placed: Option<(bool, BTreeSet<IfIndex>)>,
    /// When to look at it again.
    pub(crate) timer: Option<Instant>,
    /// Since when nobody has been there who could have it.
    pub(crate) open_since: Option<Instant>,
    /// Where the present question of a probe still waits until it may leave.
    pub(crate) unasked: BTreeSet<IfIndex>,
    /// When a probe found nobody.
    pub(crate) silent_at: Option<Instant>,
    /// How often in a row a probe was answered by another member that has no claim.
    pub(crate) unclaimed_answers: u8,
    /// The node before, with its last sign of life.
    pub(crate) lost: Option<Instant>,
    pub(crate) came: Option<Came>,
    /// Where it was announced.
    pub(crate) announced: BTreeMap<IfIndex, MacAddr>,
    /// Why nobody can have it, if this node is the one to say so.
    pub(crate) unowned: Option<Unowned>,
    /// Who else has it, and when that was heard last.
    pub(crate) conflict: Option<(Conflict, Instant)>,
    /// Since when a member without claim is heard to announce it too.
    pub(crate) stray: Option<Instant>,
    /// The wish that was looked at already: only another one moves it.
    pub(crate) wish: Option<NodeName>,
    /// When another node was asked last to take it.
    pub(crate) asked: Option<Instant>,
    pub(crate) damper: Damper,
    /// Of the state reported last.
    said: u64,
}

impl Charge {
    /// One about which nothing is known but what was wished before.
    pub(crate) fn new(wish: Option<NodeName>) -> Self {
        Self { wish, ..Self::default() }
    }

    /// What is to be reported.
    pub(crate) fn state(&self, claim: Option<&Claim>) -> VipState {
        let epoch = claim.map_or(0, |claim| claim.epoch);
        let came = || {
            let nothing = Came { cause: crate::member::Cause::Resumed, from: None, at: None, gap: None };
            self.came.clone().unwrap_or(nothing)
        };
        let tenure = match &self.phase {
            Phase::Holding => Tenure::Announcing { epoch, came: came() },
            Phase::Yielding(yielding) if yielding.answering => {
                Tenure::Yielding { epoch, came: came(), to: yielding.to.clone() }
            }
            Phase::Suspended | Phase::Yielding(_) => Tenure::Suspended { epoch },
            Phase::Asking(_) | Phase::Answered { .. } => Tenure::Probing,
            Phase::Idle | Phase::Ceding { .. } => self.unowned.clone().map_or(Tenure::Idle, Tenure::Unowned),
        };
        let announced = if tenure.is_held() { self.announced.clone() } else { BTreeMap::new() };
        VipState { tenure, announced, conflict: self.conflict.as_ref().map(|(conflict, _)| conflict.clone()) }
    }

    /// The state, if it is another than the one reported last; it is then taken for reported.
    pub(crate) fn take_news(&mut self, claim: Option<&Claim>) -> Option<VipState> {
        let state = self.state(claim);
        let mut hasher = DefaultHasher::new();
        if state != VipState::default() {
            state.hash(&mut hasher);
        }
        let says = if state == VipState::default() { 0 } else { hasher.finish() };
        let news = says != self.said;
        self.said = says;
        news.then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;

    fn heirs(names: &[&str]) -> Vec<NodeName> {
        names.iter().map(NodeName::new).collect()
    }

    fn at(milliseconds: u64) -> Instant {
        start() + Duration::from_millis(milliseconds)
    }

    #[test]
    fn heirs_are_asked_one_after_the_other_a_second_each_and_then_again() {
        let mut yielding = Yielding::new(false, true, at(0));
        let heirs = heirs(&["b", "c"]);
        let asked = [0, 500, 1_000, 1_999, 2_000, 2_500, 3_000].map(|time| {
            assert!(yielding.choose(&heirs, at(time)), "whoever must go never stops asking");
            yielding.to.clone()
        });
        let names = asked.iter().map(|to| to.as_ref().map_or("-", NodeName::as_str)).collect::<Vec<_>>();
        assert_eq!(names, ["b", "b", "c", "c", "-", "-", "b"]);
    }

    #[test]
    fn an_heir_that_falls_out_is_followed_by_the_next_at_once() {
        let mut yielding = Yielding::new(false, true, at(0));
        yielding.choose(&heirs(&["b", "c"]), at(0));
        yielding.choose(&heirs(&["c"]), at(10));
        assert_eq!(yielding.to, Some("c".into()));
    }

    #[test]
    fn a_move_that_need_not_be_is_given_up_after_one_refusal() {
        let mut yielding = Yielding::new(true, true, at(0));
        let heirs = heirs(&["b"]);
        assert!(yielding.choose(&heirs, at(0)) && yielding.choose(&heirs, at(999)));
        assert!(!yielding.choose(&heirs, at(1_000)));
    }
}
