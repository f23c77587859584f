//! What being heard costs, and that it doesn't grow with the cluster.

use super::*;

/// Messages a node sends in a second, and inquiries.
fn cost(nodes: usize) -> (f64, f64) {
    let mut net = Net::of(nodes);
    net.pass(ms(500));
    let sum = |net: &Net, of: fn(&Counts) -> u64| -> f64 {
        net.nodes.values().map(|node| f64::from(u32::try_from(of(node.detector.counts())).unwrap())).sum()
    };
    let before = (sum(&net, |counts| counts.sent), sum(&net, |counts| counts.inquiries));
    net.forget();
    net.pass(ms(1_000));
    assert!(net.nodes.values().all(|node| node.standings.is_empty()));
    let per_node = f64::from(u32::try_from(nodes).unwrap());
    (
        (sum(&net, |counts| counts.sent) - before.0) / per_node,
        (sum(&net, |counts| counts.inquiries) - before.1) / per_node,
    )
}

#[test]
fn a_node_sends_ten_messages_a_second_to_each_of_at_most_eight_neighbours() {
    for (nodes, expected) in [(3, 20.0), (6, 50.0), (30, 80.0), (100, 80.0)] {
        let (sent, asked) = cost(nodes);
        assert!((expected * 0.9..expected * 1.1).contains(&sent), "{nodes} nodes: {sent} messages a second each");
        assert!(asked < 0.01, "{nodes} nodes: {asked} inquiries a second each");
    }
}
