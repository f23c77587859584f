//! A node dies, its speaker ends or hangs, this node itself is cut off: who takes over when, and who must not.

use super::super::*;
use super::VIP;
use super::site::{Site, name, vip};

/// How long after something happened at `since` another node than `holder` has announced the address first.
fn takeover(site: &mut Site, holder: u8, most: u64) -> (u64, u8) {
    let since = site.milliseconds();
    let by_another =
        |site: &Site| site.announcements(vip(VIP)).iter().copied().find(|(at, by)| *at >= since && *by != holder);
    site.until(most, "a takeover", |site| by_another(site).is_some());
    let (at, by) = by_another(site).unwrap();
    (at - since, by)
}

fn came(site: &Site, by: u8) -> Came {
    match site.state(by, vip(VIP)).tenure {
        Tenure::Announcing { came, .. } => came,
        other => panic!("node {by} is {other:?}"),
    }
}

#[test]
fn power_loss_is_followed_by_another_node_within_the_bound() {
    for gateway in [true, false] {
        for count in [3, 5, 9] {
            let mut site = Site::settled(count, gateway, &[vip(VIP)]);
            let holder = site.holder(vip(VIP));
            site.power_off(holder);
            let (after, by) = takeover(&mut site, holder, 2_000);
            assert!((300..=700).contains(&after), "{after} ms, gateway {gateway}, {count} nodes");
            site.pass(10);
            let came = came(&site, by);
            assert_eq!((came.cause, came.from), (Cause::Dead, Some(name(holder))));
            assert!((300..=800).contains(&came.gap.unwrap().as_millis()), "{:?}", came.gap);
            site.pass(5_000);
            assert_eq!(site.holder(vip(VIP)), by, "one takeover is enough");
        }
    }
}

#[test]
fn a_speaker_whose_kernel_refuses_is_replaced_within_300_ms_with_or_without_a_gateway() {
    for gateway in [true, false] {
        for phase in [0, 30, 60, 90] {
            let mut site = Site::settled(3, gateway, &[vip(VIP)]);
            site.pass(phase);
            let holder = site.holder(vip(VIP));
            site.kill(holder);
            let (after, by) = takeover(&mut site, holder, 2_000);
            assert!(after <= 300, "{after} ms, gateway {gateway}, phase {phase}");
            assert_eq!(came(&site, by).cause, Cause::Gone);
        }
    }
}

#[test]
fn of_two_nodes_the_survivor_takes_over_at_once_with_a_gateway_and_after_three_seconds_without() {
    for (gateway, range) in [(true, 300..=700), (false, 2_900..=3_600)] {
        let mut site = Site::settled(2, gateway, &[vip(VIP)]);
        let holder = site.holder(vip(VIP));
        site.power_off(holder);
        let (after, _) = takeover(&mut site, holder, 5_000);
        assert!(range.contains(&after), "{after} ms, gateway {gateway}");
    }
}

#[test]
fn a_speaker_that_stands_still_for_two_seconds_keeps_what_it_has() {
    for stop in [200, 500, 900, 2_000] {
        let mut site = Site::settled(3, true, &[vip(VIP)]);
        let holder = site.holder(vip(VIP));
        site.stop(holder);
        site.pass(stop);
        site.go_on(holder);
        site.pass(3_000);
        assert_eq!(site.holder(vip(VIP)), holder, "after {stop} ms");
        assert!(site.announcements(vip(VIP)).iter().all(|(_, by)| *by == holder), "after {stop} ms");
    }
}

#[test]
fn a_speaker_that_stands_still_for_longer_is_replaced_after_three_seconds_and_finds_out() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.stop(holder);
    let (after, by) = takeover(&mut site, holder, 5_000);
    assert!((2_800..=3_300).contains(&after), "{after} ms");
    assert_eq!(came(&site, by).cause, Cause::Starved);
    site.pass(1_000);
    site.said.clear();
    site.go_on(holder);
    site.pass(2_000);
    assert_eq!(site.holder(vip(VIP)), by);
    assert!(site.said.iter().all(|said| said.node == by), "the one that woke said: {:?}", site.said);
}

#[test]
fn only_one_of_many_survivors_takes_over_from_a_starved_speaker() {
    let mut site = Site::settled(5, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.stop(holder);
    site.pass(9_000);
    let by: BTreeSet<u8> = site.announcements(vip(VIP)).iter().map(|(_, by)| *by).filter(|by| *by != holder).collect();
    assert_eq!(by.len(), 1, "{by:?}");
}

#[test]
fn an_observer_that_stood_still_accuses_nobody() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    let observer = (1..=3).find(|number| *number != holder).unwrap();
    site.stop(observer);
    site.pass(5_000);
    site.go_on(observer);
    site.pass(5_000);
    assert_eq!(site.holder(vip(VIP)), holder);
    assert!(site.said.iter().all(|said| said.node == holder));
}

#[test]
fn a_node_without_carrier_is_replaced_and_stays_silent_when_it_is_back() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.carrier(holder, false);
    assert_eq!(site.holders(vip(VIP)), Vec::<u8>::new());
    let (after, by) = takeover(&mut site, holder, 2_000);
    assert!(after <= 700, "{after} ms");
    site.said.clear();
    site.carrier(holder, true);
    site.pass(5_000);
    assert_eq!(site.holder(vip(VIP)), by);
    assert!(site.said.iter().all(|said| said.node == by), "{:?}", site.said);
}

#[test]
fn a_carrier_that_comes_back_before_anybody_has_acted_brings_the_address_back() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.carrier(holder, false);
    site.pass(150);
    site.carrier(holder, true);
    site.until(800, "an announcement", |site| site.holders(vip(VIP)) == [holder]);
    site.pass(3_000);
    assert_eq!(site.holder(vip(VIP)), holder);
}

#[test]
fn a_node_that_hears_nobody_falls_silent_before_others_act() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    let others = (1..=3).chain([254]).filter(|number| *number != holder).collect::<Vec<_>>();
    let cuts: Vec<(u8, u8)> = others.iter().flat_map(|other| [(holder, *other), (*other, holder)]).collect();
    site.cut.extend(cuts.iter().copied());
    let since = site.milliseconds();
    let silent = site.until(2_000, "silence", |site| !site.holders(vip(VIP)).contains(&holder)) - since;
    let taken = site.until(2_000, "a takeover", |site| !site.holders(vip(VIP)).is_empty()) - since;
    assert!(silent < taken && silent <= 400, "silent after {silent} ms, taken over after {taken} ms");
    let by = site.holder(vip(VIP));
    site.cut.clear();
    site.pass(3_000);
    assert_eq!(site.holder(vip(VIP)), by);
}

#[test]
fn after_a_split_the_higher_epoch_wins_and_speaks_last() {
    for gateway in [true, false] {
        let mut site = Site::settled(4, gateway, &[vip(VIP)]);
        let holder = site.holder(vip(VIP));
        let friend = if holder == 1 { 2 } else { 1 };
        let side = |number: u8| number == holder || number == friend;
        let cuts = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).filter(|(a, b)| side(*a) != side(*b));
        site.cut.extend(cuts);
        site.until(6_000, "an owner on either side", |site| site.holders(vip(VIP)).len() == 2);
        site.pass(4_000);
        site.cut.clear();
        let healed = site.milliseconds();
        site.until(300, "one owner", |site| site.holders(vip(VIP)).len() == 1);
        site.pass(1_000);
        let winner = site.holder(vip(VIP));
        assert!(!side(winner), "the side that took it over has the higher epoch");
        let last = site.said.iter().rev().find(|said| said.node != winner).unwrap();
        let after = site.announcements(vip(VIP)).into_iter().find(|(at, by)| *at > last.at && *by == winner);
        assert!(after.is_some_and(|(at, _)| at <= healed + 400), "the winner's last word: {after:?}, loser's {last:?}");
    }
}

#[test]
fn during_a_split_what_the_ledger_says_of_the_other_side_moves_nothing() {
    let mut site = Site::settled(4, false, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    let friend = if holder == 1 { 2 } else { 1 };
    let side = |number: u8| number == holder || number == friend;
    let cuts = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).filter(|(a, b)| side(*a) != side(*b));
    site.cut.extend(cuts);
    site.until(6_000, "an owner on either side", |site| site.holders(vip(VIP)).len() == 2);
    let other = site.holders(vip(VIP)).into_iter().find(|number| !side(*number)).unwrap();
    site.tell_vip(vip(VIP), |subject| subject.claim = Some(crate::liveness::Claim { epoch: 2, node: name(other) }));
    site.said.clear();
    site.pass(5_000);
    assert_eq!(site.holders(vip(VIP)).len(), 2, "each side keeps what it has");
    let tenures = [holder, other].map(|number| site.state(number, vip(VIP)).tenure);
    let epochs = tenures.map(|tenure| match tenure {
        Tenure::Announcing { epoch, .. } => epoch,
        other => panic!("{other:?}"),
    });
    assert_eq!(epochs, [1, 2]);
}

#[test]
fn a_machine_that_slept_whole_asks_before_it_speaks_again() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.freeze(holder);
    let (_, by) = takeover(&mut site, holder, 2_000);
    site.pass(500);
    site.said.clear();
    site.thaw(holder);
    site.pass(2_000);
    assert_eq!(site.holder(vip(VIP)), by);
    assert!(site.said.iter().all(|said| said.node == by), "{:?}", site.said);
}

#[test]
fn when_the_first_in_the_succession_does_nothing_the_next_one_does() {
    let mut site = Site::settled(4, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    let subject = site::subject(vip(VIP));
    let mut heirs: Vec<u8> = (1..=4).filter(|number| *number != holder).collect();
    heirs.sort_by_key(|number| std::cmp::Reverse(crate::ownership::score(subject.vip, &name(*number))));
    site.tell_one(heirs[0], |outlook| _ = outlook.unprepared.insert(vip(VIP)));
    site.power_off(holder);
    let (after, by) = takeover(&mut site, holder, 4_000);
    assert_eq!(by, heirs[1]);
    assert!((1_000..=2_000).contains(&after), "{after} ms");
}

use super::site;

#[test]
fn an_heir_that_slept_through_a_death_leaves_the_address_to_who_took_it() {
    for heir in 0..2 {
        let mut site = Site::settled(3, true, &[vip(VIP)]);
        let killed = site.holder(vip(VIP));
        let others: Vec<u8> = (1..=3).filter(|number| *number != killed).collect();
        let (sleeper, other) = (others[heir], others[1 - heir]);
        site.stop(sleeper);
        site.pass(50);
        site.kill(killed);
        site.until(2_000, "a takeover", |site| site.holders(vip(VIP)).contains(&other));
        site.start(killed);
        site.pass(100);
        site.go_on(sleeper);
        site.pass(3_000);
        assert_eq!(site.holder(vip(VIP)), other);
        assert!(site.announcements(vip(VIP)).iter().all(|(_, by)| *by != sleeper), "node-{sleeper} announced it");
    }
}
