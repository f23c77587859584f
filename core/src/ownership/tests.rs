//! What ownership promises: the same answer everywhere, no needless move, and a sentence when there is no owner.

use super::*;
use crate::selector::Selector;
use proptest::prelude::*;

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn selector(pairs: &[(&str, &str)]) -> Selector {
    Selector { match_labels: labels(pairs), ..Selector::default() }
}

fn segment(interface: &str, subnets: &[&str]) -> Segment {
    Segment {
        interface: interface.into(),
        subnets: subnets.iter().map(|subnet| subnet.parse().unwrap()).collect(),
        carrier: true,
        mac: None,
        addresses: BTreeSet::new(),
    }
}

fn segments() -> Vec<Segment> {
    vec![segment("eth0", &["192.0.2.1/24", "2001:db8::1/64"])]
}

fn node() -> Node {
    Node { labels: BTreeMap::new(), speaker: true, bar: None, leaving: false, cordoned: false, segments: segments() }
}

fn view(count: u8) -> View {
    let nodes = (1..=count).map(|n| (NodeName::new(format!("node-{n}")), node())).collect();
    View { nodes, advertisements: BTreeMap::new() }
}

fn change(view: &mut View, name: &str, change: impl FnOnce(&mut Node)) {
    change(view.nodes.get_mut(&NodeName::new(name)).unwrap());
}

fn subject(address: &str) -> Subject {
    Subject::new(vip(address), "lan".into())
}

fn claimed(address: &str, claimant: &str) -> Subject {
    Subject { claim: Some(Claim { epoch: 1, node: claimant.into() }), ..subject(address) }
}

/// One advertisement of that name.
fn advertise(view: &mut View, name: &str, advertisement: Advertisement) {
    view.advertisements.insert(name.to_owned(), advertisement);
}

fn refusal(subject: &Subject, view: &View) -> (&'static str, String) {
    let unowned = owner(subject, view).unwrap_err();
    (unowned.reason(), unowned.to_string())
}

#[test]
fn the_claimant_stays_while_it_can_and_another_follows_when_it_cannot() {
    for claimant in ["node-1", "node-2", "node-3"] {
        let subject = claimed("192.0.2.10", claimant);
        assert_eq!(owner(&subject, &view(3)).unwrap().as_str(), claimant);
        let losses: [fn(&mut Node); 4] = [
            |node| node.speaker = false,
            |node| node.bar = Some(Bar::Label),
            |node| node.segments[0].carrier = false,
            |node| node.segments.clear(),
        ];
        for loss in losses {
            let mut view = view(3);
            change(&mut view, claimant, loss);
            assert_ne!(owner(&subject, &view).unwrap().as_str(), claimant);
        }
    }
}

#[test]
fn a_claimant_that_is_no_node_any_more_is_as_good_as_none() {
    assert_eq!(owner(&claimed("192.0.2.10", "gone"), &view(3)), owner(&subject("192.0.2.10"), &view(3)));
}

#[test]
fn policy_local_is_announced_where_an_endpoint_is_and_policy_cluster_anywhere() {
    let mut local = claimed("192.0.2.10", "node-1");
    local.endpoints = Some(BTreeSet::from(["node-2".into()]));
    assert_eq!(owner(&local, &view(3)).unwrap().as_str(), "node-2");
    local.endpoints = Some(BTreeSet::new());
    assert_eq!(owner(&local, &view(3)), Err(Unowned::NoLocalEndpoints));
    local.endpoints = None;
    assert_eq!(owner(&local, &view(3)).unwrap().as_str(), "node-1");
}

#[test]
fn a_subnet_is_needed_unless_an_advertisement_names_interfaces() {
    let elsewhere = subject("198.51.100.7");
    let (reason, message) = refusal(&elsewhere, &view(2));
    assert_eq!(reason, "NoSegment");
    assert_eq!(
        message,
        "no node with a speaker has an interface in a subnet that holds 198.51.100.7: change the pool's addresses, give \
         a node an address in that subnet, or name interfaces in an L2Advertisement; the nodes' interfaces: eth0 \
         192.0.2.0/24 2001:db8::/64"
    );
    let mut view = view(2);
    let interfaces = vec![InterfacePattern::new("eth*")];
    advertise(&mut view, "lan", Advertisement { interfaces, ..Advertisement::default() });
    assert!(owner(&elsewhere, &view).is_ok());
    assert_eq!(interfaces_of(&elsewhere, &view, "node-1"), ["eth0"]);
}

fn interfaces_of(subject: &Subject, view: &View, node: &str) -> Vec<String> {
    interfaces(subject, view, &node.into()).into_iter().map(ToString::to_string).collect()
}

#[test]
fn an_interface_name_that_matches_nothing_is_named_with_its_advertisement() {
    let mut view = view(2);
    let interfaces = vec![InterfacePattern::new("eth7")];
    advertise(&mut view, "office", Advertisement { interfaces, ..Advertisement::default() });
    let (reason, message) = refusal(&subject("192.0.2.10"), &view);
    assert_eq!(reason, "NoSegment");
    assert!(message.contains("eth7 in L2Advertisement office"), "{message}");
    assert!(message.contains("the nodes' interfaces: eth0 192.0.2.0/24"), "{message}");
}

#[test]
fn a_node_without_any_interface_points_at_its_flag_and_a_cut_cable_at_the_cable() {
    let mut view = view(2);
    change(&mut view, "node-1", |node| node.segments.clear());
    change(&mut view, "node-2", |node| node.segments.clear());
    let (_, message) = refusal(&subject("192.0.2.10"), &view);
    assert!(message.ends_with("sees no interface (its flag --interfaces): node-1, node-2"), "{message}");

    change(&mut view, "node-2", |node| node.segments = segments());
    change(&mut view, "node-2", |node| node.segments[0].carrier = false);
    let (reason, message) = refusal(&subject("192.0.2.10"), &view);
    assert_eq!(reason, "NoSegment");
    assert!(message.contains("no carrier (eth0 on node-2)"), "{message}");
}

#[test]
fn an_advertisement_limits_nodes_and_interfaces_to_those_it_names() {
    let mut view = view(3);
    change(&mut view, "node-3", |node| {
        node.labels = labels(&[("rack", "b")]);
        node.segments.push(segment("eth1", &["192.0.2.99/24"]));
    });
    let rack_b = Advertisement {
        pools: BTreeSet::from(["lan".into()]),
        node_selectors: vec![selector(&[("rack", "b")])],
        interfaces: vec![InterfacePattern::new("eth1")],
        ..Advertisement::default()
    };
    advertise(&mut view, "rack-b", rack_b);
    for last in 1..=50 {
        let subject = claimed(&format!("192.0.2.{last}"), "node-1");
        assert_eq!(owner(&subject, &view).unwrap().as_str(), "node-3");
        assert_eq!(interfaces_of(&subject, &view, "node-3"), ["eth1"]);
        assert!(interfaces_of(&subject, &view, "node-1").is_empty());
    }
    let other_pool = Subject { pool: "dmz".into(), ..claimed("192.0.2.10", "node-1") };
    assert_eq!(owner(&other_pool, &view).unwrap().as_str(), "node-1");
}

#[test]
fn several_advertisements_add_up_and_pools_and_services_are_selected_by_label() {
    let mut view = view(1);
    change(&mut view, "node-1", |node| node.segments.push(segment("eth1", &[])));
    for (name, label) in [("one", "eth0"), ("two", "eth1")] {
        let advertisement = Advertisement {
            pool_selector: Some(selector(&[("site", "a")])),
            service_selector: Some(selector(&[("tier", "web")])),
            interfaces: vec![InterfacePattern::new(label)],
            ..Advertisement::default()
        };
        advertise(&mut view, name, advertisement);
    }
    let selected = Subject {
        advertised_by_default: false,
        pool_labels: labels(&[("site", "a")]),
        holder_labels: labels(&[("tier", "web"), ("x", "y")]),
        ..subject("192.0.2.10")
    };
    assert_eq!(interfaces_of(&selected, &view, "node-1"), ["eth0", "eth1"]);
    for other in [
        Subject { pool_labels: BTreeMap::new(), ..selected.clone() },
        Subject { holder_labels: BTreeMap::new(), ..selected.clone() },
    ] {
        let (reason, message) = refusal(&other, &view);
        assert_eq!(reason, "NotAdvertised");
        assert!(message.starts_with("AddressPool lan has spec.advertise Selected"), "{message}");
    }
}

#[test]
fn preferred_nodes_win_the_first_election_by_weight_and_never_move_a_claim() {
    let mut view = view(4);
    for n in ["node-2", "node-3"] {
        change(&mut view, n, |node| node.labels = labels(&[("role", "edge")]));
    }
    change(&mut view, "node-3", |node| _ = node.labels.insert("fast".into(), "yes".into()));
    let preferred_nodes = vec![
        Preference { weight: 10, nodes: selector(&[("role", "edge")]) },
        Preference { weight: 1, nodes: selector(&[("fast", "yes")]) },
    ];
    advertise(&mut view, "edge", Advertisement { preferred_nodes, ..Advertisement::default() });
    for last in 1..=50 {
        assert_eq!(owner(&subject(&format!("192.0.2.{last}")), &view).unwrap().as_str(), "node-3");
        assert_eq!(owner(&claimed(&format!("192.0.2.{last}"), "node-1"), &view).unwrap().as_str(), "node-1");
    }
}

#[test]
fn when_every_node_is_kept_out_each_is_named_with_its_reason() {
    let mut view = view(3);
    change(&mut view, "node-1", |node| node.bar = Some(Bar::Label));
    change(&mut view, "node-2", |node| node.bar = Some(Bar::NotReady));
    let node_selectors = vec![selector(&[("rack", "b")])];
    advertise(&mut view, "lan", Advertisement { node_selectors, ..Advertisement::default() });
    let (reason, message) = refusal(&subject("192.0.2.10"), &view);
    assert_eq!(reason, "NodesExcluded");
    assert_eq!(
        message,
        "every node with an interface for it is excluded: node-1 has the label \
         node.kubernetes.io/exclude-from-external-load-balancers, node-2 is not Ready, node-3 matches no \
         spec.nodeSelectors of an L2Advertisement"
    );
    for node in view.nodes.values_mut() {
        node.speaker = false;
    }
    assert_eq!(owner(&subject("192.0.2.10"), &view), Err(Unowned::NoSpeaker));
    assert_eq!(reporter(vip("192.0.2.10"), &view), None);
}

#[test]
fn every_sentence_fits_an_event_in_a_cluster_of_two_hundred_nodes() {
    let mut view = view(200);
    for (n, node) in view.nodes.values_mut().enumerate() {
        node.bar = Some(Bar::Label);
        node.segments.push(segment(&format!("enp0s{n}"), &["198.51.100.0/24"]));
    }
    for address in ["192.0.2.10", "203.0.113.1"] {
        let (_, message) = refusal(&subject(address), &view);
        assert!(message.len() < 1024, "{} bytes: {message}", message.len());
    }
}

/// A small world in which everything happens: few nodes, few labels, so that collisions are common.
fn any_node() -> impl Strategy<Value = Node> {
    (any::<bool>(), prop::option::weighted(0.2, Just(Bar::Label)), 0..3_u8, any::<bool>(), 0..3_u8).prop_map(
        |(speaker, bar, segments, carrier, rack)| Node {
            labels: labels(&[("rack", &rack.to_string())]),
            speaker,
            bar,
            segments: (0..segments)
                .map(|n| Segment { carrier, ..segment(&format!("eth{n}"), &["192.0.2.0/24"]) })
                .collect(),
            leaving: false,
            cordoned: false,
        },
    )
}

fn any_view() -> impl Strategy<Value = View> {
    (prop::collection::btree_map((0..9_u8).prop_map(|n| NodeName::new(format!("node-{n}"))), any_node(), 0..8), 0..3_u8)
        .prop_map(|(nodes, advertised)| {
            let mut view = View { nodes, advertisements: BTreeMap::new() };
            for rack in 0..advertised {
                let preferred_nodes =
                    vec![Preference { weight: i32::from(rack), nodes: selector(&[("rack", &rack.to_string())]) }];
                advertise(
                    &mut view,
                    &format!("a{rack}"),
                    Advertisement { preferred_nodes, ..Advertisement::default() },
                );
            }
            view
        })
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let node = || (0..9_u8).prop_map(|n| NodeName::new(format!("node-{n}")));
    (any::<u8>(), prop::option::of(node()), prop::option::of(prop::collection::btree_set(node(), 0..5))).prop_map(
        |(last, claimant, endpoints)| Subject {
            endpoints,
            claim: claimant.map(|node| Claim { epoch: 1, node }),
            ..subject(&format!("192.0.2.{last}"))
        },
    )
}

proptest! {
    #[test]
    fn the_owner_is_always_a_candidate_and_there_is_one_whenever_there_is_a_candidate(
        subject in any_subject(), view in any_view()
    ) {
        let terms = Terms::of(&subject, &view.advertisements).unwrap();
        let candidates: BTreeSet<_> =
            view.nodes.iter().filter(|(name, node)| is_candidate(&subject, &terms, name, node)).map(|(name, _)| name).collect();
        match owner(&subject, &view) {
            Ok(owner) => prop_assert!(candidates.contains(owner)),
            Err(_) => prop_assert!(candidates.is_empty()),
        }
    }

    #[test]
    fn the_winner_stays_the_winner_once_it_has_claimed_whoever_else_comes(
        subject in any_subject(), view in any_view(), newcomers in any_view()
    ) {
        if let Ok(first) = owner(&subject, &view) {
            let claimed = Subject { claim: Some(Claim { epoch: 1, node: first.clone() }), ..subject.clone() };
            let mut grown = view.clone();
            for (name, node) in newcomers.nodes {
                grown.nodes.entry(name).or_insert(node);
            }
            prop_assert_eq!(owner(&claimed, &grown), Ok(first));
        }
    }

    #[test]
    fn a_node_that_goes_moves_nothing_but_its_own(subject in any_subject(), view in any_view(), gone in 0..9_u8) {
        let gone = NodeName::new(format!("node-{gone}"));
        let mut shrunk = view.clone();
        shrunk.nodes.remove(&gone);
        if let Ok(before) = owner(&subject, &view) && before != &gone {
            prop_assert_eq!(owner(&subject, &shrunk), Ok(before));
        }
    }
}
