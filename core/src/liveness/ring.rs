//! Who exchanges beats with whom: every node with its four successors and its four predecessors on a ring ordered by the
//! hash of the names, everybody with everybody where there are few. Cost and detection time don't grow with the cluster.

use crate::names::NodeName;
use crate::ownership::position;
use std::collections::BTreeSet;

/// Neighbours in each direction.
const REACH: usize = 4;

/// Up to so many nodes, this one included, everybody is everybody's neighbour.
const FEW: usize = 6;

/// All nodes of the segment, this one included, in the order of the ring.
#[derive(Debug, Default)]
pub(super) struct Ring {
    nodes: Vec<NodeName>,
}

impl Ring {
    pub(super) fn new<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> Self {
        let mut nodes: Vec<_> = nodes.into_iter().cloned().collect();
        nodes.sort_by_cached_key(|node| (position(node), node.clone()));
        Self { nodes }
    }

    /// The neighbours of a node on the ring of those that are counted.
    pub(super) fn neighbours(&self, me: &NodeName, counts: impl Fn(&NodeName) -> bool) -> BTreeSet<NodeName> {
        let Some(place) = self.nodes.iter().position(|node| node == me) else { return BTreeSet::new() };
        let (before, from_me) = self.nodes.split_at(place);
        let others = || from_me.iter().skip(1).chain(before).filter(|node| counts(node));
        let reach = if others().count() < FEW { FEW } else { REACH };
        let backwards = before.iter().rev().chain(from_me.iter().skip(1).rev()).filter(|node| counts(node));
        others().take(reach).chain(backwards.take(reach)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<NodeName> {
        (0..count).map(|n| NodeName::new(format!("node-{n}"))).collect()
    }

    #[test]
    fn up_to_six_nodes_everybody_is_a_neighbour_of_everybody() {
        for count in 1..=6 {
            let nodes = names(count);
            for node in &nodes {
                assert_eq!(Ring::new(&nodes).neighbours(node, |_| true).len(), count - 1, "of {count}");
            }
        }
    }

    #[test]
    fn in_a_large_cluster_each_has_eight_and_the_relation_is_mutual() {
        let nodes = names(200);
        let ring = Ring::new(&nodes);
        for node in &nodes {
            let neighbours = ring.neighbours(node, |_| true);
            assert_eq!(neighbours.len(), 8);
            assert!(neighbours.iter().all(|other| ring.neighbours(other, |_| true).contains(node)));
        }
    }

    #[test]
    fn who_has_fallen_out_is_passed_over_and_the_next_one_takes_the_place() {
        let nodes = names(50);
        let ring = Ring::new(&nodes);
        let before = ring.neighbours(&nodes[0], |_| true);
        let fallen = before.first().unwrap().clone();
        let after = ring.neighbours(&nodes[0], |node| *node != fallen);
        assert_eq!(after.len(), 8);
        assert_eq!(after.difference(&before).count(), 1);
        assert!(!after.contains(&fallen));
    }

    #[test]
    fn who_is_not_on_the_ring_has_no_neighbours() {
        assert!(Ring::new(&names(3)).neighbours(&NodeName::new("other"), |_| true).is_empty());
    }
}
