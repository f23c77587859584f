//! Records of addresses in use: what watches and own writes say of them, and what follows from a change.

use super::State;
use crate::announced::conflict;
use crate::effects::LaneKey;
use crate::records::{Report, VipFacts, VipRecord};
use herald_core::address::Vip;
use herald_core::allocation::Holder;
use herald_core::names::ServiceKey;
use herald_core::service::ServiceRequest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl State {
    pub(super) fn observe_vip(&mut self, report: Report<Vip, VipRecord>) -> bool {
        match report {
            Report::Listing => {
                self.listings.vips.begin();
                false
            }
            Report::Is(vip, record) => {
                self.listings.vips.name(&vip);
                if self.deleted.get(&vip) == Some(&record.facts.uid) {
                    return false;
                }
                self.unconfirmed.remove(&vip);
                self.put_vip(vip, record)
            }
            Report::Gone(vip, uid) => {
                if uid.is_some() && self.deleted.get(&vip) == uid.as_ref() {
                    self.deleted.remove(&vip);
                }
                let current = self.vips.get(&vip).map(|facts| &facts.uid);
                let another = uid.is_some() && current != uid.as_ref();
                !another && self.drop_vip(vip)
            }
            Report::Listed => {
                self.deleted.clear();
                let absent = self.listings.vips.finish(self.vips.keys());
                let (doubtful, gone): (Vec<_>, Vec<_>) =
                    absent.into_iter().partition(|vip| self.unconfirmed.contains(vip));
                self.doubtful.extend(doubtful);
                gone.into_iter().fold(true, |changed, vip| self.drop_vip(vip) || changed)
            }
        }
    }

    pub(super) fn put_vip(&mut self, vip: Vip, record: VipRecord) -> bool {
        let VipRecord { entry, facts } = record;
        if let Some(known) = self.vips.get(&vip)
            && known.uid == facts.uid
            && (known.version == facts.version || facts.version.is_older_than(&known.version))
        {
            return false;
        }
        let holder = entry.holder.as_ref().map(|holder| LaneKey::Service(holder.uid.clone()));
        let own_work = self.busy.touch(&LaneKey::Vip(vip), &facts.version)
            | holder.is_some_and(|holder| self.busy.touch(&holder, &facts.version));
        self.stop_withholding(vip);
        if let Some(holder) = &entry.holder
            && holder.key == withholder(vip)
        {
            self.cluster.services.insert(holder.key.clone(), Arc::new(withholding(vip, holder)));
        }
        self.cluster.ledger.insert(vip, entry);
        self.network.set_conflict(vip, conflict(&facts).is_some());
        self.network.set_announced(vip, facts.announcer.is_some());
        self.place(vip, Some(facts));
        !own_work
    }

    fn stop_withholding(&mut self, vip: Vip) {
        // A namespace is never empty, so this is no Service's.
        self.cluster.services.remove(&withholder(vip));
    }

    pub(super) fn drop_vip(&mut self, vip: Vip) -> bool {
        self.unconfirmed.remove(&vip);
        self.doubtful.remove(&vip);
        self.books.patience.forget(vip);
        self.books.balancer.forget(vip);
        self.network.free(vip);
        self.stop_withholding(vip);
        if !self.busy.is_creating(vip) {
            self.cluster.ledger.remove(&vip);
        }
        self.place(vip, None)
    }

    /// Keeps count of where addresses are; `true` = it was recorded before.
    fn place(&mut self, vip: Vip, facts: Option<VipFacts>) -> bool {
        let before = self.vips.remove(&vip);
        let before_at = before.as_ref().map(|before| before.placement(vip, true));
        let at = facts.as_ref().map(|facts| facts.placement(vip, true));
        if let Some(at) = at {
            self.books.balancer.observe(before_at, at);
        }
        let (from, to) = (before_at.and_then(|it| it.node()), at.and_then(|it| it.node()));
        if from != to || before.is_some() != facts.is_some() {
            if let Some(node) = from {
                self.loads.remove(node);
            }
            if let Some(node) = to {
                self.loads.add(node);
            }
            self.changes += 1;
        }
        let known = before.is_some();
        if let Some(facts) = facts {
            self.vips.insert(vip, facts);
        }
        known
    }
}

/// The holder of an address whose record can't be understood.
pub fn withholder(vip: Vip) -> ServiceKey {
    ServiceKey::new("", vip.object_name())
}

/// What it asks for: just to keep the address.
fn withholding(vip: Vip, holder: &Holder) -> ServiceRequest {
    ServiceRequest {
        key: holder.key.clone(),
        uid: holder.uid.clone(),
        labels: BTreeMap::new(),
        families: vec![vip.family()],
        require_all_families: false,
        pools: Vec::new(),
        addresses: vec![vip],
        invalid: None,
        ports: BTreeSet::new(),
        published: vec![vip],
    }
}
