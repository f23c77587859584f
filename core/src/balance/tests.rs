//! What the balancer promises: even counts, no move too many, none too soon, and never one back.

use super::*;
use crate::ownership::{self, Bar, Node, Segment, Subject, View};
use proptest::prelude::*;
use std::net::IpAddr;

fn vip(number: usize) -> Vip {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    Vip::new(IpAddr::from([198, 18, high, low])).unwrap()
}

fn node(number: usize) -> NodeName {
    NodeName::new(format!("node-{number}"))
}

/// An address with its choices.
#[derive(Clone, Debug)]
struct Entry {
    at: Option<Claim>,
    preferred: Option<NodeName>,
    pinned: bool,
    movable: bool,
    choices: Vec<NodeName>,
}

#[derive(Clone, Debug, Default)]
struct Table(Vec<Entry>);

impl Table {
    /// So many addresses on each node, all of which any of them may have.
    fn with(loads: &[usize]) -> Self {
        let nodes: Vec<_> = (0..loads.len()).map(node).collect();
        let entry = |at: &NodeName| Entry {
            at: Some(Claim { epoch: 1, node: at.clone() }),
            preferred: Some(at.clone()),
            pinned: false,
            movable: true,
            choices: nodes.clone(),
        };
        Self(loads.iter().zip(&nodes).flat_map(|(load, at)| std::iter::repeat_n(entry(at), *load)).collect())
    }

    fn placements(&self) -> impl Iterator<Item = Placement<'_>> + Clone {
        self.0.iter().enumerate().map(|(number, entry)| Placement {
            vip: vip(number),
            at: entry.at.as_ref(),
            preferred: entry.preferred.as_ref(),
            pinned: entry.pinned,
            movable: entry.movable,
        })
    }

    fn entry(&mut self, moved: Vip) -> &mut Entry {
        let number = (0..self.0.len()).find(|number| vip(*number) == moved).unwrap();
        &mut self.0[number]
    }

    fn next_move(&self) -> Option<Move> {
        next_move(&self.placements(), |asked| {
            let number = (0..self.0.len()).find(|number| vip(*number) == asked).unwrap();
            self.0[number].choices.iter().collect()
        })
    }

    /// The node hands the address over as it is told.
    fn carry_out(&mut self, order: &Move) {
        let entry = self.entry(order.vip);
        let at = entry.at.as_mut().unwrap();
        assert_eq!(at.node, order.from);
        *at = Claim { epoch: at.epoch + 1, node: order.to.clone() };
        entry.preferred = Some(order.to.clone());
    }

    fn load(&self, of: &NodeName) -> usize {
        self.placements().filter(|placement| placement.node() == Some(of)).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_end_up_even_with_as_few_moves_as_possible(loads in prop::collection::vec(0..12_usize, 1..7)) {
        let mut table = Table::with(&loads);
        let mut moves = 0;
        while let Some(order) = table.next_move() {
            table.carry_out(&order);
            moves += 1;
            prop_assert!(moves <= loads.iter().sum(), "there is always one more");
        }
        let after: Vec<_> = (0..loads.len()).map(|number| table.load(&node(number))).collect();
        prop_assert!(after.iter().max().unwrap() - after.iter().min().unwrap() <= 1, "{after:?}");
        let (share, rest) = (after.iter().sum::<usize>() / loads.len(), after.iter().sum::<usize>() % loads.len());
        let mut sorted = loads.clone();
        sorted.sort_by_key(|load| Reverse(*load));
        let quota = |rank| if rank < rest { share + 1 } else { share };
        let fewest: usize = sorted.iter().enumerate().map(|(rank, load)| load.saturating_sub(quota(rank))).sum();
        prop_assert_eq!(moves, fewest);
    }

    #[test]
    fn whatever_each_address_may_be_on_it_goes_nowhere_else_and_the_pinned_stay(table in any_table()) {
        let before = table.clone();
        let mut table = table;
        let mut moves = 0;
        while let Some(order) = table.next_move() {
            let entry = table.entry(order.vip).clone();
            prop_assert!(entry.choices.contains(&order.to) && !entry.pinned && entry.movable, "{order:?} of {entry:?}");
            prop_assert!(table.load(&order.to) + 2 <= table.load(&order.from), "{order:?} evens nothing");
            table.carry_out(&order);
            moves += 1;
            prop_assert!(moves < 1_000, "there is always one more");
        }
        for (entry, before) in table.0.iter().zip(&before.0) {
            if entry.pinned || !entry.movable {
                prop_assert_eq!(&entry.at, &before.at);
            } else if let Some(at) = &entry.at {
                for choice in &entry.choices {
                    prop_assert!(table.load(choice) + 2 > table.load(&at.node), "{entry:?} could go to {choice}");
                }
            }
        }
    }

    #[test]
    fn new_addresses_are_spread_evenly_from_the_start(nodes in 1..8_usize, count in 0..60_usize) {
        let nodes: Vec<_> = (0..nodes).map(node).collect();
        let mut loads = Loads::default();
        for number in 0..count {
            let chosen = place(vip(number), &nodes, &loads).unwrap().clone();
            loads.add(&chosen);
        }
        let counts: Vec<_> = nodes.iter().map(|node| loads.get(node)).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
}

fn any_table() -> impl Strategy<Value = Table> {
    let name = || (0..5_usize).prop_map(node);
    let entry = (prop::option::weighted(0.9, name()), name(), any::<[bool; 2]>(), prop::collection::vec(name(), 0..5));
    let entry = entry.prop_map(|(at, preferred, [pinned, fixed], choices)| Entry {
        at: at.map(|node| Claim { epoch: 1, node }),
        preferred: Some(preferred),
        pinned,
        movable: !fixed,
        choices,
    });
    prop::collection::vec(entry, 0..40).prop_map(Table)
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin of a test's time")]
    Instant::now()
}

fn nodes(count: usize) -> BTreeSet<NodeName> {
    (0..count).map(node).collect()
}

/// What the balancer wants now.
fn rebalance(balancer: &mut Balancer, changes: u64, count: usize, table: &Table, now: Instant) -> Option<Move> {
    let choices: Vec<_> = (0..count).map(node).collect();
    let choices: Vec<&NodeName> = choices.iter().collect();
    balancer.rebalance(changes, nodes(count), &table.placements(), |_| choices.clone(), now)
}

#[test]
fn moves_for_balance_are_half_a_minute_apart_and_come_unasked() {
    let mut table = Table::with(&[6, 0, 0]);
    let (mut balancer, mut now) = (Balancer::default(), start());
    let mut moves = Vec::new();
    for changes in 0..12 {
        if let Some(order) = rebalance(&mut balancer, changes, 3, &table, now) {
            moves.push(now);
            table.carry_out(&order);
        }
        let Some(due) = balancer.next_due(now) else { break };
        assert!(due >= now + PACE, "woken after {:?}", due - now);
        now = due;
    }
    assert_eq!(moves.len(), 4);
    assert!(moves.windows(2).all(|pair| pair[1] - pair[0] >= PACE), "{moves:?}");
    assert_eq!((0..3).map(|number| table.load(&node(number))).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn what_is_balanced_is_not_looked_at_again_before_something_changes() {
    let table = Table::with(&[2, 2, 1]);
    let (mut balancer, now) = (Balancer::default(), start());
    assert_eq!(rebalance(&mut balancer, 1, 3, &table, now), None);
    assert_eq!(rebalance(&mut balancer, 1, 3, &table, now + PACE), None);
    assert_eq!(balancer.next_due(now + PACE), None);
    assert_eq!(rebalance(&mut balancer, 2, 3, &table, now + PACE * 2), None);
}

#[test]
fn nothing_moves_for_balance_until_the_nodes_have_been_the_same_for_a_while() {
    let table = Table::with(&[4, 0]);
    let (mut balancer, mut now) = (Balancer::default(), start());
    for (changes, count) in (0..).zip([2, 1, 2, 1, 2]) {
        assert_eq!(rebalance(&mut balancer, changes, count, &table, now), None);
        now += PACE.mul_f32(0.9);
    }
    assert_eq!(rebalance(&mut balancer, 9, 2, &table, now), None);
    assert!(rebalance(&mut balancer, 9, 2, &table, now + PACE.mul_f32(0.1)).is_some());
}

#[test]
fn nothing_moves_for_balance_until_a_while_after_the_last_takeover() {
    let mut table = Table::with(&[2, 1, 1]);
    let (mut balancer, now) = (Balancer::default(), start());
    assert_eq!(rebalance(&mut balancer, 1, 3, &table, now), None);
    assert_eq!(rebalance(&mut balancer, 1, 3, &table, now + PACE), None, "it is as even as can be");
    // Its speaker was killed, and is back before anybody has taken it for away.
    let taken = now + PACE.mul_f32(1.9);
    change(&mut balancer, &mut table, |entry| entry.at = Some(Claim { epoch: 2, node: node(1) }));
    assert_eq!(balancer.follow(taken), [(vip(0), node(1))]);
    assert_eq!(rebalance(&mut balancer, 2, 3, &table, taken), None);
    change(&mut balancer, &mut table, |entry| entry.preferred = Some(node(1)));
    table.0[1].at = Some(Claim { epoch: 2, node: node(1) });
    table.0[1].preferred = Some(node(1));
    assert_eq!(rebalance(&mut balancer, 3, 3, &table, taken + PACE.mul_f32(0.9)), None);
    assert!(rebalance(&mut balancer, 3, 3, &table, taken + PACE).is_some());
}

/// What the balancer is told when the record of an address changes.
fn change(balancer: &mut Balancer, table: &mut Table, change: impl FnOnce(&mut Entry)) {
    let before = table.clone();
    change(&mut table.0[0]);
    balancer.observe(before.placements().next(), table.placements().next().unwrap());
}

#[test]
fn nothing_moves_for_balance_while_another_address_is_on_its_way() {
    let mut table = Table::with(&[4, 0]);
    let (mut balancer, now) = (Balancer::default(), start());
    change(&mut balancer, &mut table, |entry| entry.preferred = Some(node(1)));
    assert_eq!(rebalance(&mut balancer, 1, 2, &table, now), None);
    assert_eq!(rebalance(&mut balancer, 1, 2, &table, now + PACE), None);
    change(&mut balancer, &mut table, |entry| entry.pinned = true);
    let order = rebalance(&mut balancer, 2, 2, &table, now + PACE * 2);
    assert_ne!(order.expect("a pinned one that can't go holds nothing up").vip, vip(0));
}

#[test]
fn the_wish_follows_a_takeover_at_once_and_never_asks_for_the_way_back() {
    let mut table = Table::with(&[1, 0]);
    let (mut balancer, now) = (Balancer::default(), start());
    balancer.observe(None, table.placements().next().unwrap());
    assert_eq!(balancer.follow(now), []);
    change(&mut balancer, &mut table, |entry| entry.at = Some(Claim { epoch: 2, node: node(1) }));
    assert_eq!(balancer.follow(now), [(vip(0), node(1))]);
    change(&mut balancer, &mut table, |_| {});
    assert_eq!(balancer.follow(now), [(vip(0), node(1))], "until it is written");
    change(&mut balancer, &mut table, |entry| entry.preferred = Some(node(1)));
    assert_eq!(balancer.follow(now + PATIENCE * 2), []);
}

#[test]
fn a_wish_has_time_to_be_fulfilled_and_is_taken_back_when_it_is_not() {
    let mut table = Table::with(&[1, 0]);
    let (mut balancer, now) = (Balancer::default(), start());
    change(&mut balancer, &mut table, |entry| entry.preferred = Some(node(1)));
    assert_eq!(balancer.follow(now), []);
    assert_eq!(balancer.next_due(now), Some(now + PATIENCE));
    assert_eq!(balancer.follow(now + PATIENCE), [(vip(0), node(0))]);
    change(&mut balancer, &mut table, |entry| entry.preferred = Some(node(2)));
    assert_eq!(balancer.follow(now + PATIENCE), [], "another wish has its own time");
    change(&mut balancer, &mut table, |entry| entry.pinned = true);
    assert_eq!(balancer.follow(now + PATIENCE * 3), [], "what a person has chosen stays");
    assert_eq!(balancer.next_due(now), None);
}

#[test]
fn a_process_that_knows_nothing_yet_leaves_a_wish_its_time() {
    let mut table = Table::with(&[1, 0]);
    table.0[0].preferred = Some(node(1));
    let (mut balancer, now) = (Balancer::default(), start());
    balancer.observe(None, table.placements().next().unwrap());
    assert_eq!(balancer.follow(now), []);
    change(&mut balancer, &mut table, |entry| entry.at = Some(Claim { epoch: 2, node: node(1) }));
    assert_eq!(balancer.follow(now + PATIENCE), [], "it was fulfilled");
}

#[test]
fn an_address_is_spread_over_the_nodes_that_stay_and_that_are_preferred_most() {
    let segment = Segment {
        interface: "eth0".into(),
        subnets: ["198.18.0.0/15".parse().unwrap()].into(),
        carrier: true,
        mac: None,
        addresses: BTreeSet::new(),
    };
    let whole = Node {
        labels: BTreeMap::new(),
        speaker: true,
        bar: None,
        leaving: false,
        cordoned: false,
        segments: vec![segment],
    };
    let nodes = [
        ("fine", whole.clone()),
        ("cordoned", Node { cordoned: true, ..whole.clone() }),
        ("leaving", Node { leaving: true, ..whole.clone() }),
        ("barred", Node { bar: Some(Bar::Label), ..whole.clone() }),
        ("elsewhere", Node { segments: Vec::new(), ..whole }),
    ];
    let nodes = nodes.into_iter().map(|(name, node)| (NodeName::new(name), node)).collect();
    let mut view = View { nodes, ..View::default() };
    let subject = Subject::new(vip(1), "lan".into());
    let choices =
        |view: &View| ownership::choices(&subject, view).into_iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(choices(&view), ["fine"]);
    view.nodes.remove(&NodeName::new("fine"));
    assert_eq!(choices(&view), ["cordoned"], "a cordoned node is better than none");
}
