//! What the controller knows: the planner's input, kept in step with watches and with its own writes.
//!
//! Own writes count from the moment the API server answered, or even from the moment they are sent (an address being
//! recorded is taken), long before a watch shows them: the next pass builds on them. Later a watch shows older states
//! first, which are recognised by their versions and ignored.

mod busy;
mod listing;
mod network;
mod refused;
mod vips;

pub use busy::{Completion, Failure, FailureClass};
pub use network::Network;
pub use vips::withholder;

use crate::difference::Books;
use crate::effects::{Lane, LaneKey};
use crate::records::{
    AdvertisementRecord, NodeRecord, Observation, PoolRecord, Report, SecretRecord, ServiceFacts, ServiceRecord,
    SpeakerRecord, VipFacts,
};
use busy::{BusyLanes, Retries};
use herald_core::address::Vip;
use herald_core::allocation::Snapshot;
use herald_core::balance::Loads;
use herald_core::names::{NodeName, PoolName, ServiceKey, Uid};
use herald_core::ownership::{Node, View};
use jiff::Timestamp;
use listing::Listing;
use refused::RefusedWrites;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// What the controller knows.
#[derive(Default)]
pub struct State {
    /// What allocation depends on. The ledger includes addresses that are being recorded right now.
    pub cluster: Snapshot,
    /// Services that are ours or bear traces of it.
    pub services: BTreeMap<ServiceKey, ServiceFacts>,
    /// Recorded addresses.
    pub vips: BTreeMap<Vip, VipFacts>,
    /// All pools.
    pub pools: BTreeMap<PoolName, PoolRecord>,
    /// All advertisements.
    pub advertisements: BTreeMap<String, AdvertisementRecord>,
    /// Nodes and their speakers, as ownership sees them.
    pub view: View,
    /// Recorded addresses that a list lacked although we wrote them: it may have been older than the write.
    pub doubtful: BTreeSet<Vip>,
    /// What passes remember.
    pub books: Books,
    /// How many addresses each node has or is about to get.
    pub loads: Loads,
    /// Counts changes of anything that balance depends on.
    pub changes: u64,
    /// What speakers heard when they asked for addresses.
    pub network: Network,
    /// The Secret that holds the keys of heartbeats, by its name, as far as [`State::knows_secret`].
    pub secret: BTreeMap<String, SecretRecord>,
    nodes: BTreeMap<NodeName, NodeRecord>,
    speakers: BTreeMap<NodeName, SpeakerRecord>,
    /// Addresses we recorded that no watch has shown yet.
    unconfirmed: BTreeSet<Vip>,
    /// Records we deleted that a watch may still show.
    deleted: BTreeMap<Vip, Uid>,
    listings: Listings,
    busy: BusyLanes,
    retries: Retries,
    refused: RefusedWrites,
}

#[derive(Default)]
struct Listings {
    services: Listing<ServiceKey>,
    vips: Listing<Vip>,
    pools: Listing<PoolName>,
    namespaces: Listing<herald_core::names::Namespace>,
    nodes: Listing<NodeName>,
    speakers: Listing<NodeName>,
    advertisements: Listing<String>,
    secret: Listing<String>,
}

impl State {
    /// The kinds that no list has come of yet.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let listings = &self.listings;
        [
            ("Services", listings.services.complete()),
            ("VirtualIPs", listings.vips.complete()),
            ("AddressPools", listings.pools.complete()),
            ("Namespaces", listings.namespaces.complete()),
            ("Nodes", listings.nodes.complete()),
            ("Speakers", listings.speakers.complete()),
            ("L2Advertisements", listings.advertisements.complete()),
        ]
        .into_iter()
        .filter_map(|(kind, complete)| (!complete).then_some(kind))
        .collect()
    }

    /// Whether a list has said if there is a Secret with the keys of heartbeats. Addresses don't wait for that.
    pub fn knows_secret(&self) -> bool {
        self.listings.secret.complete()
    }

    /// Takes what a watch says; `true` = something may have to be done about it.
    pub fn observe(&mut self, observation: Observation) -> bool {
        match observation {
            Observation::Service(report) => self.observe_service(report),
            Observation::Vip(report) => self.observe_vip(report),
            Observation::Pool(report) => {
                let changed = self.listings.pools.apply(&mut self.pools, report);
                if changed {
                    self.review_pools();
                    self.changes += 1;
                }
                changed
            }
            Observation::Namespace(report) => self.listings.namespaces.apply(&mut self.cluster.namespaces, report),
            Observation::Node(report) => {
                let changed = self.listings.nodes.apply(&mut self.nodes, report);
                self.review_nodes(changed)
            }
            Observation::Speaker(report) => {
                let changed = self.listings.speakers.apply(&mut self.speakers, report);
                if changed {
                    self.network.hear(self.speakers.values().map(|speaker| &speaker.findings));
                }
                self.review_nodes(changed)
            }
            Observation::Advertisement(report) => {
                let changed = self.listings.advertisements.apply(&mut self.advertisements, report);
                if changed {
                    let usable = self.advertisements.iter().filter_map(|(name, record)| {
                        record.advertisement.as_ref().ok().map(|advertisement| (name.clone(), advertisement.clone()))
                    });
                    self.view.advertisements = usable.collect();
                    self.changes += 1;
                }
                changed
            }
            Observation::Secret(report) => self.listings.secret.apply(&mut self.secret, report),
        }
    }

    fn review_pools(&mut self) {
        self.cluster.pools.clear();
        self.cluster.pools_set_aside.clear();
        for (name, record) in &self.pools {
            match &record.pool {
                Ok(pool) => _ = self.cluster.pools.insert(name.clone(), pool.clone()),
                Err(invalid) => _ = self.cluster.pools_set_aside.insert(name.clone(), invalid.message.clone()),
            }
        }
    }

    fn review_nodes(&mut self, changed: bool) -> bool {
        if changed {
            let node = |(name, node): (&NodeName, &NodeRecord)| {
                let speaker = self.speakers.get(name);
                let node = Node {
                    labels: node.labels.clone(),
                    speaker: speaker.is_some_and(|speaker| speaker.running),
                    bar: node.bar,
                    leaving: node.leaving,
                    cordoned: node.cordoned,
                    segments: speaker.map(|speaker| speaker.segments.clone()).unwrap_or_default(),
                };
                (name.clone(), node)
            };
            let nodes = self.nodes.iter().map(node).collect();
            // Most news of speakers are findings, which change nothing here.
            if self.view.nodes != nodes {
                self.view.nodes = nodes;
                self.changes += 1;
            }
        }
        changed
    }

    fn observe_service(&mut self, report: Report<ServiceKey, ServiceRecord>) -> bool {
        match report {
            Report::Listing => {
                self.listings.services.begin();
                false
            }
            Report::Is(key, record) => {
                self.listings.services.name(&key);
                self.put_service(key, record)
            }
            Report::Gone(key, uid) => {
                let current = self.services.get(&key).map(|facts| &facts.uid);
                let another = uid.is_some() && current != uid.as_ref();
                !another && self.drop_service(&key)
            }
            Report::Listed => {
                let absent = self.listings.services.finish(self.services.keys());
                absent.iter().fold(true, |changed, key| self.drop_service(key) || changed)
            }
        }
    }

    fn put_service(&mut self, key: ServiceKey, record: ServiceRecord) -> bool {
        let ServiceRecord { request, facts } = record;
        if let Some(known) = self.services.get(&key)
            && known.uid == facts.uid
            && (known.version == facts.version || facts.version.is_older_than(&known.version))
        {
            return false;
        }
        let own_work = self.busy.touch(&LaneKey::Service(facts.uid.clone()), &facts.version);
        match request {
            Some(request) => self.cluster.services.insert(key.clone(), Arc::new(request)),
            None => self.cluster.services.remove(&key),
        };
        let (uid, before) = (facts.uid.clone(), self.services.insert(key, facts));
        if let Some(before) = before.filter(|before| before.uid != uid) {
            self.refused.forget(&before.uid);
        }
        !own_work
    }

    fn drop_service(&mut self, key: &ServiceKey) -> bool {
        self.cluster.services.remove(key);
        let gone = self.services.remove(key);
        if let Some(facts) = &gone {
            self.refused.forget(&facts.uid);
        }
        gone.is_some()
    }

    /// Lets allocation know what speakers heard, as far as that still counts.
    pub fn review_network(&mut self, now: Timestamp) {
        if let Some((silent, occupied)) = self.network.review(now) {
            (self.cluster.silent, self.cluster.occupied) = (silent, occupied);
        }
    }

    /// Whether nothing is under way for the key, and no earlier failure asks for patience.
    pub fn is_idle(&self, key: &LaneKey, now: Instant) -> bool {
        !self.busy.contains(key) && self.retries.is_due(key, now)
    }

    /// How many lanes are under way.
    pub fn under_way(&self) -> usize {
        self.busy.len()
    }

    /// Notes that a pass leaves alone what is under way: each of those lanes calls for another one at its end.
    pub fn passes_over(&mut self) {
        self.busy.pass_over();
    }

    /// Notes that a lane was handed to the executor: addresses it is about to record are taken from now on.
    pub fn dispatched(&mut self, lane: &Lane) {
        for (vip, entry, preferred) in lane.creations() {
            self.cluster.ledger.insert(vip, entry.clone());
            if let Some(node) = preferred {
                self.loads.add(node);
            }
        }
        self.busy.begin(lane);
    }

    /// Takes the result of a lane; `true` = something may have to be done now.
    pub fn completed(&mut self, completion: Completion, now: Instant) -> bool {
        let Completion { lane, written, outcome } = completion;
        let versions: Vec<_> = written.iter().filter_map(version_of).collect();
        for observation in written {
            self.absorb(&lane, observation);
        }
        let Some(finished) = self.busy.end(&lane) else {
            return true;
        };
        for (vip, preferred) in finished.creations {
            if !self.vips.contains_key(&vip) {
                self.cluster.ledger.remove(&vip);
            }
            if let Some(node) = &preferred {
                self.loads.remove(node);
            }
        }
        let overtaken = finished.touched.iter().any(|version| !versions.contains(version));
        match outcome {
            Ok(()) => {
                self.retries.succeeded(&lane);
                if let LaneKey::Service(uid) = &lane {
                    self.refused.succeeded(uid, &finished.kinds);
                }
                overtaken || finished.frees || finished.passed_over
            }
            Err(failure) => self.retries.failed(lane, failure.class, now) || overtaken,
        }
    }

    /// The last write for the Service that the API server refuses, unless it went through since.
    pub fn refused(&self, service: &Uid) -> Option<&Failure> {
        self.refused.get(service)
    }

    /// Notes a failure of a lane; the Service that it is about, if the API server refuses the write and that is news.
    pub fn refuses(&mut self, lane: &LaneKey, failure: &Failure) -> Option<(&ServiceKey, &Uid)> {
        let LaneKey::Service(uid) = lane else { return None };
        let (key, facts) = self.services.iter().find(|(_, facts)| facts.uid == *uid)?;
        self.refused.note(uid, failure).then_some((key, &facts.uid))
    }

    /// Takes the answer to an own write or read.
    fn absorb(&mut self, lane: &LaneKey, observation: Observation) {
        match observation {
            Observation::Vip(Report::Is(vip, record)) => {
                self.doubtful.remove(&vip);
                if self.put_vip(vip, record) {
                    self.unconfirmed.insert(vip);
                }
            }
            Observation::Vip(Report::Gone(vip, uid)) => {
                if let Some(uid) = uid.or_else(|| self.vips.get(&vip).map(|facts| facts.uid.clone())) {
                    self.deleted.insert(vip, uid);
                }
                self.drop_vip(vip);
            }
            // Services are never created here: one that is unknown by now has gone while the lane was under way, and the
            // answer would bring it back for good. Another life of the name counts if it is the later one.
            Observation::Service(Report::Is(key, record)) => {
                let known = self.services.get(&key);
                if known.is_some_and(|known| !record.facts.version.is_older_than(&known.version)) {
                    self.put_service(key, record);
                }
            }
            // Whoever bears the name now: the life that the lane was about does not.
            Observation::Service(Report::Gone(key, _)) => {
                let known = self.services.get(&key).map(|facts| LaneKey::Service(facts.uid.clone()));
                if known.as_ref() == Some(lane) {
                    self.drop_service(&key);
                }
            }
            other => {
                self.observe(other);
            }
        }
    }

    /// When the next pass after this moment is due although nothing happens.
    pub fn next_deadline(&self, after: Instant) -> Option<Instant> {
        [self.retries.next_due(after), self.books.next_due(after)].into_iter().flatten().min()
    }
}

fn version_of(observation: &Observation) -> Option<crate::records::Version> {
    match observation {
        Observation::Service(Report::Is(_, record)) => Some(record.facts.version.clone()),
        Observation::Vip(Report::Is(_, record)) => Some(record.facts.version.clone()),
        _ => None,
    }
}
