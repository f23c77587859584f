//! Moves that somebody wants.

use herald_tests::invariants::Way;
use herald_tests::simulation::{Schedule, Trouble};

use super::{announced_by, at, kept, ms};

#[test]
fn a_drain_leaves_nobody_without_an_answer_and_moves_nothing_back() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        let schedule = calm.with(Trouble::Drain(owner), at(0), at(4000));
        let outcome = announced_by(&schedule, &[owner, heir]);
        assert!(outcome.longest_gap(0, Way::Newcomer) <= ms(41), "one question may go unanswered\n{schedule}");
        assert!(outcome.longest_gap(0, Way::Traffic) <= ms(20), "{schedule}");
    }
}

#[test]
fn a_rolling_update_leaves_nobody_without_an_answer() {
    for seed in 0..10 {
        let calm = Schedule::calm(seed, 3);
        let schedule = (0..3).fold(calm, |schedule, node| {
            let start = at(5000 * node as u64);
            schedule.with(Trouble::Termination(node), start, start + ms(2000))
        });
        let outcome = kept(&schedule);
        assert!(outcome.longest_gap(0, Way::Newcomer) <= ms(41), "one question may go unanswered\n{schedule}");
    }
}

#[test]
fn a_drained_node_keeps_its_addresses_until_somebody_can_take_them() {
    let calm = Schedule::calm(1, 2);
    let owner = calm.owner(0);
    let other = 1 - owner;
    let schedule = calm.with(Trouble::Stop(other), at(0), at(1900)).with(Trouble::Drain(owner), at(100), at(5000));
    announced_by(&schedule, &[owner, other]);
}

#[test]
fn a_node_whose_proxy_is_not_well_gives_its_addresses_away() {
    let calm = Schedule::calm(1, 3);
    let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
    announced_by(&calm.with(Trouble::Unwell(owner), at(0), at(4000)), &[owner, heir]);
}

#[test]
fn an_address_goes_where_a_person_wants_it() {
    let calm = Schedule::calm(1, 3);
    let [owner, last] = [calm.ranking(0)[0], calm.ranking(0)[2]];
    announced_by(&calm.with(Trouble::Pin(0, last), at(0), at(3000)), &[owner, last]);
}

#[test]
fn whoever_moves_an_address_to_and_fro_is_slowed_down() {
    let calm = Schedule::calm(1, 3);
    let [owner, other] = [calm.ranking(0)[0], calm.ranking(0)[1]];
    let schedule = (0..10).fold(calm, |schedule, turn: u64| {
        let wanted = if turn.is_multiple_of(2) { other } else { owner };
        schedule.with(Trouble::Pin(0, wanted), at(turn * 3000), at(turn * 3000 + 1000))
    });
    let outcome = kept(&schedule);
    assert_eq!(outcome.announcers(&schedule, 0).len(), 4, "three moves\n{schedule}");
}

#[test]
fn an_address_that_is_deleted_is_silent_and_one_that_is_created_again_is_announced() {
    for seed in 0..10 {
        kept(&Schedule::calm(seed, 3).with(Trouble::Deletion(0), at(0), at(3000)));
    }
}
