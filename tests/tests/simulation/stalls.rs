//! Speakers that don't get to run, and networks that are slow or lossy.

use herald_tests::invariants::Way;
use herald_tests::simulation::{Schedule, Trouble};

use super::{announced_by, at, kept, ms};

#[test]
fn a_speaker_that_is_stopped_for_up_to_two_seconds_keeps_its_addresses() {
    for (seed, length) in (0..).zip([200, 500, 900, 1300, 2000]) {
        let calm = Schedule::calm(seed, 3);
        let owner = calm.owner(0);
        announced_by(&calm.with(Trouble::Stop(owner), at(0), at(length)), &[owner]);
    }
}

#[test]
fn all_speakers_stopped_at_once_keep_their_addresses() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    let schedule = (0..3).fold(calm, |schedule, node| schedule.with(Trouble::Stop(node), at(0), at(2000)));
    announced_by(&schedule, &[owner]);
}

#[test]
fn a_speaker_that_is_stopped_for_ten_seconds_is_replaced_after_three_and_falls_silent_when_it_goes_on() {
    for seed in 0..10 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        let schedule = calm.with(Trouble::Stop(owner), at(0), at(10_000));
        let outcome = announced_by(&schedule, &[owner, heir]);
        let gap = outcome.longest_gap(0, Way::Newcomer);
        assert!(gap > ms(2900) && gap < ms(3600), "newcomers waited {gap:?}\n{schedule}");
        assert!(outcome.longest_gap(0, Way::Traffic) <= ms(20), "its kernel goes on\n{schedule}");
    }
}

#[test]
fn an_observer_that_is_stopped_for_five_seconds_accuses_nobody() {
    for seed in 0..10 {
        let calm = Schedule::calm(seed, 3);
        let [owner, observer] = [calm.ranking(0)[0], calm.ranking(0)[2]];
        announced_by(&calm.with(Trouble::Stop(observer), at(0), at(5000)), &[owner]);
    }
}

#[test]
fn a_speaker_at_one_percent_of_a_cpu_keeps_its_addresses() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    announced_by(&calm.with(Trouble::Starvation(owner), at(0), at(20_000)), &[owner]);
}

#[test]
fn one_percent_loss_moves_nothing() {
    for seed in 0..5 {
        let calm = Schedule::calm(seed, 3);
        let owner = calm.owner(0);
        announced_by(&calm.with(Trouble::Loss(1), at(0), at(60_000)), &[owner]);
    }
}

#[test]
fn frames_that_come_late_twice_or_in_another_order_move_nothing() {
    let calm = Schedule::calm(1, 4);
    let owner = calm.owner(0);
    let schedule = calm.with(Trouble::Delay(10), at(0), at(20_000)).with(Trouble::Duplication(30), at(0), at(20_000));
    announced_by(&schedule, &[owner]);
}

#[test]
fn nothing_moves_while_the_api_server_is_down_and_when_it_is_back() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    announced_by(&calm.with(Trouble::ApiDown, at(0), at(30_000)), &[owner]);
}

#[test]
fn a_speaker_that_is_started_again_while_the_api_server_is_down_knows_what_it_knew() {
    let calm = Schedule::calm(1, 3);
    let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
    let schedule = calm.with(Trouble::ApiDown, at(0), at(30_000)).with(Trouble::Kill(owner), at(5000), at(8000)).with(
        Trouble::Kill(heir),
        at(12_000),
        at(15_000),
    );
    kept(&schedule);
}
