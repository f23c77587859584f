//! The judge can fail: each of these bugs, made at the border of every member, is found.

use std::collections::BTreeSet;

use herald_tests::invariants::Rule;
use herald_tests::simulation::{Bug, Schedule, Trace, Trouble};

use super::{at, kept, ms};

/// Plays a schedule in which every promise is kept, and then with a bug; returns the promises it breaks.
fn broken_by(bug: Bug, schedule: &Schedule) -> BTreeSet<Rule> {
    kept(schedule);
    let outcome = schedule.play_with(Some(bug), Trace::off());
    outcome.violations.iter().map(|violation| violation.rule).collect()
}

/// The same for the schedules of some seeds: what a bug breaks may depend on which of two frames comes first.
fn broken_by_seeds(bug: Bug, schedule: impl Fn(u64) -> Schedule) -> BTreeSet<Rule> {
    (0..10).flat_map(|seed| broken_by(bug, &schedule(seed))).collect()
}

#[test]
fn to_hold_dead_whoever_is_silent_is_found() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    let schedule = calm.with(Trouble::Stop(owner), at(0), at(1500));
    let broken = broken_by(Bug::NoConfirmation, &schedule);
    assert!(broken.contains(&Rule::Still), "a stopped speaker's addresses move: {broken:?}");
}

#[test]
fn to_take_a_new_life_for_the_old_one_is_found() {
    let calm = Schedule::calm(1, 3);
    let owner = calm.owner(0);
    let schedule = calm.with(Trouble::Kill(owner), at(0), at(100)).with(Trouble::Drain(owner), at(6000), at(9000));
    let broken = broken_by(Bug::NoIncarnations, &schedule);
    assert!(!broken.is_empty(), "a speaker that was started again is not heard");
}

#[test]
fn to_hold_all_claims_for_equally_old_is_found() {
    let broken = broken_by_seeds(Bug::NoEpochs, |seed| {
        let calm = Schedule::calm(seed, 3);
        let owner = calm.owner(0);
        // The ledger would tell who is right.
        calm.with(Trouble::ApiDown, at(0), at(6000)).with(Trouble::Partition(1 << owner), at(0), at(3000))
    });
    assert!(!broken.is_empty(), "nobody gives way");
}

#[test]
fn to_watch_in_one_direction_only_is_found() {
    let broken = broken_by_seeds(Bug::OneWayRing, |seed| {
        let calm = Schedule::calm(seed, 4);
        let owner = calm.owner(0);
        let next = (owner + 1) % 4;
        calm.with(Trouble::Power(owner), at(0), at(4000)).with(Trouble::Power(next), at(0), at(4000))
    });
    assert!(broken.contains(&Rule::Still), "who can't answer is taken for dead: {broken:?}");
}

#[test]
fn to_claim_without_asking_the_wire_is_found() {
    let mut schedule = Schedule::calm(1, 3).with(Trouble::Stranger(0), ms(0), at(9000));
    schedule.recorded = false;
    schedule.length = at(8000);
    let broken = broken_by(Bug::NoProbe, &schedule);
    assert!(broken.contains(&Rule::OneAnnouncer), "two have the address: {broken:?}");
}

#[test]
fn to_stop_before_the_new_owner_has_begun_is_found() {
    let calm = Schedule::calm(1, 2);
    let owner = calm.owner(0);
    let schedule = calm.with(Trouble::Stop(1 - owner), at(0), at(1000)).with(Trouble::Drain(owner), at(100), at(4000));
    let broken = broken_by(Bug::BreakBeforeMake, &schedule);
    assert!(broken.contains(&Rule::Answered), "nobody answers until the new owner does: {broken:?}");
}
