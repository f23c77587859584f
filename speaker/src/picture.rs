//! The cluster as ownership sees it, put together from what the watches have shown and what this node knows of
//! itself.
//!
//! Owns the joins (a Service's endpoints, a node's speaker); decides nothing.

use crate::intake::{News, ServiceRecord, VipRecord, World};
use herald_api::address_pool::Advertise;
use herald_api::convert::ownership;
use herald_core::address::{Family, Vip};
use herald_core::link::Links;
use herald_core::liveness::Claim;
use herald_core::names::{NodeName, ServiceKey};
use herald_core::ownership::{Node, Segment, Subject, View};
use herald_core::steering::Table;
use std::collections::{BTreeMap, BTreeSet};

/// What a node knows of itself before the API server does.
#[derive(Clone, Copy, Debug)]
pub struct Myself<'a> {
    /// Its name.
    pub node: &'a NodeName,
    /// Its interfaces that may announce.
    pub links: &'a Links,
    /// Whether it is about to stop.
    pub draining: bool,
}

/// The cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Nodes and advertisements.
    pub view: View,
    /// The addresses that somebody uses.
    pub subjects: BTreeMap<Vip, Subject>,
    /// What the kernel should know: every address in the ledger, used or not.
    pub table: Table,
}

impl Picture {
    /// Puts it together from everything there is.
    pub fn new(world: &World, myself: Myself<'_>) -> Self {
        let mut picture = Self::default();
        picture.follow(world, &News::all(world), myself);
        picture
    }

    /// Follows what has become different, and says of which addresses.
    pub fn follow(&mut self, world: &World, news: &News, myself: Myself<'_>) -> BTreeSet<Vip> {
        self.view = view(world, myself);
        let ledger = world.ledger.records();
        let of_pools = ledger.iter().filter(|(_, record)| news.pools.contains(&record.pool)).map(|(vip, _)| *vip);
        let touched: BTreeSet<Vip> =
            if news.pools.is_empty() { news.vips.clone() } else { of_pools.chain(news.vips.iter().copied()).collect() };
        for vip in &touched {
            let record = ledger.get(vip);
            replace(&mut self.table.vips, *vip, record.map(|record| record.ports.clone()));
            replace(&mut self.subjects, *vip, record.and_then(|record| subject(*vip, record, world)));
        }
        touched
    }
}

fn replace<V>(map: &mut BTreeMap<Vip, V>, vip: Vip, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(vip, value)),
        None => drop(map.remove(&vip)),
    }
}

/// The node's interfaces as it reports them.
pub fn segments(links: &Links) -> Vec<Segment> {
    let segment = |link: &herald_core::link::Link| Segment {
        interface: link.name.clone(),
        subnets: link.addresses.iter().map(ipnet::IpNet::trunc).collect(),
        carrier: link.carrier,
        mac: Some(link.mac),
        addresses: BTreeSet::new(),
    };
    links.values().map(segment).collect()
}

fn view(world: &World, myself: Myself<'_>) -> View {
    let nodes = world.nodes.records().iter().map(|(name, record)| {
        let (speaker, segments) = if name == myself.node {
            (!myself.draining, segments(myself.links))
        } else {
            let speaker = world.speakers.records().get(name).map(|speaker| &speaker.status);
            (speaker.is_some_and(ownership::runs), speaker.map_or_else(Vec::new, ownership::segments))
        };
        let leaving = record.labels.contains_key(herald_api::keys::DRAIN_NODE_LABEL);
        let node = Node {
            labels: record.labels.clone(),
            speaker,
            bar: record.bar,
            leaving,
            cordoned: record.cordoned,
            segments,
        };
        (name.clone(), node)
    });
    let advertisements = world.advertisements.records().iter();
    View {
        nodes: nodes.collect(),
        advertisements: advertisements.map(|(name, spec)| (name.clone(), ownership::advertisement(spec))).collect(),
    }
}

fn subject(vip: Vip, record: &VipRecord, world: &World) -> Option<Subject> {
    let holder = record.holder.as_ref()?;
    // A Service of the same name and another life is another Service.
    let service: Option<&ServiceRecord> =
        world.services.records().get(holder).filter(|service| Some(&service.uid) == record.holder_uid.as_ref());
    let pool = world.pools.records().get(&record.pool);
    Some(Subject {
        vip,
        pool: record.pool.clone(),
        pool_labels: pool.map(|pool| pool.labels.clone()).unwrap_or_default(),
        // Addresses outlive their pool, and so does their being announced.
        advertised_by_default: pool.is_none_or(|pool| pool.spec.advertise == Advertise::Default),
        holder_labels: service.map(|service| service.labels.clone()).unwrap_or_default(),
        endpoints: service.is_some_and(|service| service.local).then(|| usable(holder, vip.family(), world)),
        claim: record.announcer.as_ref().map(|announcer| Claim {
            epoch: announcer.epoch.try_into().unwrap_or(0),
            node: NodeName::new(&announcer.node),
        }),
        preferred: record.preferred.clone(),
        pinned: record.pinned,
    })
}

/// The nodes with a usable endpoint of a Service: a ready one or, while a node has none, one that serves until it has
/// stopped. kube-proxy chooses alike. Two slices may name one endpoint for a moment; a node counts once whatever they say.
fn usable(service: &ServiceKey, family: Family, world: &World) -> BTreeSet<NodeName> {
    let slices = world.slices_of(service).filter(|slice| slice.family == family);
    let serving = slices.flat_map(|slice| &slice.endpoints).filter(|endpoint| endpoint.ready || endpoint.last_resort);
    serving.map(|endpoint| endpoint.node.clone()).collect()
}

#[cfg(test)]
mod tests;
