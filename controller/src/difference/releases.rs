//! Addresses whose holder is not a Service of ours any more, and traces on Services that hold nothing.

use super::Comparison;
use crate::effects::{Effect, Lane, LaneKey};
use herald_core::address::Vip;
use herald_core::allocation::Holder;
use herald_core::names::{ServiceKey, Uid};
use std::collections::{BTreeMap, BTreeSet};

impl Comparison<'_> {
    /// Addresses that a list lacked although we recorded them.
    pub(super) fn refetches(&mut self) {
        let state = self.state;
        for vip in &state.doubtful {
            let key = LaneKey::Vip(*vip);
            if self.is_idle(&key) {
                let effects = vec![Effect::RefetchVip { vip: *vip }];
                self.push(Lane { key, service: None, effects, notices: Vec::new() });
            }
        }
    }

    pub(super) fn releases(&mut self) {
        let mut orphans: BTreeMap<&Uid, (&Holder, BTreeSet<Vip>)> = BTreeMap::new();
        let mut nobodys = Vec::new();
        let state = self.state;
        for (vip, entry) in &state.cluster.ledger {
            if !state.vips.contains_key(vip) {
                continue;
            }
            match &entry.holder {
                Some(holder) if self.is_served(holder) => {}
                Some(holder) => {
                    let (_, vips) = orphans.entry(&holder.uid).or_insert_with(|| (holder, BTreeSet::new()));
                    vips.insert(*vip);
                }
                None if !self.plan.ledger.contains_key(vip) => nobodys.push(*vip),
                None => {}
            }
        }
        for (uid, (holder, vips)) in orphans {
            self.release_all(uid, holder, vips);
        }
        for vip in nobodys {
            let key = LaneKey::Vip(vip);
            if let (true, Some(seen)) = (self.is_idle(&key), self.seen(vip)) {
                let effects = vec![Effect::DeleteVip { vip, seen }];
                self.push(Lane { key, service: None, effects, notices: Vec::new() });
            }
        }
    }

    /// Whether the holder is a Service of ours, whose own lane decides what it keeps.
    fn is_served(&self, holder: &Holder) -> bool {
        self.state.cluster.services.get(&holder.key).is_some_and(|request| request.uid == holder.uid)
    }

    fn release_all(&mut self, uid: &Uid, holder: &Holder, vips: BTreeSet<Vip>) {
        let key = LaneKey::Service(uid.clone());
        if !self.is_idle(&key) {
            return;
        }
        let facts = self.state.services.get(&holder.key).filter(|facts| facts.uid == *uid);
        let mut effects = Vec::new();
        self.release(&mut effects, &holder.key, uid, vips, false);
        effects.push(Effect::LetGo { service: holder.key.clone(), uid: uid.clone() });
        let service = facts.map(crate::records::ServiceFacts::seen);
        self.push(Lane { key, service, effects, notices: Vec::new() });
    }

    /// Adds what frees these addresses.
    pub(super) fn release(
        &self,
        effects: &mut Vec<Effect>,
        holder: &ServiceKey,
        uid: &Uid,
        vips: BTreeSet<Vip>,
        stays_ours: bool,
    ) {
        if vips.is_empty() {
            return;
        }
        let deletions = vips.iter().filter_map(|vip| Some(Effect::DeleteVip { vip: *vip, seen: self.seen(*vip)? }));
        let deletions: Vec<_> = deletions.collect();
        effects.push(Effect::ConfirmRelease { holder: holder.clone(), uid: uid.clone(), vips, stays_ours });
        effects.extend(deletions);
    }

    /// Services that ceased to be ours and hold nothing, but bear our conditions still.
    pub(super) fn traces(&mut self) {
        let state = self.state;
        for (service, facts) in &state.services {
            let key = LaneKey::Service(facts.uid.clone());
            let ours = state.cluster.services.contains_key(service);
            if !ours && !facts.conditions.is_empty() && !self.held.contains_key(&facts.uid) && self.is_idle(&key) {
                let effects = vec![Effect::LetGo { service: service.clone(), uid: facts.uid.clone() }];
                self.push(Lane { key, service: Some(facts.seen()), effects, notices: Vec::new() });
            }
        }
    }
}
