//! The cluster as a member sees it, put together from what the watches have shown and what this node knows of itself.
//!
//! Owns the joins (a Service's endpoints, a node's speaker) and that only what has changed is put together anew; decides
//! nothing.

use crate::intake::{News, NodeRecord, ServiceRecord, VipRecord, World};
use herald_api::address_pool::Advertise;
use herald_api::convert::ownership;
use herald_core::address::{Family, Vip};
use herald_core::link::{Link, Links};
use herald_core::liveness::Claim;
use herald_core::member::{Condition, Outlook};
use herald_core::names::{NodeName, ServiceKey};
use herald_core::ownership::{Bar, Node, Segment, Subject, View};
use herald_core::steering::Table;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What a node knows of itself before the API server does.
#[derive(Clone, Copy, Debug)]
pub struct Myself<'a> {
    /// Its name.
    pub node: &'a NodeName,
    /// Its interfaces that may announce.
    pub links: &'a Links,
    /// Whether its speaker is about to end.
    pub ending: bool,
}

/// The cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// For the member. It shares what has stayed the same with the one before.
    pub outlook: Outlook,
    /// For the kernel: every address in the ledger, used or not.
    pub table: Table,
}

impl Picture {
    /// Puts it together from everything there is.
    pub fn new(world: &World, myself: Myself<'_>) -> Self {
        let mut picture = Self::default();
        picture.follow(world, &News::all(world), myself);
        picture
    }

    /// Follows what has become different. What this node can do for an address is the caller's to add.
    pub fn follow(&mut self, world: &World, news: &News, myself: Myself<'_>) {
        let view = view(world, myself);
        if *self.outlook.view != view {
            self.outlook.view = Arc::new(view);
        }
        let ledger = world.ledger.records();
        let of_pools = ledger.iter().filter(|(_, record)| news.pools.contains(&record.pool)).map(|(vip, _)| *vip);
        let of_pools: BTreeSet<Vip> = if news.pools.is_empty() { BTreeSet::new() } else { of_pools.collect() };
        for vip in news.vips.union(&of_pools) {
            let record = ledger.get(vip);
            replace(&mut self.table.vips, *vip, record.map(|record| record.ports.clone()));
            let subject = record.and_then(|record| subject(*vip, record, world));
            if self.outlook.subjects.get(vip).map(Arc::as_ref) != subject.as_ref() {
                replace(&mut self.outlook.subjects, *vip, subject.map(Arc::new));
            }
        }
        self.outlook.me =
            Condition { ending: myself.ending, leaving: is_leaving(&self.outlook.view, myself), ..self.outlook.me };
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
    let segment = |link: &Link| Segment {
        interface: link.name.clone(),
        subnets: link.addresses.iter().map(IpNet::trunc).collect(),
        carrier: link.carrier,
        mac: Some(link.mac),
        addresses: endpoints(link).collect(),
    };
    links.values().map(segment).collect()
}

/// Where the speakers of other nodes reach this one on an interface: an address of each family, one with a subnet first,
/// since those without are often lent for a while.
pub fn endpoints(link: &Link) -> impl Iterator<Item = IpAddr> {
    let best = |is_family: fn(&IpAddr) -> bool| {
        let addresses = link.addresses.iter().filter(move |net| is_family(&net.addr()));
        addresses.min_by_key(|net| (net.prefix_len() == net.max_prefix_len(), net.addr())).map(IpNet::addr)
    };
    best(IpAddr::is_ipv4).into_iter().chain(best(IpAddr::is_ipv6).or_else(|| link.link_local.map(IpAddr::V6)))
}

fn view(world: &World, myself: Myself<'_>) -> View {
    let nodes = world.nodes.records().iter().map(|(name, record)| {
        let (speaker, segments) = if name == myself.node {
            (true, segments(myself.links))
        } else {
            let speaker = world.speakers.records().get(name).map(|speaker| &speaker.status);
            (speaker.is_some_and(ownership::runs), speaker.map_or_else(Vec::new, ownership::segments))
        };
        let NodeRecord { uid: _, labels, bar, draining, cordoned } = record;
        let (labels, bar, leaving, cordoned) = (labels.clone(), *bar, *draining, *cordoned);
        (name.clone(), Node { labels, speaker, bar, leaving, cordoned, segments })
    });
    let advertisements = world.advertisements.records().iter();
    View {
        nodes: nodes.collect(),
        advertisements: advertisements.map(|(name, spec)| (name.clone(), ownership::advertisement(spec))).collect(),
    }
}

/// Whether this node is to give its addresses away. A cordon alone says so only while some other node has none: when all
/// nodes are cordoned, for an upgrade of the cluster, nobody could take them.
fn is_leaving(view: &View, myself: Myself<'_>) -> bool {
    // A node that is not Ready is judged by its speakers' peers, who hear it, and not by its kubelet.
    let stays = |node: &Node| matches!(node.bar, None | Some(Bar::NotReady)) && !node.leaving;
    let Some(me) = view.nodes.get(myself.node) else { return myself.ending };
    let mut others = view.nodes.iter().filter(|(name, _)| *name != myself.node).map(|(_, node)| node);
    myself.ending || !stays(me) || (me.cordoned && others.any(|node| node.speaker && stays(node) && !node.cordoned))
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
