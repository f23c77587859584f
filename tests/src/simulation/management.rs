//! The API server as speakers see it: the nodes, the VIPs with their last recorded claims, and who gets to hear of them.
//!
//! Owns the objects and who is cut off. When news arrive is the world's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use herald_core::address::Vip;
use herald_core::liveness::Claim;
use herald_core::names::{InterfaceName, PoolName};
use herald_core::ownership::{Node, Segment, Subject, View};
use ipnet::IpNet;

use super::addresses::{Kind, PREFIX_V4, PREFIX_V6, mac, node_name, v4, v6, vip};
use super::schedule::Schedule;

/// The interface that all nodes have on the segment.
pub(super) const INTERFACE: &str = "eth0";

/// What is stored, and whom it can't be told.
#[derive(Debug)]
pub(super) struct Management {
    view: Arc<View>,
    subjects: BTreeMap<Vip, Arc<Subject>>,
    down: bool,
    cut: BTreeSet<usize>,
}

impl Management {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let nodes = (0..schedule.nodes).map(|node| (node_name(node), fresh_node(node))).collect();
        let claim = |number| schedule.recorded.then(|| Claim { epoch: 7, node: node_name(schedule.owner(number)) });
        let subject = |number| Subject { claim: claim(number), ..fresh(vip(number)) };
        let subjects = (0..schedule.vips).map(|number| (vip(number), Arc::new(subject(number)))).collect();
        let view = Arc::new(View { nodes, advertisements: BTreeMap::new() });
        Self { view, subjects, down: false, cut: BTreeSet::new() }
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    pub(super) const fn subjects(&self) -> &BTreeMap<Vip, Arc<Subject>> {
        &self.subjects
    }

    /// Whether a node can reach it, as far as the management network is concerned.
    pub(super) fn answers(&self, node: usize) -> bool {
        !self.down && !self.cut.contains(&node)
    }

    pub(super) const fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    pub(super) fn set_cut(&mut self, node: usize, cut: bool) {
        if cut {
            self.cut.insert(node);
        } else {
            self.cut.remove(&node);
        }
    }

    /// Changes a node's object.
    pub(super) fn edit_node(&mut self, node: usize, edit: impl FnOnce(&mut Node)) {
        if let Some(object) = Arc::make_mut(&mut self.view).nodes.get_mut(&node_name(node)) {
            edit(object);
        }
    }

    /// Records a claim, unless a later one is there: every write carries the version that it was made from.
    pub(super) fn record(&mut self, vip: Vip, claim: Claim) -> bool {
        let Some(subject) = self.subjects.get_mut(&vip) else { return false };
        if subject.claim.as_ref().is_some_and(|recorded| recorded.epoch >= claim.epoch) {
            return false;
        }
        Arc::make_mut(subject).claim = Some(claim);
        true
    }

    /// A person wants the VIP there.
    pub(super) fn pin(&mut self, vip: Vip, node: usize) {
        if let Some(subject) = self.subjects.get_mut(&vip) {
            let subject = Arc::make_mut(subject);
            subject.preferred = Some(node_name(node));
            subject.pinned = true;
        }
    }

    pub(super) fn delete(&mut self, vip: Vip) {
        self.subjects.remove(&vip);
    }

    pub(super) fn create(&mut self, vip: Vip) {
        self.subjects.insert(vip, Arc::new(fresh(vip)));
    }
}

fn fresh(vip: Vip) -> Subject {
    Subject::new(vip, PoolName::new("lan"))
}

fn fresh_node(number: usize) -> Node {
    let addresses = [IpAddr::V4(v4(Kind::Node, number)), IpAddr::V6(v6(Kind::Node, number))];
    let segment = Segment {
        interface: InterfaceName::new(INTERFACE),
        subnets: nets(number).into_iter().map(|net| net.trunc()).collect(),
        carrier: true,
        mac: Some(mac(Kind::Node, number)),
        addresses: addresses.into(),
    };
    Node { labels: BTreeMap::new(), speaker: true, bar: None, leaving: false, cordoned: false, segments: vec![segment] }
}

/// A node's own addresses with their prefix lengths.
pub(super) fn nets(number: usize) -> [IpNet; 2] {
    let net = |address, prefix| IpNet::new(address, prefix).expect("a prefix length of its family");
    [net(v4(Kind::Node, number).into(), PREFIX_V4), net(v6(Kind::Node, number).into(), PREFIX_V6)]
}
