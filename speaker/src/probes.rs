//! Which free addresses this node asks the wire for beforehand: those that will be given out next, shared among the nodes
//! that can ask.
//!
//! Owns the sharing. Which addresses come next is `herald_core::allocation`'s to say, so that the controller takes the same.

use crate::intake::World;
use crate::situation::Situation;
use herald_api::AddressPool;
use herald_api::convert::pool;
use herald_core::address::Vip;
use herald_core::allocation::upcoming;
use herald_core::names::NodeName;
use herald_core::ownership::{Node, View, score};
use herald_core::pool::Pool;
use std::collections::BTreeSet;

/// The addresses that this node asks for.
pub fn wanted(world: &World, situation: &Situation, view: &View, node: &NodeName) -> BTreeSet<Vip> {
    // A pool that can't be read gives out nothing.
    let pools: Vec<Pool> = world
        .pools
        .records()
        .iter()
        .filter_map(|(name, record)| pool::pool(&AddressPool::new(name.as_str(), record.spec.clone())).ok())
        .collect();
    let occupied = occupied(world, situation);
    let next = upcoming(&pools, |vip| !world.ledger.records().contains_key(&vip) && !occupied.contains(&vip));
    next.into_iter().filter(|vip| asker(*vip, view) == Some(node)).collect()
}

/// The addresses that somebody answers for, as far as any speaker has said.
fn occupied(world: &World, situation: &Situation) -> BTreeSet<Vip> {
    let own = situation.probed().iter().filter(|(_, probed)| probed.answer.is_some()).map(|(vip, _)| *vip);
    let reported = world.speakers.records().values().flat_map(|speaker| &speaker.status.probes);
    let reported = reported.filter(|probe| probe.mac.is_some()).filter_map(|probe| probe.address.parse().ok());
    own.chain(reported.filter_map(|address| Vip::new(address).ok())).collect()
}

/// The one node that asks for an address: of those that reach its segment the one with the highest score.
fn asker(vip: Vip, view: &View) -> Option<&NodeName> {
    let reaches = |node: &Node| node.segments.iter().any(|segment| segment.carrier && segment.holds(vip));
    let able = view.nodes.iter().filter(|(_, node)| node.speaker && node.bar.is_none() && reaches(node));
    able.max_by_key(|(name, _)| score(vip, name)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Change, News, PoolRecord, Reading, Seen, SpeakerRecord, VipRecord};
    use herald_api::speaker::{Probe, SpeakerStatus};
    use herald_core::ownership::Segment;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn put(world: &mut World, change: Change) {
        world.apply(change, &mut News::default());
    }

    fn vip(last: u8) -> Vip {
        Vip::new(std::net::IpAddr::from([192, 0, 2, last])).unwrap()
    }

    fn view() -> View {
        let segment = Segment {
            interface: "eth0".into(),
            subnets: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]),
            carrier: true,
            mac: None,
            addresses: BTreeSet::new(),
        };
        let node = Node {
            labels: BTreeMap::new(),
            speaker: true,
            bar: None,
            leaving: false,
            cordoned: false,
            segments: vec![segment],
        };
        let nodes = ["a", "b", "c"].into_iter().map(|name| (name.into(), node.clone())).collect();
        View { nodes, advertisements: BTreeMap::new() }
    }

    fn world() -> World {
        let mut world = World::default();
        let spec = serde_json::from_value(json!({ "addresses": ["192.0.2.10-192.0.2.99", "203.0.113.0/28"] })).unwrap();
        let record = PoolRecord { labels: BTreeMap::new(), spec };
        put(&mut world, Change::Pool(Seen::Changed("lan".into(), Reading::Record(record))));
        world
    }

    fn of_all(world: &World) -> Vec<Vip> {
        let shares = ["a", "b", "c"].map(|node| wanted(world, &Situation::default(), &view(), &node.into()));
        let all: BTreeSet<Vip> = shares.iter().flatten().copied().collect();
        assert_eq!(all.len(), shares.iter().map(BTreeSet::len).sum::<usize>(), "one node asks for each: {shares:?}");
        all.into_iter().collect()
    }

    #[test]
    fn nodes_share_the_next_free_addresses_and_leave_out_those_that_somebody_has() {
        let mut world = world();
        assert_eq!(of_all(&world), (10..18).map(vip).collect::<Vec<_>>());
        let used = Seen::Changed(vip(10), Reading::Record(VipRecord::unused()));
        put(&mut world, Change::Ledger(used));
        let probe = |last: u8, mac: Option<&str>| Probe {
            address: vip(last).to_string(),
            at: MicroTime(Timestamp::UNIX_EPOCH),
            mac: mac.map(ToOwned::to_owned),
        };
        let probes = vec![probe(11, Some("52:54:00:00:00:09")), probe(12, None)];
        let speaker = SpeakerRecord::saying(SpeakerStatus { probes, ..SpeakerStatus::default() });
        put(&mut world, Change::Speaker(Seen::Changed("b".into(), Reading::Record(speaker))));
        assert_eq!(of_all(&world), (12..20).map(vip).collect::<Vec<_>>());
    }

    #[test]
    fn an_address_that_no_node_reaches_is_asked_for_by_none() {
        let mut view = view();
        for node in view.nodes.values_mut() {
            node.segments[0].carrier = false;
        }
        assert_eq!(wanted(&world(), &Situation::default(), &view, &"a".into()), BTreeSet::new());
    }
}
