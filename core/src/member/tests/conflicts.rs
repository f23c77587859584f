//! Somebody else has the address: a stranger, another load balancer, a member that knows no better.

use super::super::*;
use super::VIP;
use super::site::{STRANGER, Site, mac, name, vip};

#[test]
fn an_address_that_a_stranger_has_is_not_announced_but_reported_and_asked_for_again() {
    let mut site = Site::new(3, true, &[]);
    site.foreign.insert(vip(VIP), STRANGER);
    site.tell(|outlook| _ = outlook.subjects.insert(vip(VIP), Arc::new(super::site::subject(vip(VIP)))));
    site.pass(5_000);
    assert_eq!(site.said, []);
    let conflicts: Vec<_> = (1..=3).filter_map(|number| site.state(number, vip(VIP)).conflict).collect();
    assert_eq!(conflicts.len(), 1, "one node says so");
    assert_eq!((conflicts[0].mac, &conflicts[0].node), (STRANGER, &None));
    site.foreign.clear();
    site.until(12_000, "an owner once the stranger is gone", |site| !site.holders(vip(VIP)).is_empty());
    assert_eq!(site.state(site.holder(vip(VIP)), vip(VIP)).conflict, None);
}

#[test]
fn a_stranger_that_takes_an_announced_address_is_contradicted_once_and_reported_for_a_minute() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.pass(35_000);
    site.said.clear();
    for _ in 0..50 {
        site.stranger_says(vip(VIP), STRANGER);
        site.pass(100);
    }
    assert_eq!(site.holder(vip(VIP)), holder);
    let first = |frames: Vec<(u64, u8)>| frames.iter().map(|(at, _)| at / 4_000).collect::<BTreeSet<_>>().len();
    assert!(first(site.announcements(vip(VIP))) <= 2, "{:?}", site.announcements(vip(VIP)));
    assert_eq!(site.state(holder, vip(VIP)).conflict.map(|conflict| conflict.mac), Some(STRANGER));
    site.pass(62_000);
    assert_eq!(site.state(holder, vip(VIP)).conflict, None, "it has given up");
}

#[test]
fn another_load_balancer_on_a_member_is_a_conflict_before_and_while_announcing() {
    let mut site = Site::new(3, true, &[]);
    site.foreign.insert(vip(VIP), mac(3));
    site.tell(|outlook| {
        let mut subject = super::site::subject(vip(VIP));
        subject.preferred = Some(name(1));
        outlook.subjects.insert(vip(VIP), Arc::new(subject));
    });
    site.pass(5_000);
    assert_eq!(site.said, []);
    assert_eq!(site.state(1, vip(VIP)).conflict.and_then(|conflict| conflict.node), Some(name(3)));
    site.foreign.clear();
    site.until(12_000, "an owner", |site| site.holders(vip(VIP)) == [1]);
    site.pass(3_000);
    for _ in 0..30 {
        site.stranger_says(vip(VIP), mac(3));
        site.pass(100);
    }
    assert_eq!(site.state(1, vip(VIP)).conflict.and_then(|conflict| conflict.node), Some(name(3)));
}

#[test]
fn a_gateway_that_answers_for_everything_has_nothing() {
    let mut site = Site::new(2, true, &[]);
    site.pass(2_000);
    site.foreign.insert(vip(VIP), mac(254));
    site.tell(|outlook| _ = outlook.subjects.insert(vip(VIP), Arc::new(super::site::subject(vip(VIP)))));
    site.pass(1_000);
    site.holder(vip(VIP));
}

#[test]
fn free_addresses_are_asked_for_in_the_background_and_again_after_five_minutes() {
    let mut site = Site::settled(2, true, &[]);
    site.foreign.insert(vip(51), STRANGER);
    site.tell_one(1, |outlook| outlook.probes = [vip(50), vip(51), vip(52)].into());
    site.pass(1_000);
    let answers = |site: &Site| -> Vec<(Vip, Option<MacAddr>)> {
        let probed = site.machines[&1].events.iter().filter_map(|(_, event)| match event {
            Event::Probed { vip, answer, .. } => Some((*vip, *answer)),
            _ => None,
        });
        probed.collect()
    };
    assert_eq!(answers(&site), [(vip(50), None), (vip(51), Some(STRANGER)), (vip(52), None)]);
    site.pass(299_000);
    assert_eq!(answers(&site).len(), 3);
    site.pass(5_000);
    assert_eq!(answers(&site).len(), 6);
}

#[test]
fn another_node_asks_the_wire_whether_an_address_is_where_it_should_be() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.pass(65_000);
    let verified = |site: &Site| -> Vec<(u8, Option<MacAddr>, bool)> {
        let all = site.machines.iter().flat_map(|(number, machine)| {
            machine.events.iter().filter_map(|(_, event)| match event {
                Event::Verified { answer, right, node, .. } if *node == name(holder) => {
                    Some((*number, *answer, *right))
                }
                _ => None,
            })
        });
        all.collect()
    };
    let seen = verified(&site);
    assert_eq!(
        seen.iter().map(|(by, ..)| by).collect::<BTreeSet<_>>().len(),
        1,
        "one of the others is enough: {seen:?}"
    );
    assert!(seen.iter().all(|(by, answer, right)| *right && *by != holder && *answer == Some(mac(holder))), "{seen:?}");
}

#[test]
fn a_wrong_answer_makes_the_owner_announce_again() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.pass(40_000);
    site.said.clear();
    // Its answers are lost on the way, another's are not.
    for other in (1..=3).filter(|number| *number != holder) {
        site.deaf.insert((holder, other));
    }
    site.foreign.insert(vip(VIP), STRANGER);
    site.pass(35_000);
    let wrong = |(_, event): &(u64, Event)| matches!(event, Event::Verified { right: false, .. });
    assert!(site.machines.values().any(|machine| machine.events.iter().any(wrong)));
    assert!(site.announcements(vip(VIP)).len() > 3, "{:?}", site.announcements(vip(VIP)));
    assert_eq!(site.holder(vip(VIP)), holder);
}

#[test]
fn a_node_by_way_of_which_pods_are_reached_is_no_gateway_and_its_answers_count() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.route_by_way_of_each_other();
    site.pass(35_000);
    let verified = |(_, event): &(u64, Event)| match event {
        Event::Verified { answer, right, .. } => Some((*answer, *right)),
        _ => None,
    };
    let seen: Vec<_> = site.machines.values().flat_map(|machine| machine.events.iter().filter_map(verified)).collect();
    assert_eq!(seen, [(Some(mac(holder)), true)]);
    // Another load balancer on one of them is found too.
    let other = (1..=3).find(|number| *number != holder).unwrap();
    let second = vip(VIP + 1);
    site.foreign.insert(second, mac(other));
    site.tell(|outlook| {
        let subject = crate::ownership::Subject { preferred: Some(name(holder)), ..super::site::subject(second) };
        outlook.subjects.insert(second, Arc::new(subject));
    });
    site.pass(3_000);
    assert_eq!(site.state(holder, second).conflict.and_then(|conflict| conflict.node), Some(name(other)));
}

#[test]
fn nodes_that_route_by_way_of_each_other_bear_no_witness_as_gateways() {
    let mut site = Site::settled(3, false, &[vip(VIP)]);
    site.route_by_way_of_each_other();
    site.pass(5_000);
    for number in 1..=3 {
        let now = site.now;
        let witness = site.member(number).hood.segments[&super::site::ETH0].detector.witness(now);
        assert_eq!(witness.gateway, crate::liveness::Gateway::Unknown, "node-{number}");
    }
}
