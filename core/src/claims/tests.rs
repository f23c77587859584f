//! What the table of claims promises: one winner whatever the order, and agreement with few messages.

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

fn vip(number: u32) -> Vip {
    Vip::new(IpAddr::V4(Ipv4Addr::from_bits(0xc633_0000 + number))).unwrap()
}

fn claim(epoch: u64, node: &str) -> Claim {
    Claim { epoch, node: node.into() }
}

fn used(entries: impl IntoIterator<Item = (u32, Claim)>) -> Claims {
    let mut claims = Claims::default();
    for (number, claim) in entries {
        claims.merge(vip(number), claim);
        claims.use_address(vip(number));
    }
    claims
}

/// Hands every page over that the second one lacks.
fn teach(from: &Claims, to: &mut Claims) -> usize {
    let pages = from.pages(to.buckets(), 0, 1_000);
    let count = pages.len();
    for page in pages {
        let Body::Claims { node, entries } = page else { panic!("{page:?} is no page of claims") };
        assert!(entries.len() <= Body::MOST);
        for Offer { vip, epoch } in entries {
            to.merge(vip, Claim { epoch, node: node.clone() });
            to.use_address(vip);
        }
    }
    count
}

#[test]
fn the_higher_epoch_wins_and_the_older_claim_is_recognised_as_such() {
    let mut claims = used([(1, claim(3, "a"))]);
    assert_eq!(claims.merge(vip(1), claim(2, "b")), Merged::Lower);
    assert_eq!(claims.merge(vip(1), claim(3, "a")), Merged::Known);
    assert_eq!(claims.merge(vip(1), claim(4, "b")), Merged::News { before: Some(claim(3, "a")) });
    assert_eq!(claims.get(vip(1)), Some(&claim(4, "b")));
    assert_eq!((claims.of(&"a".into()).count(), claims.of(&"b".into()).count()), (0, 1));
}

#[test]
fn an_address_out_of_use_leaves_nothing_behind() {
    let empty = Claims::default();
    let mut claims = used([(1, claim(3, "a")), (2, claim(1, "b"))]);
    claims.forget(vip(1));
    claims.forget(vip(2));
    assert_eq!((claims.digest(), claims.buckets(), claims.unused), (empty.digest(), empty.buckets(), 0));
    assert_eq!(claims.get(vip(1)), None);
}

#[test]
fn claims_on_addresses_that_nobody_uses_are_bounded_and_count_in_no_digest() {
    let mut claims = Claims::default();
    for number in 0..16_384 {
        assert_eq!(claims.merge(vip(number), claim(1, "a")), Merged::News { before: None });
    }
    assert_eq!(claims.merge(vip(20_000), claim(1, "a")), Merged::Refused);
    assert_eq!(claims.digest(), 0);
    claims.use_address(vip(7));
    assert_ne!(claims.digest(), 0);
    assert_eq!(claims.merge(vip(20_000), claim(1, "a")), Merged::News { before: None });
}

#[test]
fn one_different_claim_among_ten_thousand_costs_the_claims_of_one_bucket() {
    let ours = used((0..10_000).map(|number| (number, claim(1, "a"))));
    let mut theirs = ours.clone();
    theirs.merge(vip(77), claim(2, "b"));
    let pages = theirs.pages(ours.buckets(), 0, 1_000);
    assert!(pages.len() < 10_000 / BUCKETS / Body::MOST + 5, "{} pages", pages.len());
    let has = |page: &Body| matches!(page, Body::Claims { node, entries } if node == &"b".into() && entries.len() == 1);
    assert_eq!(pages.iter().filter(|page| has(page)).count(), 1);
}

#[test]
fn pages_are_bounded_and_another_beginning_gives_others() {
    let ours = used((0..10_000).map(|number| (number, claim(1, "a"))));
    let (first, second) = (ours.pages(&[], 0, 4), ours.pages(&[], 32, 4));
    assert_eq!((first.len(), second.len()), (4, 4));
    assert!(first.iter().all(|page| !second.contains(page)));
}

fn any_claims() -> impl Strategy<Value = Vec<(u32, Claim)>> {
    prop::collection::vec((0..40_u32, (0..4_u64, 0..3_u8).prop_map(|(e, n)| claim(e, &format!("node-{n}")))), 0..80)
}

proptest! {
    #[test]
    fn the_order_in_which_claims_come_doesnt_matter(mut claims in any_claims()) {
        let forth = used(claims.clone());
        claims.reverse();
        let back = used(claims);
        prop_assert_eq!(forth.buckets(), back.buckets());
        prop_assert_eq!(forth.digest(), back.digest());
        for number in 0..40 {
            prop_assert_eq!(forth.get(vip(number)), back.get(vip(number)));
        }
    }

    #[test]
    fn after_telling_each_other_what_differs_two_tables_are_equal(ours in any_claims(), theirs in any_claims()) {
        let (mut ours, mut theirs) = (used(ours), used(theirs));
        let before = ours.clone();
        teach(&theirs, &mut ours);
        teach(&before, &mut theirs);
        prop_assert_eq!(ours.digest(), theirs.digest());
        prop_assert_eq!(teach(&ours, &mut theirs), 0);
    }
}
