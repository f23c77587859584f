//! Services that are ours: their addresses in the ledger, then their status.

use super::Comparison;
use crate::announced::{Address, Assessment, Judge, Patience};
use crate::effects::{Effect, Lane, LaneKey, Notice, Publication, Subject, SubjectKind};
use crate::records::ServiceFacts;
use herald_api::address_pool::Advertise;
use herald_api::condition::{Verdict, status};
use herald_api::keys::{condition, reason};
use herald_core::address::Vip;
use herald_core::allocation::Outcome;
use herald_core::names::ServiceKey;
use herald_core::ownership;
use herald_core::service::ServiceRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::collections::BTreeSet;

impl Comparison<'_> {
    pub(super) fn services(&mut self, patience: &mut Patience) {
        let state = self.state;
        for (key, request) in &state.cluster.services {
            let Some(facts) = state.services.get(key) else { continue };
            let lane_key = LaneKey::Service(facts.uid.clone());
            if self.is_idle(&lane_key)
                && let Some(mut lane) = self.service(lane_key, key, request, facts, patience)
            {
                if !self.is_full() {
                    self.place(&mut lane, key);
                }
                self.push(lane);
            }
        }
    }

    /// `None`: an address that it gets is another's still.
    fn service(
        &self,
        lane_key: LaneKey,
        key: &ServiceKey,
        request: &ServiceRequest,
        facts: &ServiceFacts,
        patience: &mut Patience,
    ) -> Option<Lane> {
        let outcome = self.plan.services.get(key)?;
        let wanted: Vec<Vip> = outcome.addresses.iter().map(|(vip, _)| *vip).collect();
        let mut effects = self.ledger_effects(&wanted, request)?;
        if self.policy.finalizer && !facts.finalizer && !wanted.is_empty() {
            let condition = facts.conditions.is_empty().then(|| self.allocating());
            effects.insert(0, Effect::HoldService { service: key.clone(), condition });
        }
        if !effects.is_empty()
            && let Some(complaint) = self.complaint(&lane_key, request, facts)
        {
            return Some(complaint);
        }
        let assessment = self.assess(&wanted, request, patience);
        let shown = self.shown(&wanted, request, &assessment);
        let (conditions, notices) = self.conditions(key, outcome, &wanted, facts, assessment.verdict.clone());
        // What is being asked for will be known in a moment; until then there is nothing to say.
        let quiet = assessment.waiting && assessment.verdict.is_none() && shown == request.published;
        if quiet {
            return Some(Lane { key: lane_key, service: Some(facts.seen()), effects, notices: Vec::new() });
        }
        if request.published != shown || facts.foreign_ingress || !conditions.is_empty() {
            let publication = Publication { service: key.clone(), addresses: shown.clone(), conditions };
            effects.push(Effect::PublishStatus(publication));
        }
        if !assessment.waiting {
            let kept = |vip: &&Vip| wanted.contains(vip) || shown.contains(vip);
            let held = self.held.get(&facts.uid).into_iter().flatten();
            let unwanted: BTreeSet<Vip> = held.filter(|vip| !kept(vip)).copied().collect();
            self.release(&mut effects, key, &facts.uid, unwanted, true);
        }
        Some(Lane { key: lane_key, service: Some(facts.seen()), effects, notices })
    }

    /// Judges the addresses that the Service gets.
    fn assess(&self, wanted: &[Vip], request: &ServiceRequest, patience: &mut Patience) -> Assessment {
        let state = self.state;
        let address = |vip: &Vip| {
            let pool = self.plan.ledger.get(vip).and_then(|entry| state.cluster.pools.get(&entry.pool));
            Address {
                vip: *vip,
                facts: state.vips.get(vip),
                shown: request.published.contains(vip),
                vouched: state.cluster.silent.contains(vip) || pool.is_some_and(|pool| !pool.probed),
                answer: state.network.answer(*vip, self.now.wall),
            }
        };
        let addresses: Vec<_> = wanted.iter().map(address).collect();
        let judge = Judge { view: &state.view, namespace: &self.policy.namespace, now: self.now.monotonic };
        judge.assess(&addresses, |vip| self.subject(vip), patience)
    }

    /// The addresses that the Service's status should show: of each family the one that it gets, once that is known to be
    /// nobody else's, and the one that it had until then.
    fn shown(&self, wanted: &[Vip], request: &ServiceRequest, assessment: &Assessment) -> Vec<Vip> {
        let is_clear = |vip: &Vip| assessment.clear.contains(vip);
        let published = &request.published;
        if assessment.waiting {
            return published.iter().filter(|vip| !wanted.contains(vip) || is_clear(vip)).copied().collect();
        }
        let had = |family| {
            let held = self.held.get(&request.uid);
            let is_held = |vip: &Vip| held.is_some_and(|held| held.contains(vip));
            published.iter().find(|vip| vip.family() == family && !wanted.contains(vip) && is_held(vip))
        };
        wanted.iter().filter_map(|vip| if is_clear(vip) { Some(vip) } else { had(vip.family()) }).copied().collect()
    }

    /// What tells that the API server refused to record an address, before it is tried again.
    fn complaint(&self, key: &LaneKey, request: &ServiceRequest, facts: &ServiceFacts) -> Option<Lane> {
        let failure = self.state.refused(&facts.uid).filter(|failure| failure.effect.precedes_publication())?;
        let message = format!("the API server refuses a write that has to precede the address: {}", failure.message);
        let verdict = Verdict::new(condition::ALLOCATED, false, reason::WRITE_REFUSED, message);
        if verdict.is_said_by(&facts.conditions, None) {
            return None;
        }
        let condition = verdict.condition(&facts.conditions, None, self.now.wall);
        let notices = vec![notice(&request.key, facts, &condition)];
        let (service, addresses) = (request.key.clone(), request.published.clone());
        let publication = Publication { service, addresses, conditions: vec![condition] };
        let effects = vec![Effect::PublishStatus(publication)];
        Some(Lane { key: key.clone(), service: Some(facts.seen()), effects, notices })
    }

    /// What a Service says between its finalizer and its address.
    fn allocating(&self) -> Condition {
        Condition {
            type_: condition::ALLOCATED.to_owned(),
            status: "Unknown".to_owned(),
            reason: "Allocating".to_owned(),
            message: "the finalizer is on; the address follows".to_owned(),
            last_transition_time: Time(self.now.wall),
            observed_generation: None,
        }
    }

    /// What makes the ledger say that the Service holds these addresses.
    fn ledger_effects(&self, wanted: &[Vip], request: &ServiceRequest) -> Option<Vec<Effect>> {
        let mut effects = Vec::new();
        for vip in wanted {
            let should = self.plan.ledger.get(vip)?;
            match (self.state.cluster.ledger.get(vip), self.seen(*vip)) {
                (None, None) => effects.push(Effect::CreateVip { vip: *vip, entry: should.clone(), preferred: None }),
                (Some(is), Some(_)) if is == should => {}
                (Some(is), Some(seen)) if is.holder.as_ref().is_none_or(|holder| holder.uid == request.uid) => {
                    effects.push(Effect::UpdateVip { vip: *vip, entry: should.clone(), seen });
                }
                _ => return None,
            }
        }
        Some(effects)
    }

    /// The conditions that should change, and what to tell people about it.
    fn conditions(
        &self,
        key: &ServiceKey,
        outcome: &Outcome,
        wanted: &[Vip],
        facts: &ServiceFacts,
        announced: Option<Verdict>,
    ) -> (Vec<Condition>, Vec<Notice>) {
        let announced = if wanted.is_empty() { unannounced(facts) } else { announced };
        let verdicts = [Some(allocated(outcome)), announced].into_iter().flatten();
        let mut conditions = Vec::new();
        let mut notices = Vec::new();
        for verdict in verdicts.filter(|verdict| !verdict.is_said_by(&facts.conditions, None)) {
            let condition = verdict.condition(&facts.conditions, None, self.now.wall);
            let before = facts.conditions.iter().find(|before| before.type_ == condition.type_);
            let same =
                before.is_some_and(|before| (&before.status, &before.reason) == (&condition.status, &condition.reason));
            if !same && condition.reason != reason::PROBING {
                notices.push(notice(key, facts, &condition));
            }
            conditions.push(condition);
        }
        (conditions, notices)
    }

    /// The address as ownership sees it. Where endpoints are is the speakers' to say.
    pub(super) fn subject(&self, vip: Vip) -> ownership::Subject {
        let state = self.state;
        let entry = self.plan.ledger.get(&vip).or_else(|| state.cluster.ledger.get(&vip));
        let record = entry.and_then(|entry| state.pools.get(&entry.pool));
        let holder = entry.and_then(|entry| state.cluster.services.get(&entry.holder.as_ref()?.key));
        let facts = state.vips.get(&vip);
        ownership::Subject {
            pool_labels: record.map(|record| record.labels.clone()).unwrap_or_default(),
            advertised_by_default: record.is_none_or(|record| record.advertise == Advertise::Default),
            holder_labels: holder.map(|request| request.labels.clone()).unwrap_or_default(),
            claim: facts.and_then(|facts| facts.announcer.as_ref()).map(|announcer| announcer.claim.clone()),
            preferred: facts.and_then(|facts| facts.preferred.clone()),
            pinned: facts.is_some_and(|facts| facts.pinned),
            ..ownership::Subject::new(vip, entry.map_or_else(|| "".into(), |entry| entry.pool.clone()))
        }
    }
}

/// Whether the Service has what it asks for.
fn allocated(outcome: &Outcome) -> Verdict {
    let addresses: Vec<_> = outcome.addresses.iter().map(|(vip, pool)| format!("{vip} from pool {pool}")).collect();
    let addresses = addresses.join(", ");
    match &outcome.refusal {
        None => Verdict::new(condition::ALLOCATED, true, reason::ALLOCATED, addresses),
        Some(refusal) if addresses.is_empty() => {
            Verdict::new(condition::ALLOCATED, false, refusal.reason(), refusal.to_string())
        }
        Some(refusal) => {
            let message = format!("{refusal}; meanwhile it has {addresses}");
            Verdict::new(condition::ALLOCATED, false, refusal.reason(), message)
        }
    }
}

/// A Service without addresses has nothing to announce; it says so only if it said something before.
fn unannounced(facts: &ServiceFacts) -> Option<Verdict> {
    let before = facts.conditions.iter().find(|before| before.type_ == condition::SERVICE_ANNOUNCED)?;
    (before.status == status(true)).then(|| {
        let message = "the Service has no address to announce: see condition herald-lb.io/Allocated";
        Verdict::new(condition::SERVICE_ANNOUNCED, false, reason::NOT_ADVERTISED, message)
    })
}

fn notice(key: &ServiceKey, facts: &ServiceFacts, condition: &Condition) -> Notice {
    Notice {
        about: Subject {
            kind: SubjectKind::Service,
            namespace: Some(key.namespace.to_string()),
            name: key.name.to_string(),
            uid: facts.uid.clone(),
        },
        warning: condition.status == status(false),
        reason: condition.reason.clone(),
        note: condition.message.clone(),
    }
}
