//! An address is given away on purpose: by a node that leaves, or because it is wished elsewhere.

use super::super::*;
use super::VIP;
use super::site::{Site, name, vip};
use crate::ownership::Subject;

/// Lets it happen, and checks that it is a handover as it should be: the new owner announces first, the old one says nothing
/// 20 ms later, nobody is ever missing.
fn handed_over(site: &mut Site, from: u8) -> u8 {
    let mut new = None;
    for _ in 0..2_000 {
        assert!(!site.holders(vip(VIP)).is_empty(), "nobody answers for it");
        if site.holders(vip(VIP)).iter().all(|holder| *holder != from) {
            new = Some(site.holder(vip(VIP)));
            break;
        }
        site.pass(1);
    }
    let new = new.expect("a handover");
    site.pass(2_000);
    assert_eq!(site.holder(vip(VIP)), new);
    let (first, _) = site.announcements(vip(VIP)).into_iter().find(|(_, by)| *by == new).unwrap();
    let late: Vec<_> = site.said.iter().filter(|said| said.node == from && said.at > first + 20).collect();
    assert!(late.is_empty(), "the old owner still said {late:?} after {first}");
    new
}

fn came(site: &Site, by: u8) -> (Cause, Option<NodeName>, Option<Duration>) {
    match site.state(by, vip(VIP)).tenure {
        Tenure::Announcing { came, .. } => (came.cause, came.from, came.gap),
        other => panic!("node {by} is {other:?}"),
    }
}

#[test]
fn whoever_leaves_hands_over_first() {
    type Leave = fn(&mut Site, u8);
    let ways: [(&str, Leave); 5] = [
        ("its process ends", |site, node| {
            site.tell_one(node, |outlook| {
                outlook.me = Condition { able: true, leaving: true, ending: true };
            });
        }),
        ("drained", |site, node| site.tell_node(node, |node| node.leaving = true)),
        ("excluded", |site, node| site.tell_node(node, |node| node.bar = Some(crate::ownership::Bar::Label))),
        ("about to be deleted", |site, node| {
            site.tell_node(node, |node| node.bar = Some(crate::ownership::Bar::Taint));
        }),
        ("cordoned", |site, node| site.tell_node(node, |node| node.cordoned = true)),
    ];
    for (how, leave) in ways {
        let mut site = Site::settled(3, true, &[vip(VIP)]);
        let from = site.holder(vip(VIP));
        leave(&mut site, from);
        let new = handed_over(&mut site, from);
        assert_eq!(came(&site, new), (Cause::Handover, Some(name(from)), Some(Duration::ZERO)), "{how}");
    }
}

#[test]
fn a_node_that_leaves_with_many_addresses_needs_little_time() {
    let vips: Vec<Vip> = (50..250).map(vip).collect();
    let mut site = Site::settled(3, true, &vips);
    site.tell_one(1, |outlook| outlook.me = Condition { able: true, leaving: true, ending: true });
    let since = site.milliseconds();
    let done = site.until(2_000, "empty hands", |site| vips.iter().all(|vip| !site.holders(*vip).contains(&1)));
    assert!(done - since <= 120, "{} ms", done - since);
    assert!(vips.iter().all(|vip| site.holders(*vip).len() == 1));
}

#[test]
fn a_node_that_has_nothing_left_says_so_and_its_end_moves_nothing() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    site.tell_one(from, |outlook| outlook.me = Condition { able: true, leaving: true, ending: true });
    let new = handed_over(&mut site, from);
    site.kill(from);
    site.said.clear();
    site.pass(5_000);
    assert_eq!(site.holder(vip(VIP)), new);
    assert!(site.said.iter().all(|said| said.node == new));
}

#[test]
fn a_node_that_nobody_can_follow_goes_on_until_its_end() {
    let mut site = Site::settled(2, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    site.tell_node(3 - from, |node| node.leaving = true);
    site.tell_node(from, |node| node.leaving = true);
    site.pass(10_000);
    assert_eq!(site.holder(vip(VIP)), from);
    assert!(matches!(site.state(from, vip(VIP)).tenure, Tenure::Yielding { to: None, .. }));
}

#[test]
fn cordoned_nodes_keep_their_addresses_when_all_are_cordoned() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    for number in (1..=3).filter(|number| *number != holder).chain([holder]) {
        site.tell_node(number, |node| node.cordoned = true);
    }
    site.pass(5_000);
    assert_eq!(site.holder(vip(VIP)), holder);
}

#[test]
fn an_heir_that_does_not_answer_is_followed_by_the_next() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    let mut heirs: Vec<u8> = (1..=3).filter(|number| *number != from).collect();
    heirs.sort_by_key(|number| std::cmp::Reverse(crate::ownership::score(vip(VIP), &name(*number))));
    site.tell_one(heirs[0], |outlook| _ = outlook.unprepared.insert(vip(VIP)));
    site.tell_node(from, |node| node.leaving = true);
    let since = site.milliseconds();
    let new = handed_over(&mut site, from);
    assert_eq!(new, heirs[1]);
    let (at, _) = site.announcements(vip(VIP)).into_iter().find(|(_, by)| *by == new).unwrap();
    assert!((1_000..=1_100).contains(&(at - since)), "{} ms", at - since);
}

#[test]
fn a_changed_wish_moves_an_address_and_the_same_wish_does_not() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    let wished = from % 3 + 1;
    site.tell_vip(vip(VIP), |subject| subject.preferred = Some(name(wished)));
    assert_eq!(handed_over(&mut site, from), wished);
    assert_eq!(came(&site, wished), (Cause::Moved, Some(name(from)), Some(Duration::ZERO)));
    site.said.clear();
    site.pass(10_000);
    assert_eq!(site.holder(vip(VIP)), wished);
}

/// The API server may tell the owner first.
#[test]
fn a_node_that_takes_an_address_as_was_wished_says_so_although_it_does_not_know_the_wish() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    let wished = from % 3 + 1;
    site.tell_one(from, |outlook| {
        let mut subject = Subject::clone(&outlook.subjects[&vip(VIP)]);
        subject.preferred = Some(name(wished));
        outlook.subjects.insert(vip(VIP), Arc::new(subject));
    });
    assert_eq!(handed_over(&mut site, from), wished);
    assert_eq!(came(&site, wished), (Cause::Moved, Some(name(from)), Some(Duration::ZERO)));
}

#[test]
fn a_wish_for_a_node_that_cannot_have_it_waits_until_it_can() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    let wished = from % 3 + 1;
    site.tell_node(wished, |node| node.leaving = true);
    site.tell_vip(vip(VIP), |subject| subject.preferred = Some(name(wished)));
    site.pass(5_000);
    assert_eq!(site.holder(vip(VIP)), from);
    site.tell_node(wished, |node| node.leaving = false);
    assert_eq!(handed_over(&mut site, from), wished);
}

#[test]
fn a_wish_that_changes_too_often_is_held_down_and_a_drain_is_not() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let mut moved = 0;
    for _ in 0..10 {
        let from = site.holder(vip(VIP));
        site.tell_vip(vip(VIP), |subject| subject.preferred = Some(name(from % 3 + 1)));
        site.pass(5_000);
        moved += usize::from(site.holder(vip(VIP)) != from);
    }
    assert!((2..=3).contains(&moved), "{moved} moves in 50 s");
    let from = site.holder(vip(VIP));
    site.tell_node(from, |node| node.leaving = true);
    handed_over(&mut site, from);
}

#[test]
fn with_policy_local_an_address_follows_the_endpoints() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    let other = from % 3 + 1;
    site.tell_vip(vip(VIP), |subject| subject.endpoints = Some([name(other)].into()));
    assert_eq!(handed_over(&mut site, from), other);
}

#[test]
fn a_claimant_that_neither_keeps_nor_hands_over_is_replaced_after_three_seconds() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    let others: Vec<u8> = (1..=3).filter(|number| *number != from).collect();
    // It alone hasn't learned yet that its label excludes it.
    for other in others {
        site.tell_one(other, |outlook| {
            let mut view = View::clone(&outlook.view);
            view.nodes.get_mut(&name(from)).unwrap().bar = Some(crate::ownership::Bar::Label);
            outlook.view = Arc::new(view);
        });
    }
    let since = site.milliseconds();
    let new = handed_over_late(&mut site, from);
    let (at, _) = site.announcements(vip(VIP)).into_iter().find(|(_, by)| *by == new).unwrap();
    assert!((2_900..=3_300).contains(&(at - since)), "{} ms", at - since);
    assert_eq!(came(&site, new).0, Cause::Unfit);
}

#[test]
fn a_node_whose_kubelet_is_silent_keeps_its_addresses_and_takes_those_of_the_dead_while_it_is_heard() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let from = site.holder(vip(VIP));
    (1..=3).for_each(|number| site.tell_node(number, |node| node.bar = Some(crate::ownership::Bar::NotReady)));
    site.pass(5_000);
    assert_eq!(site.holder(vip(VIP)), from);
    site.power_off(from);
    site.until(1_000, "a takeover", |site| site.holders(vip(VIP)).iter().any(|holder| *holder != from));
}

#[test]
fn whoever_slept_when_it_was_asked_to_take_an_address_leaves_it_to_who_took_it() {
    for heir in 0..2 {
        let mut site = Site::settled(3, true, &[vip(VIP)]);
        let from = site.holder(vip(VIP));
        let others: Vec<u8> = (1..=3).filter(|number| *number != from).collect();
        let (sleeper, other) = (others[heir], others[1 - heir]);
        site.stop(sleeper);
        site.pass(50);
        site.tell_node(from, |node| node.leaving = true);
        site.until(3_000, "another owner", |site| site.holders(vip(VIP)).contains(&other));
        site.pass(5);
        site.go_on(sleeper);
        site.pass(3_000);
        assert_eq!(site.holder(vip(VIP)), other);
        assert!(site.announcements(vip(VIP)).iter().all(|(_, by)| *by != sleeper), "node-{sleeper} announced it");
    }
}

fn handed_over_late(site: &mut Site, from: u8) -> u8 {
    site.until(5_000, "another owner", |site| !site.holders(vip(VIP)).contains(&from));
    site.pass(1_000);
    site.holder(vip(VIP))
}
