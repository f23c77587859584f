//! What pools, advertisements and addresses in use say about themselves.

use super::{Comparison, Now};
use crate::effects::{Effect, Lane, LaneKey, Notice, Subject, SubjectKind};
use crate::records::{AdvertisementRecord, PoolRecord};
use herald_api::address_pool::AddressPoolStatus;
use herald_api::condition::{Verdict, status};
use herald_api::keys::{condition, reason};
use herald_core::address::Vip;
use herald_core::allocation::{OutsidePool, PoolReport};
use herald_core::names::{PoolName, Uid};
use herald_core::ownership::Advertisement;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Counts wait this long, so that they don't compete with the allocation that changed them.
const COUNTS_LAG: Duration = Duration::from_millis(250);

/// Counts are written at most once in this time: a burst of a thousand Services is a few writes.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// When pools' counts may be written next.
#[derive(Debug, Default)]
pub struct Pacer {
    due: BTreeMap<PoolName, Instant>,
    written: BTreeMap<PoolName, Instant>,
}

impl Pacer {
    /// Whether counts that differ may be written now; if not, when is remembered.
    fn may_write(&mut self, pool: &PoolName, now: Instant) -> bool {
        let free = self.written.get(pool).map_or(now, |written| *written + COUNTS_EVERY);
        let due = *self.due.entry(pool.clone()).or_insert_with(|| free.max(now + COUNTS_LAG));
        due <= now
    }

    fn wrote(&mut self, pool: &PoolName, now: Instant) {
        self.due.remove(pool);
        self.written.insert(pool.clone(), now);
    }

    fn keep(&mut self, pools: &BTreeMap<PoolName, PoolRecord>) {
        self.due.retain(|pool, _| pools.contains_key(pool));
        self.written.retain(|pool, _| pools.contains_key(pool));
    }

    /// When the first counts, after this moment, may be written.
    pub fn next_due(&self, after: Instant) -> Option<Instant> {
        self.due.values().copied().filter(|due| *due > after).min()
    }
}

impl Comparison<'_> {
    pub(super) fn reports(&mut self, pacer: &mut Pacer) {
        let state = self.state;
        pacer.keep(&state.pools);
        for (name, record) in &state.pools {
            self.pool(name, record, pacer);
        }
        for (name, record) in &state.advertisements {
            self.advertisement(name, record);
        }
        for (vip, facts) in &state.vips {
            // What a pool that can't be read holds, nobody knows: what was said stays.
            let pool = state.cluster.ledger.get(vip).map(|entry| &entry.pool);
            if pool.is_some_and(|pool| state.cluster.pools_set_aside.contains_key(pool)) {
                continue;
            }
            let verdict = in_pool(*vip, self.plan.outside.get(vip), pool.map_or("", PoolName::as_str));
            let said = facts.conditions.iter().any(|said| said.type_ == condition::IN_POOL);
            let key = LaneKey::Vip(*vip);
            // An address in its pool needs no condition; only one that was outside says that it is back.
            if (!verdict.holds || said) && !verdict.is_said_by(&facts.conditions, None) && self.is_idle(&key) {
                let about = subject(SubjectKind::VirtualIp, &vip.object_name(), &facts.uid);
                let condition = verdict.condition(&facts.conditions, None, self.now.wall);
                let notices = notices(&about, &facts.conditions, std::slice::from_ref(&condition));
                let effects = vec![Effect::VipStatus { vip: *vip, condition }];
                self.push(Lane { key, service: None, effects, notices });
            }
        }
    }

    fn pool(&mut self, name: &PoolName, record: &PoolRecord, pacer: &mut Pacer) {
        let key = LaneKey::Pool(name.clone());
        if !self.is_idle(&key) {
            return;
        }
        let report = self.plan.pools.get(name).cloned().unwrap_or_default();
        let verdicts = pool_verdicts(record, &report);
        let status = pool_status(record, &report, &verdicts, self.now);
        if status == record.status {
            pacer.due.remove(name);
            return;
        }
        if status.conditions != record.status.conditions || pacer.may_write(name, self.now.monotonic) {
            pacer.wrote(name, self.now.monotonic);
            let about = subject(SubjectKind::AddressPool, name.as_str(), &record.uid);
            let notices = notices(&about, &record.status.conditions, &status.conditions);
            let effects = vec![Effect::PoolStatus { pool: name.clone(), status }];
            self.push(Lane { key, service: None, effects, notices });
        }
    }

    fn advertisement(&mut self, name: &str, record: &AdvertisementRecord) {
        let key = LaneKey::Advertisement(name.to_owned());
        let verdicts = match &record.advertisement {
            Ok(advertisement) => self.advertisement_verdicts(advertisement),
            Err(invalid) => {
                vec![Verdict::new(condition::READY, false, invalid.reason, invalid.message.clone())]
            }
        };
        let conditions = conditions(&verdicts, &record.conditions, record.generation, self.now);
        if conditions != record.conditions && self.is_idle(&key) {
            let about = subject(SubjectKind::L2Advertisement, name, &record.uid);
            let notices = notices(&about, &record.conditions, &conditions);
            let effects = vec![Effect::AdvertisementStatus { name: name.to_owned(), conditions }];
            self.push(Lane { key, service: None, effects, notices });
        }
    }

    fn advertisement_verdicts(&self, advertisement: &Advertisement) -> Vec<Verdict> {
        let dead = self.dead_references(advertisement);
        let reference = if dead.is_empty() {
            let message = "every pool, node and interface it names is there";
            Verdict::new(condition::DEAD_REFERENCE, false, reason::ALL_FOUND, message)
        } else {
            let message = format!("{}: correct the name or selector, or create what it means", dead.join("; "));
            Verdict::new(condition::DEAD_REFERENCE, true, reason::MATCHES_NOTHING, message)
        };
        vec![Verdict::new(condition::READY, true, reason::READY, "in force"), reference]
    }

    /// What an advertisement means and is not there, each as a clause that names the field.
    fn dead_references(&self, advertisement: &Advertisement) -> Vec<String> {
        let pools = &self.state.pools;
        let nodes = &self.state.view.nodes;
        let mut dead = Vec::new();
        for pool in advertisement.pools.iter().filter(|pool| !pools.contains_key(pool)) {
            dead.push(format!("spec.pools names AddressPool {pool}, which does not exist"));
        }
        if let Some(selector) = &advertisement.pool_selector
            && !pools.values().any(|pool| selector.matches(&pool.labels))
        {
            dead.push("spec.poolSelector matches no AddressPool".to_owned());
        }
        for (index, selector) in advertisement.node_selectors.iter().enumerate() {
            if !nodes.values().any(|node| selector.matches(&node.labels)) {
                dead.push(format!("spec.nodeSelectors[{index}] matches no Node"));
            }
        }
        // Without any speaker nobody knows which interfaces there are.
        let segments: Vec<_> = nodes.values().flat_map(|node| &node.segments).collect();
        for pattern in advertisement.interfaces.iter().filter(|_| !segments.is_empty()) {
            if !segments.iter().any(|segment| pattern.matches(&segment.interface)) {
                let there: BTreeSet<_> = segments.iter().map(|segment| segment.interface.as_str()).collect();
                let there: Vec<_> = there.into_iter().take(8).collect();
                let there = there.join(", ");
                dead.push(format!("spec.interfaces names {pattern}, which no node has (there are {there})"));
            }
        }
        dead
    }
}

fn pool_verdicts(record: &PoolRecord, report: &PoolReport) -> Vec<Verdict> {
    let ready = match &record.pool {
        Ok(_) => Verdict::new(condition::READY, true, reason::READY, "its addresses can be given out"),
        Err(invalid) => return vec![Verdict::new(condition::READY, false, invalid.reason, invalid.message.clone())],
    };
    let overlap = if report.overlaps.is_empty() {
        Verdict::new(condition::OVERLAP, false, reason::NO_OVERLAP, "no other pool holds any of its addresses")
    } else {
        let message = report.overlaps.values().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Verdict::new(condition::OVERLAP, true, reason::POOLS_OVERLAP, message)
    };
    let families = [("IPv4", report.ipv4), ("IPv6", report.ipv6)];
    let full: Vec<_> = families.iter().filter(|(_, counts)| counts.total > 0 && counts.available == 0).collect();
    let exhausted = if full.is_empty() {
        Verdict::new(condition::EXHAUSTED, false, reason::ADDRESSES_AVAILABLE, "every family has free addresses")
    } else {
        let full: Vec<_> =
            full.iter().map(|(family, counts)| format!("all {} {family} addresses are in use", counts.total)).collect();
        let message = format!("{}: add to spec.addresses, or create another pool", full.join(", "));
        Verdict::new(condition::EXHAUSTED, true, reason::POOL_EXHAUSTED, message)
    };
    vec![ready, overlap, exhausted]
}

fn pool_status(record: &PoolRecord, report: &PoolReport, verdicts: &[Verdict], now: Now) -> AddressPoolStatus {
    AddressPoolStatus {
        conditions: conditions(verdicts, &record.status.conditions, record.generation, now),
        ..herald_api::convert::pool::status(report)
    }
}

fn conditions(verdicts: &[Verdict], before: &[Condition], generation: Option<i64>, now: Now) -> Vec<Condition> {
    verdicts.iter().map(|verdict| verdict.condition(before, generation, now.wall)).collect()
}

fn in_pool(vip: Vip, outside: Option<&OutsidePool>, pool: &str) -> Verdict {
    match outside {
        None => Verdict::new(condition::IN_POOL, true, reason::IN_POOL, format!("AddressPool {pool} holds it")),
        Some(OutsidePool::OutsidePool) => {
            let message = format!(
                "AddressPool {pool} does not hold {vip} any more; its holder keeps it: add it to the pool's \
                 spec.addresses, or delete and create the Service to move it"
            );
            Verdict::new(condition::IN_POOL, false, reason::OUTSIDE_POOL, message)
        }
        Some(OutsidePool::PoolGone) => {
            let message = format!(
                "AddressPool {pool} is gone; its holder keeps {vip}: create the pool again, or delete and create the \
                 Service to move it"
            );
            Verdict::new(condition::IN_POOL, false, reason::POOL_GONE, message)
        }
    }
}

fn subject(kind: SubjectKind, name: &str, uid: &Uid) -> Subject {
    Subject { kind, namespace: None, name: name.to_owned(), uid: uid.clone() }
}

/// Events for conditions that turned; good news that was never bad before is none.
fn notices(about: &Subject, before: &[Condition], after: &[Condition]) -> Vec<Notice> {
    let turned = after.iter().filter(|after| {
        let before = before.iter().find(|before| before.type_ == after.type_);
        before.map_or_else(|| is_bad(after), |before| before.status != after.status)
    });
    let notice = |condition: &Condition| Notice {
        about: about.clone(),
        warning: is_bad(condition),
        reason: condition.reason.clone(),
        note: condition.message.clone(),
    };
    turned.map(notice).collect()
}

/// Overlap, Exhausted and DeadReference are bad when they hold, the others when they don't.
fn is_bad(state: &Condition) -> bool {
    let complaint =
        [condition::OVERLAP, condition::EXHAUSTED, condition::DEAD_REFERENCE].contains(&state.type_.as_str());
    (state.status == status(true)) == complaint
}
