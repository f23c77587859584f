//! Members that can't hear each other, and strangers.

use herald_tests::simulation::{Schedule, Trouble};

use super::{announced_by, at, kept, ms};

#[test]
fn a_partition_ends_with_one_announcer_within_300_milliseconds() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 4);
        let owner = calm.owner(0);
        kept(&calm.with(Trouble::Partition(1 << owner), at(0), at(4000)));
    }
}

#[test]
fn halves_of_a_cluster_agree_again() {
    for seed in 0..20 {
        kept(&Schedule::calm(seed, 4).with(Trouble::Partition(0b11), at(0), at(4000)));
    }
}

#[test]
fn an_owner_whose_frames_are_lost_is_replaced_and_silent_when_they_get_through_again() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        announced_by(&calm.with(Trouble::Mute(owner), at(0), at(4000)), &[owner, heir]);
    }
}

#[test]
fn an_owner_that_hears_nobody_gives_way() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        announced_by(&calm.with(Trouble::Deaf(owner), at(0), at(4000)), &[owner, heir]);
    }
}

#[test]
fn one_cut_between_two_members_of_three_moves_nothing() {
    for seed in 0..10 {
        let calm = Schedule::calm(seed, 3);
        let [owner, other] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        announced_by(&calm.clone().with(Trouble::OneWay(owner, other), at(0), at(6000)), &[owner]);
        announced_by(&calm.with(Trouble::OneWay(other, owner), at(0), at(6000)), &[owner]);
    }
}

#[test]
fn an_address_that_a_stranger_has_is_not_announced() {
    let mut schedule = Schedule::calm(1, 3).with(Trouble::Stranger(0), ms(0), at(9000));
    schedule.recorded = false;
    schedule.length = at(8000);
    let outcome = schedule.play();
    assert_eq!(outcome.announcers(&schedule, 0), Vec::<String>::new(), "{schedule}");
    assert_eq!(outcome.announcers(&schedule, 1).len(), 1, "the other address is free\n{schedule}");
}

#[test]
fn a_stranger_that_comes_later_takes_nothing_away() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    announced_by(&calm.with(Trouble::Stranger(0), at(0), at(6000)), &[owner]);
}

#[test]
fn members_without_a_gateway_trust_each_other() {
    let calm = Schedule { gateway: false, ..Schedule::calm(1, 4) };
    let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
    announced_by(&calm.with(Trouble::Power(owner), at(0), at(6000)), &[owner, heir]);
}

#[test]
fn a_gateway_that_is_down_moves_nothing() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    announced_by(&calm.with(Trouble::GatewayDown, at(0), at(6000)), &[owner]);
}
