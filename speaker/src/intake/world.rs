//! The last view of everything watched, and what of it has become different.
//!
//! Owns the two indices that save a search through everything when one object changes. Decides nothing.

use super::Change;
use super::memory::Memory;
use super::mirror::{Difference, Mirror};
use super::records::{
    AdvertisementRecord, KeyRecord, NodeRecord, PoolRecord, ServiceRecord, SliceRecord, SpeakerRecord, VipRecord,
};
use herald_api::herald_config::HeraldConfigSpec;
use herald_core::address::Vip;
use herald_core::names::{NodeName, PoolName, ServiceKey};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The last view of everything watched.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Addresses in use.
    pub ledger: Mirror<Vip, VipRecord>,
    /// Speakers by node.
    pub speakers: Mirror<NodeName, SpeakerRecord>,
    /// Pools.
    pub pools: Mirror<PoolName, PoolRecord>,
    /// Advertisements.
    pub advertisements: Mirror<String, AdvertisementRecord>,
    /// Nodes.
    pub nodes: Mirror<NodeName, NodeRecord>,
    /// Services of type LoadBalancer.
    pub services: Mirror<ServiceKey, ServiceRecord>,
    /// EndpointSlices by their own namespace and name.
    pub slices: Mirror<ServiceKey, SliceRecord>,
    /// `HeraldConfig`s by name; one counts.
    pub configs: Mirror<String, HeraldConfigSpec>,
    /// The Secret with the keys of heartbeats, by name.
    pub keys: Mirror<String, KeyRecord>,
    /// Addresses by the Service that uses them.
    vips_of: BTreeMap<ServiceKey, BTreeSet<Vip>>,
    /// EndpointSlices by their Service.
    slices_of: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
}

/// What is different since somebody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Addresses of which something is different: they themselves, their Services, these Services' endpoints.
    pub vips: BTreeSet<Vip>,
    /// Pools; their addresses are not listed above.
    pub pools: BTreeSet<PoolName>,
    /// Nodes, speakers or advertisements are.
    pub nodes: bool,
    /// The configuration or the keys of heartbeats are.
    pub settings: bool,
    /// A kind is known as a whole now, or the API server has gone or come back.
    pub standing: bool,
}

impl News {
    /// As if everything there is had just become known.
    pub fn all(world: &World) -> Self {
        let (ledger, pools) = (world.ledger.records().keys(), world.pools.records().keys());
        Self {
            vips: ledger.copied().collect(),
            pools: pools.cloned().collect(),
            nodes: true,
            settings: true,
            standing: true,
        }
    }

    /// Takes in more of them.
    pub fn add(&mut self, more: Self) {
        let Self { mut vips, mut pools, nodes, settings, standing } = more;
        self.vips.append(&mut vips);
        self.pools.append(&mut pools);
        self.nodes |= nodes;
        self.settings |= settings;
        self.standing |= standing;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl World {
    /// Whether there is a view of every kind that decides. Before that nothing can be decided.
    pub const fn is_complete(&self) -> bool {
        self.ledger.is_complete()
            && self.speakers.is_complete()
            && self.pools.is_complete()
            && self.advertisements.is_complete()
            && self.nodes.is_complete()
            && self.services.is_complete()
            && self.slices.is_complete()
    }

    /// Whether the API server has told in this life what the ledger holds.
    pub const fn is_listed(&self) -> bool {
        self.ledger.is_listed() && self.nodes.is_listed()
    }

    /// The addresses that a Service uses.
    pub fn vips_of(&self, service: &ServiceKey) -> impl Iterator<Item = Vip> {
        self.vips_of.get(service).into_iter().flatten().copied()
    }

    /// A Service's EndpointSlices.
    pub fn slices_of(&self, service: &ServiceKey) -> impl Iterator<Item = &SliceRecord> {
        let names = self.slices_of.get(service).into_iter().flatten();
        names.filter_map(|name| self.slices.records().get(name))
    }

    /// The view as it is, to be written down.
    pub const fn memory(&self) -> Memory<'_> {
        Memory {
            ledger: Cow::Borrowed(self.ledger.records()),
            speakers: Cow::Borrowed(self.speakers.records()),
            pools: Cow::Borrowed(self.pools.records()),
            advertisements: Cow::Borrowed(self.advertisements.records()),
            nodes: Cow::Borrowed(self.nodes.records()),
            services: Cow::Borrowed(self.services.records()),
            slices: Cow::Borrowed(self.slices.records()),
            configs: Cow::Borrowed(self.configs.records()),
            keys: Cow::Borrowed(self.keys.records()),
        }
    }

    /// Takes a view of an earlier life for every kind that the API server has not listed yet.
    pub(crate) fn remember(&mut self, memory: Memory<'_>, news: &mut News) {
        let different = self.ledger.remember(memory.ledger.into_owned());
        self.ledger_differs(different, news);
        let different = self.services.remember(memory.services.into_owned());
        self.services_differ(different, news);
        let different = self.slices.remember(memory.slices.into_owned());
        self.slices_differ(different, news);
        pools_differ(self.pools.remember(memory.pools.into_owned()), news);
        news.nodes |= self.speakers.remember(memory.speakers.into_owned()).is_some();
        news.nodes |= self.advertisements.remember(memory.advertisements.into_owned()).is_some();
        news.nodes |= self.nodes.remember(memory.nodes.into_owned()).is_some();
        news.settings |= self.configs.remember(memory.configs.into_owned()).is_some();
        news.settings |= self.keys.remember(memory.keys.into_owned()).is_some();
    }

    /// Takes in a change and what it makes different.
    pub(crate) fn apply(&mut self, change: Change, news: &mut News) {
        match change {
            Change::Ledger(seen) => {
                let different = self.ledger.apply(seen);
                self.ledger_differs(different, news);
            }
            Change::Service(seen) => {
                let different = self.services.apply(seen);
                self.services_differ(different, news);
            }
            Change::EndpointSlice(seen) => {
                let different = self.slices.apply(seen);
                self.slices_differ(different, news);
            }
            Change::Pool(seen) => pools_differ(self.pools.apply(seen), news),
            Change::Speaker(seen) => news.nodes |= self.speakers.apply(seen).is_some(),
            Change::Advertisement(seen) => news.nodes |= self.advertisements.apply(seen).is_some(),
            Change::Node(seen) => news.nodes |= self.nodes.apply(seen).is_some(),
            Change::Config(seen) => news.settings |= self.configs.apply(seen).is_some(),
            Change::Keys(seen) => news.settings |= self.keys.apply(seen).is_some(),
            Change::Trouble(..) => {}
        }
    }

    fn ledger_differs(&mut self, different: Difference<Vip, VipRecord>, news: &mut News) {
        let Some(different) = different else { return };
        news.standing = true;
        for (vip, old) in different {
            let new = self.ledger.records().get(&vip);
            let holders = (old.and_then(|old| old.holder), new.and_then(|new| new.holder.clone()));
            reindex(&mut self.vips_of, holders, vip);
            news.vips.insert(vip);
        }
    }

    fn services_differ(&mut self, different: Difference<ServiceKey, ServiceRecord>, news: &mut News) {
        let Some(different) = different else { return };
        news.standing = true;
        for (service, _) in different {
            news.vips.extend(self.vips_of(&service));
        }
    }

    fn slices_differ(&mut self, different: Difference<ServiceKey, SliceRecord>, news: &mut News) {
        let Some(different) = different else { return };
        news.standing = true;
        for (name, old) in different {
            let services =
                (old.map(|old| old.service), self.slices.records().get(&name).map(|slice| slice.service.clone()));
            for service in [&services.0, &services.1].into_iter().flatten() {
                news.vips.extend(self.vips_of(service));
            }
            reindex(&mut self.slices_of, services, name);
        }
    }
}

fn pools_differ(different: Difference<PoolName, PoolRecord>, news: &mut News) {
    let Some(different) = different else { return };
    news.standing = true;
    news.pools.extend(different.into_iter().map(|(pool, _)| pool));
}

/// Moves an entry from its old group to its new one.
fn reindex<G: Ord, E: Ord>(index: &mut BTreeMap<G, BTreeSet<E>>, (old, new): (Option<G>, Option<G>), entry: E) {
    if old == new {
        return;
    }
    if let Some(old) = old
        && let Some(group) = index.get_mut(&old)
    {
        group.remove(&entry);
        if group.is_empty() {
            index.remove(&old);
        }
    }
    if let Some(new) = new {
        index.entry(new).or_default().insert(entry);
    }
}
