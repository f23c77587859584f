use super::*;
use herald_core::link::{Link, Links};
use herald_core::ownership::{Bar, Node, Segment};

const ETH0: IfIndex = IfIndex(2);

fn vip() -> Vip {
    Vip::new("192.0.2.10".parse().unwrap()).unwrap()
}

fn links() -> Links {
    let link = Link {
        index: ETH0,
        name: "eth0".into(),
        mac: "52:54:00:00:00:01".parse().unwrap(),
        carrier: true,
        addresses: BTreeSet::from(["192.0.2.1/24".parse().unwrap()]),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    Links::from([(ETH0, link)])
}

fn node() -> Node {
    let subnets = BTreeSet::from(["192.0.2.0/24".parse().unwrap()]);
    let segments =
        vec![Segment { interface: "eth0".into(), subnets, carrier: true, mac: None, addresses: BTreeSet::new() }];
    Node { labels: BTreeMap::new(), speaker: true, bar: None, leaving: false, cordoned: false, segments }
}

/// Nodes `a` (this one) and `b`; the last claim is `claimant`'s.
fn picture(claimant: &str) -> Picture {
    let subject = Subject {
        claim: Some(herald_core::liveness::Claim { epoch: 1, node: claimant.into() }),
        ..Subject::new(vip(), "lan".into())
    };
    let mut picture = Picture::default();
    picture.view.nodes = BTreeMap::from([("a".into(), node()), ("b".into(), node())]);
    picture.subjects.insert(vip(), subject);
    picture
}

fn change(picture: &mut Picture, name: &str, change: impl FnOnce(&mut Node)) {
    change(picture.view.nodes.get_mut(&NodeName::new(name)).unwrap());
}

struct World {
    held: LinksByVip,
    relieved: BTreeSet<Vip>,
    silenced: BTreeSet<Vip>,
    draining: bool,
}

impl World {
    fn holding() -> Self {
        let held = LinksByVip::from([(vip(), BTreeSet::from([ETH0]))]);
        Self { held, relieved: BTreeSet::new(), silenced: BTreeSet::new(), draining: false }
    }

    fn fresh() -> Self {
        Self { held: LinksByVip::new(), ..Self::holding() }
    }

    fn duties(&self, picture: &Picture) -> Duties {
        let myself = Myself { node: &"a".into(), links: &links(), draining: self.draining };
        Duties::new(picture, myself, Past { held: &self.held, relieved: &self.relieved, silenced: &self.silenced })
    }
}

fn owns(duties: &Duties) -> bool {
    duties.owned.get(&vip()) == Some(&BTreeSet::from([ETH0]))
}

#[test]
fn the_owner_announces_and_every_node_with_the_segment_is_a_candidate() {
    let mine = World::fresh().duties(&picture("a"));
    assert!(owns(&mine) && mine.leaving.is_empty());
    let theirs = World::fresh().duties(&picture("b"));
    assert!(!owns(&theirs) && theirs.candidates.contains_key(&vip()));
}

#[test]
fn what_another_node_must_take_stays_answered_until_its_claim_or_its_frames_are_seen() {
    let mut excluded = picture("a");
    change(&mut excluded, "a", |node| node.bar = Some(Bar::Label));
    let leaving = World::holding().duties(&excluded);
    assert!(owns(&leaving));
    assert_eq!(leaving.leaving, BTreeMap::from([(vip(), "b".into())]));

    let seen = World { relieved: BTreeSet::from([vip()]), ..World::holding() };
    assert!(!owns(&seen.duties(&excluded)), "its frames were seen");

    let mut claimed = picture("b");
    change(&mut claimed, "a", |node| node.bar = Some(Bar::Label));
    assert!(!owns(&World::holding().duties(&claimed)), "its claim was seen");
    assert!(!owns(&World::fresh().duties(&excluded)), "a node that did not announce does not begin on its way out");
}

#[test]
fn a_draining_node_goes_on_where_nobody_can_take_over() {
    let draining = World { draining: true, ..World::holding() };
    let mut alone = picture("a");
    change(&mut alone, "a", |node| node.speaker = false);
    change(&mut alone, "b", |node| node.speaker = false);
    let duties = draining.duties(&alone);
    assert!(owns(&duties) && duties.leaving.is_empty() && duties.unowned.is_empty());

    change(&mut alone, "b", |node| node.speaker = true);
    let duties = draining.duties(&alone);
    assert!(owns(&duties) && duties.leaving.contains_key(&vip()));
}

#[test]
fn without_carrier_or_endpoint_nothing_is_held_on_to() {
    let mut endless = picture("a");
    endless.subjects.get_mut(&vip()).unwrap().endpoints = Some(BTreeSet::new());
    let duties = World::holding().duties(&endless);
    assert!(!owns(&duties));

    let mut dark = picture("a");
    change(&mut dark, "a", |node| node.segments[0].carrier = false);
    let duties = World::holding().duties(&dark);
    assert!(!owns(&duties) && !duties.candidates.contains_key(&vip()));
}

#[test]
fn exactly_one_node_says_why_an_address_has_no_owner() {
    let mut stuck = picture("a");
    stuck.subjects.get_mut(&vip()).unwrap().endpoints = Some(BTreeSet::new());
    let says = |me: &str| {
        let node = NodeName::new(me);
        let links = links();
        let myself = Myself { node: &node, links: &links, draining: false };
        let past = Past { held: &LinksByVip::new(), relieved: &BTreeSet::new(), silenced: &BTreeSet::new() };
        Duties::new(&stuck, myself, past).unowned.contains_key(&vip())
    };
    assert_eq!([says("a"), says("b")].iter().filter(|says| **says).count(), 1);
}

#[test]
fn a_node_that_cannot_ask_falls_silent_for_what_another_announces() {
    let overheard = World { silenced: BTreeSet::from([vip()]), ..World::holding() };
    assert!(!owns(&overheard.duties(&picture("a"))));
    let relieved = World { relieved: BTreeSet::from([vip()]), ..World::holding() };
    assert!(owns(&relieved.duties(&picture("a"))), "what comes back to us is announced at once");
}
