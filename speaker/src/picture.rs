//! The cluster as ownership sees it, put together from what the watches have shown and what this node knows of
//! itself.
//!
//! Owns the joins (a Service's endpoints, a node's speaker); decides nothing.

use crate::intake::{ServiceRecord, VipRecord, World};
use herald_core::address::{Family, Vip};
use herald_core::link::Links;
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
    /// Puts it together.
    pub fn new(world: &World, myself: Myself<'_>) -> Self {
        let endpoints = local_endpoints(world);
        let ledger = world.ledger.records();
        Self {
            view: view(world, myself),
            subjects: ledger
                .iter()
                .filter_map(|(vip, record)| Some((*vip, subject(*vip, record, world, &endpoints)?)))
                .collect(),
            table: Table { vips: ledger.iter().map(|(vip, record)| (*vip, record.ports.clone())).collect() },
        }
    }
}

/// The node's interfaces as it reports them.
pub fn segments(links: &Links) -> Vec<Segment> {
    let segment = |link: &herald_core::link::Link| Segment {
        interface: link.name.clone(),
        subnets: link.addresses.iter().map(ipnet::IpNet::trunc).collect(),
        carrier: link.carrier,
    };
    links.values().map(segment).collect()
}

fn view(world: &World, myself: Myself<'_>) -> View {
    let nodes = world.nodes.records().iter().map(|(name, record)| {
        let (speaker, segments) = if name == myself.node {
            (!myself.draining, segments(myself.links))
        } else {
            let speaker = world.speakers.records().get(name);
            (speaker.is_some_and(|speaker| speaker.running), speaker.map_or_else(Vec::new, |s| s.segments.clone()))
        };
        (name.clone(), Node { labels: record.labels.clone(), speaker, bar: record.bar, segments })
    });
    View { nodes: nodes.collect(), advertisements: world.advertisements.records().clone() }
}

fn subject(vip: Vip, record: &VipRecord, world: &World, endpoints: &LocalEndpoints) -> Option<Subject> {
    let holder = record.holder.as_ref()?;
    // A Service of the same name and another life is another Service.
    let service: Option<&ServiceRecord> =
        world.services.records().get(holder).filter(|service| Some(&service.uid) == record.holder_uid.as_ref());
    let pool = world.pools.records().get(&record.pool);
    let of_family = || endpoints.get(&(holder.clone(), vip.family())).cloned().unwrap_or_default();
    Some(Subject {
        vip,
        pool: record.pool.clone(),
        pool_labels: pool.map(|pool| pool.labels.clone()).unwrap_or_default(),
        // Addresses outlive their pool, and so does their being announced.
        advertised_by_default: pool.is_none_or(|pool| pool.by_default),
        holder_labels: service.map(|service| service.labels.clone()).unwrap_or_default(),
        endpoints: service.is_some_and(|service| service.local).then(of_family),
        claimant: record.announcer.as_ref().map(|announcer| NodeName::new(&announcer.node)),
    })
}

/// Nodes with a usable endpoint, by Service and family.
type LocalEndpoints = BTreeMap<(ServiceKey, Family), BTreeSet<NodeName>>;

/// A node is usable with a ready endpoint, or, while it has none, with one that serves until it has stopped: kube-proxy
/// chooses alike. Two slices may name one endpoint for a moment; a node counts once whatever they say.
fn local_endpoints(world: &World) -> LocalEndpoints {
    let services = world.services.records();
    let slices = world.slices.records().values();
    let mut usable = LocalEndpoints::new();
    for slice in slices.filter(|slice| services.get(&slice.service).is_some_and(|service| service.local)) {
        let nodes = usable.entry((slice.service.clone(), slice.family)).or_default();
        let serving = slice.endpoints.iter().filter(|endpoint| endpoint.ready || endpoint.last_resort);
        nodes.extend(serving.map(|endpoint| endpoint.node.clone()));
    }
    usable
}

#[cfg(test)]
mod tests;
