//! The condition `Conflict` of a `VirtualIP`: whether somebody else on the network answers for it.
//!
//! Owns its words, and who may say that it is over: the node that is to announce the address, of what it hears itself; any
//! node that asked the wire, of what an asker once complained about. An address that never had a conflict has no such
//! condition.

use super::Author;
use crate::intake::VipRecord;
use crate::situation::{self, Held, Verification};
use herald_api::condition::{Verdict, status};
use herald_api::keys::{condition, reason};
use herald_core::address::Vip;
use herald_core::member::Tenure;

/// What the node that announces the address, or would, has heard.
pub(super) fn of_tenure(vip: Vip, record: &VipRecord, held: &Held, author: Author<'_>) -> Vec<Verdict> {
    let is_held = situation::claim(&held.state).is_some();
    let Some(conflict) = &held.state.conflict else {
        let heard = [reason::ADDRESS_CONFLICT, reason::OTHER_LOAD_BALANCER];
        let over = is_held && standing(record).is_some_and(|reason| heard.contains(&reason));
        return over.then(|| solved("nobody else answers for it any more")).into_iter().collect();
    };
    let interface = author.links.get(&conflict.link).map_or("an interface that is gone", |link| link.name.as_str());
    let (reason, who) = match &conflict.node {
        None => (reason::ADDRESS_CONFLICT, format!("{}, which is no node of this cluster,", conflict.mac)),
        Some(node) => {
            (reason::OTHER_LOAD_BALANCER, format!("{} on {node}, which is not Herald's speaker,", conflict.mac))
        }
    };
    let fix = match &conflict.node {
        None => "find that machine and change its address, or give the Service another one",
        Some(_) => "take the address out of the other load balancer's configuration",
    };
    let message = format!("{who} answers for {vip} on {interface} of {}: {fix}", author.node);
    let mut verdicts = vec![Verdict::new(condition::CONFLICT, true, reason, &message)];
    if matches!(held.state.tenure, Tenure::Probing) {
        verdicts.push(Verdict::new(condition::ANNOUNCED, false, reason::ADDRESS_CONFLICT, message));
    }
    verdicts
}

/// What a node that asked the wire for another node's address has heard.
pub(super) fn of_verification(record: &VipRecord, verification: &Verification, author: Author<'_>) -> Option<Verdict> {
    let Verification { node, answer, right, .. } = verification;
    let asker = author.node;
    if *right {
        let complaints = [reason::WRONG_ANSWER, reason::NO_ANSWER];
        let over = standing(record).is_some_and(|reason| complaints.contains(&reason));
        return over.then(|| solved("another node got the right answer"));
    }
    // What the announcer hears itself says more.
    if standing(record).is_some_and(|reason| [reason::ADDRESS_CONFLICT, reason::OTHER_LOAD_BALANCER].contains(&reason))
    {
        return None;
    }
    Some(match answer {
        Some(mac) => Verdict::new(
            condition::CONFLICT,
            true,
            reason::WRONG_ANSWER,
            format!(
                "{asker} asked the network for it and got {mac} instead of {node}: find the machine with that address"
            ),
        ),
        None => Verdict::new(
            condition::CONFLICT,
            true,
            reason::NO_ANSWER,
            format!("{asker} asked the network for it and {node} did not answer: see the log of the speaker on {node}"),
        ),
    })
}

fn solved(message: &str) -> Verdict {
    Verdict::new(condition::CONFLICT, false, reason::NO_CONFLICT, message)
}

/// The reason of the condition, while it holds.
fn standing(record: &VipRecord) -> Option<&str> {
    let holds = |is: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        is.type_ == condition::CONFLICT && is.status == status(true)
    };
    record.conditions.iter().find(holds).map(|is| is.reason.as_str())
}
