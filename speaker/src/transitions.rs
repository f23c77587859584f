//! What people are told when something changes hands or goes wrong: a line of the log, and an event of Kubernetes.
//!
//! Owns the words and what is worth them. Pure but for the log; conditions say what lasts.

use crate::events::{Notice, Subject};
use crate::situation::{self, Verification};
use herald_api::keys::reason;
use herald_core::address::Vip;
use herald_core::member::{Came, Cause, Conflict, Tenure, VipState};
use herald_core::names::{NodeName, Uid};

/// A move that has been completed: this node announces what another one did.
pub const MOVED: &str = "Moved";

/// What is told about an address. `told` is the epoch that has been told about already.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The address.
    pub vip: Vip,
    /// The life of its object; without one nobody can be told.
    pub uid: Option<&'a Uid>,
    /// This node.
    pub node: &'a NodeName,
    /// What it did.
    pub before: &'a VipState,
    /// What it does now.
    pub after: &'a VipState,
}

impl Change<'_> {
    /// The claim that is complete now and was not before: its first frame has left.
    pub fn gained(&self) -> Option<(u64, &Came)> {
        let complete = |(_, came): &(u64, &Came)| came.at.is_some();
        let after = situation::claim(self.after).filter(complete)?;
        let before = situation::claim(self.before).filter(complete).map(|(epoch, _)| epoch);
        (before != Some(after.0)).then_some(after)
    }

    /// Writes the log and says what events are to be written.
    pub fn tell(&self) -> Vec<Notice> {
        self.log();
        let Some(uid) = self.uid else { return Vec::new() };
        let about = Subject::Vip(self.vip, uid.clone());
        let moved = self.gained().and_then(|(_, came)| self.moved(came));
        let conflict = (self.before.conflict != self.after.conflict).then(|| self.conflict()).flatten();
        let notices = [moved, conflict].into_iter().flatten();
        notices.map(|(warning, reason, note)| Notice { about: about.clone(), warning, reason, note }).collect()
    }

    fn moved(&self, came: &Came) -> Option<(bool, &'static str, String)> {
        let Self { node, .. } = self;
        let from = came.from.as_ref().filter(|from| from != node)?;
        let gap = came.gap.map(|gap| format!(" after {:.3} s without an announcer", gap.as_secs_f64()));
        let gap = gap.filter(|_| came.gap.is_some_and(|gap| !gap.is_zero())).unwrap_or_default();
        let note = match came.cause {
            Cause::Allocated | Cause::Resumed => return None,
            Cause::Dead => format!("{node} announces it{gap}: {from} is dead"),
            Cause::Gone => format!("{node} announces it{gap}: the speaker on {from} has ended without handing it over"),
            Cause::Starved => {
                format!("{node} announces it{gap}: the speaker on {from} doesn't run or doesn't get to run")
            }
            Cause::Unfit => format!("{node} announces it{gap}: {from} can't any more"),
            Cause::Left => format!("{node} announces it: {from} has left"),
            Cause::Handover => format!("{node} announces it: {from} is leaving and has handed it over"),
            Cause::Moved => format!("{node} announces it: {from} has handed it over because it is wanted here"),
        };
        Some((matches!(came.cause, Cause::Dead | Cause::Gone | Cause::Starved | Cause::Unfit), MOVED, note))
    }

    fn conflict(&self) -> Option<(bool, &'static str, String)> {
        let Self { node, .. } = self;
        let held = situation::claim(self.after).is_some();
        let consequence = if held { "goes on announcing it" } else { "does not announce it" };
        Some(match &self.after.conflict {
            None if held => (false, reason::NO_CONFLICT, format!("{node} hears nobody else answer for it any more")),
            None => return None,
            Some(Conflict { mac, node: None, .. }) => (
                true,
                reason::ADDRESS_CONFLICT,
                format!("{mac}, which is no node of this cluster, answers for it; {node} {consequence}"),
            ),
            Some(Conflict { mac, node: Some(other), .. }) => (
                true,
                reason::OTHER_LOAD_BALANCER,
                format!("{mac} on {other} answers for it, and not Herald's speaker there; {node} {consequence}"),
            ),
        })
    }

    fn log(&self) {
        let Self { vip, before, after, .. } = self;
        if let Some((epoch, came)) = self.gained() {
            let from = came.from.as_ref().map_or("nobody", NodeName::as_str);
            let gap = came.gap.map(|gap| gap.as_secs_f64());
            tracing::info!(%vip, epoch, cause = ?came.cause, from, gap, "announcing");
        }
        match (&before.tenure, &after.tenure) {
            (before, after) if before == after => {}
            (_, Tenure::Yielding { to: Some(node), .. }) => {
                tracing::info!(%vip, %node, "answered here until that node announces it");
            }
            (_, Tenure::Suspended { .. }) => tracing::warn!(%vip, "silent: this node is cut off, or has slept"),
            (before, after) if before.is_held() && !after.is_held() => tracing::info!(%vip, "withdrawn"),
            _ => {}
        }
        if let Some(Conflict { mac, node, .. }) = after.conflict.as_ref().filter(|_| before.conflict != after.conflict)
        {
            match node {
                None => tracing::warn!(%vip, %mac, "a stranger answers for this address"),
                Some(node) => tracing::warn!(%vip, %mac, %node, "another load balancer answers for this address"),
            }
        }
    }
}

/// What is told when the wire gives a wrong answer, or none, for another node's address.
pub fn wrong_answer(vip: Vip, uid: Uid, node: &NodeName, verification: &Verification) -> Option<Notice> {
    if verification.right {
        return None;
    }
    let other = &verification.node;
    let (reason, note) = match verification.answer {
        Some(mac) => {
            (reason::WRONG_ANSWER, format!("{node} asked the network for it and got {mac} instead of {other}"))
        }
        None => (reason::NO_ANSWER, format!("{node} asked the network for it and {other} did not answer")),
    };
    tracing::warn!(%vip, node = %other, "{note}");
    Some(Notice { about: Subject::Vip(vip, uid), warning: true, reason, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn vip() -> Vip {
        Vip::new("192.0.2.10".parse().unwrap()).unwrap()
    }

    fn announcing(epoch: u64, cause: Cause, told: bool) -> VipState {
        #[expect(clippy::disallowed_methods, reason = "some instant is needed")]
        let at = told.then(Instant::now);
        let came = Came { cause, from: Some("b".into()), at, gap: told.then_some(Duration::from_millis(512)) };
        VipState { tenure: Tenure::Announcing { epoch, came }, ..VipState::default() }
    }

    fn told(before: &VipState, after: &VipState) -> Vec<(bool, &'static str, String)> {
        let (uid, node) = ("u".into(), "a".into());
        let change = Change { vip: vip(), uid: Some(&uid), node: &node, before, after };
        change.tell().into_iter().map(|notice| (notice.warning, notice.reason, notice.note)).collect()
    }

    #[test]
    fn a_takeover_is_told_once_when_its_first_frame_has_left() {
        let (idle, begun, done) =
            (VipState::default(), announcing(2, Cause::Dead, false), announcing(2, Cause::Dead, true));
        assert_eq!(told(&idle, &begun), []);
        let note = "a announces it after 0.512 s without an announcer: b is dead".to_owned();
        assert_eq!(told(&begun, &done), [(true, "Moved", note)]);
        assert_eq!(told(&done, &done), []);
        assert_eq!(told(&done, &idle), []);
        assert_eq!(told(&idle, &announcing(1, Cause::Resumed, true)), []);
    }

    #[test]
    fn a_conflict_is_told_when_it_begins_and_when_it_ends() {
        let free = announcing(2, Cause::Resumed, true);
        let conflict =
            Conflict { mac: "52:54:00:00:00:09".parse().unwrap(), link: herald_core::names::IfIndex(2), node: None };
        let taken = VipState { conflict: Some(conflict), ..free.clone() };
        let reasons = |before, after| told(before, after).into_iter().map(|(_, reason, _)| reason).collect::<Vec<_>>();
        assert_eq!(reasons(&free, &taken), ["AddressConflict"]);
        assert_eq!(reasons(&taken, &taken), [""; 0]);
        assert_eq!(reasons(&taken, &free), ["NoConflict"]);
    }
}
