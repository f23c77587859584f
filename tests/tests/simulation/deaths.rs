//! Nodes and speakers that die.

use herald_core::liveness::Profile;
use herald_tests::invariants::Way;
use herald_tests::simulation::{Schedule, Trouble};

use super::{announced_by, at, kept, ms};

#[test]
fn a_node_without_power_is_replaced_within_a_second_and_gets_nothing_back() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        let schedule = calm.with(Trouble::Power(owner), at(0), at(6000));
        let outcome = announced_by(&schedule, &[owner, heir]);
        for way in [Way::Newcomer, Way::Traffic] {
            let gap = outcome.longest_gap(0, way);
            assert!(gap > ms(300) && gap < ms(800), "{way:?} waited {gap:?}; 0.5 s is typical\n{schedule}");
        }
    }
}

#[test]
fn with_fast_beats_it_is_replaced_within_400_milliseconds() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 3).fast();
        let owner = calm.owner(0);
        kept(&calm.with(Trouble::Power(owner), at(0), at(6000)));
    }
}

#[test]
fn where_virtual_machines_are_moved_it_takes_five_seconds() {
    let calm = Schedule { profile: Profile::VIRTUAL, ..Schedule::calm(1, 3) }.lasting(at(20_000));
    let owner = calm.owner(0);
    // Started later than in other tests: this profile needs five seconds to know who is there.
    kept(&calm.with(Trouble::Power(owner), at(6000), at(15_000)));
}

#[test]
fn of_two_nodes_the_gateway_bears_out_the_death_of_one() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 2);
        let owner = calm.owner(0);
        announced_by(&calm.with(Trouble::Power(owner), at(0), at(6000)), &[owner, 1 - owner]);
    }
}

#[test]
fn of_two_nodes_without_a_gateway_one_waits_until_the_wire_is_silent_too() {
    let calm = Schedule { gateway: false, ..Schedule::calm(1, 2) };
    let owner = calm.owner(0);
    let schedule = calm.with(Trouble::Power(owner), at(0), at(6000));
    let outcome = announced_by(&schedule, &[owner, 1 - owner]);
    assert!(outcome.longest_gap(0, Way::Newcomer) >= ms(2900), "nobody bore it out\n{schedule}");
}

#[test]
fn several_deaths_at_once_are_all_seen() {
    for seed in 0..10 {
        let calm = Schedule::calm(seed, 8);
        let [first, second, third] = [calm.ranking(0)[0], calm.ranking(0)[1], calm.ranking(0)[2]];
        let schedule = calm.with(Trouble::Power(first), at(0), at(9000)).with(Trouble::Power(second), at(0), at(9000));
        let outcome = announced_by(&schedule, &[first, third]);
        assert!(outcome.longest_gap(0, Way::Traffic) < ms(1000), "{schedule}");
    }
}

#[test]
fn of_200_nodes_one_is_replaced_as_fast_as_of_three() {
    let calm = Schedule::calm(1, 200);
    let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
    announced_by(&calm.with(Trouble::Power(owner), at(0), at(2000)), &[owner, heir]);
}

#[test]
fn all_addresses_of_a_node_with_200_are_replaced_within_a_second() {
    let calm = Schedule { vips: 200, ..Schedule::calm(1, 2) };
    let owner = calm.owner(0);
    announced_by(&calm.with(Trouble::Power(owner), at(0), at(5000)), &[owner, 1 - owner]);
}

#[test]
fn newcomers_wait_300_milliseconds_for_a_killed_speakers_successor_and_others_not_at_all() {
    for seed in 0..20 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        let schedule = calm.with(Trouble::Kill(owner), at(0), at(5000));
        let outcome = announced_by(&schedule, &[owner, heir]);
        assert!(outcome.longest_gap(0, Way::Traffic) <= ms(20), "its kernel goes on\n{schedule}");
    }
}

#[test]
fn a_pulled_cable_is_like_a_death() {
    for seed in 0..10 {
        let calm = Schedule::calm(seed, 3);
        let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
        announced_by(&calm.with(Trouble::Cable(owner), at(0), at(6000)), &[owner, heir]);
    }
}

#[test]
fn without_the_api_server_a_death_is_dealt_with_as_fast() {
    let calm = Schedule::calm(1, 3);
    let [owner, heir] = [calm.ranking(0)[0], calm.ranking(0)[1]];
    let schedule = calm.with(Trouble::ApiDown, at(0), at(20_000)).with(Trouble::Power(owner), at(10_000), at(14_000));
    announced_by(&schedule, &[owner, heir]);
}

#[test]
fn a_cluster_that_gets_its_power_back_goes_on_as_before() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    let schedule = (0..3).fold(calm, |schedule, node| schedule.with(Trouble::Power(node), at(0), at(2000)));
    announced_by(&schedule, &[owner]);
}
