use super::*;
use herald_core::mac::MacAddr;
use std::net::{IpAddr, Ipv4Addr};

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn vip() -> Vip {
    Vip::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10))).unwrap()
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn run(seconds: u64) -> Record {
    let members = [(A, "node-a".to_owned()), (B, "node-b".to_owned())];
    Record { members: members.into(), end: Duration::from_secs(seconds), ..Record::default() }
}

fn says(at: u64, mac: MacAddr) -> Sighting {
    Sighting { at: ms(at), vip: vip(), what: What::Assertion { mac, to_all: false } }
}

fn tells(at: u64, mac: MacAddr) -> Sighting {
    Sighting { at: ms(at), vip: vip(), what: What::Assertion { mac, to_all: true } }
}

fn asks(at: u64, answered: bool) -> Sighting {
    Sighting { at: ms(at), vip: vip(), what: What::Attempt { client: Client(0), way: Way::Newcomer, answered } }
}

fn has(at: u64, mac: MacAddr) -> Sighting {
    Sighting { at: ms(at), vip: vip(), what: What::Entry { client: Client(0), mac: Some(mac) } }
}

fn death(of: MacAddr, at: u64) -> Fault {
    Fault {
        name: "power loss".to_owned(),
        from: ms(at),
        until: ANYTHING,
        victim: Some(of),
        moves: true,
        splits: false,
        silence: ms(1000),
        outage: ms(1000),
    }
}

fn split(from: u64, until: u64) -> Fault {
    Fault {
        name: "partition".to_owned(),
        from: ms(from),
        until: ms(until),
        victim: None,
        moves: true,
        splits: true,
        silence: ANYTHING,
        outage: ANYTHING,
    }
}

fn drain(of: MacAddr, at: u64) -> Plan {
    Plan { at: ms(at), until: ms(at + 5000), vip: None, from: Some(of), to: None, elective: false }
}

fn broken(record: &Record) -> Vec<Rule> {
    record.violations().iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_takeover_after_a_death_is_in_order() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), asks(980, true), tells(1500, B), asks(1000, false), asks(1520, true)];
    record.faults = vec![death(A, 990)];
    assert_eq!(broken(&record), []);
}

#[test]
fn a_move_without_a_reason_is_one_too_many() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), tells(1500, B)];
    assert_eq!(broken(&record), [Rule::Still]);
}

#[test]
fn a_death_is_no_reason_to_take_from_another() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), tells(1500, B)];
    record.faults = vec![death(B, 1000)];
    assert_eq!(broken(&record), [Rule::Still]);
}

#[test]
fn a_move_back_is_told_as_one() {
    let mut record = run(9);
    record.sightings = vec![tells(0, A), tells(1500, B), tells(8000, A)];
    record.faults = vec![death(A, 1000)];
    assert!(record.violations()[0].text.contains("moved back"), "{:?}", record.violations());
}

#[test]
fn two_that_answer_in_turn_are_found() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A)];
    record.sightings.extend((0..20).flat_map(|turn| [says(2000 + turn * 20, B), says(2001 + turn * 20, A)]));
    record.plans = vec![drain(A, 1900)];
    let found = broken(&record);
    assert!(found.contains(&Rule::OneAnnouncer), "{found:?}");
}

#[test]
fn a_planned_move_leaves_the_old_owner_20_milliseconds() {
    for (last, expected) in [(2019, vec![]), (2025, vec![Rule::OneAnnouncer])] {
        let mut record = run(5);
        record.sightings = vec![tells(0, A), tells(2000, B), says(last, A), says(2500, B)];
        record.plans = vec![drain(A, 1900)];
        assert_eq!(broken(&record), expected, "last frame at {last} ms");
    }
}

#[test]
fn another_move_leaves_it_100_milliseconds() {
    for (last, fine) in [(2099, true), (2140, false)] {
        let mut record = run(5);
        record.sightings = vec![tells(0, A), tells(2000, B), says(last, A), says(2500, B)];
        record.faults = vec![Fault { until: ms(1200), ..death(A, 900) }];
        record.faults[0].until = ms(1990);
        assert_eq!(broken(&record).is_empty(), fine, "last frame at {last} ms: {:?}", record.violations());
    }
}

#[test]
fn both_sides_of_a_split_may_announce_until_shortly_after_it() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A)];
    record.sightings.extend((0..10).flat_map(|turn| [tells(1000 + turn * 100, B), says(1050 + turn * 100, A)]));
    record.sightings.extend([tells(2150, B), says(2600, B), says(3500, B)]);
    record.faults = vec![split(500, 2000)];
    assert_eq!(broken(&record), []);
}

#[test]
fn a_split_that_outlives_its_cause_is_found() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), tells(1000, B)];
    record.sightings.extend((0..10).flat_map(|turn| [says(1100 + turn * 300, B), says(1101 + turn * 300, A)]));
    record.faults = vec![split(500, 2000)];
    let found = broken(&record);
    assert!(found.contains(&Rule::Healed) && found.contains(&Rule::OneAnnouncer), "{found:?}");
}

#[test]
fn the_loser_of_a_split_must_not_be_the_last_to_tell_everybody() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), tells(1000, B), tells(1500, A), says(2100, B), says(2600, B)];
    record.faults = vec![split(500, 2000)];
    assert_eq!(broken(&record), [Rule::Healed]);
}

#[test]
fn silence_needs_an_excuse_of_its_length() {
    let mut record = run(5);
    record.sightings = vec![asks(0, true), asks(20, false), asks(600, false), asks(900, true)];
    assert_eq!(broken(&record), [Rule::Answered]);
    record.faults = vec![death(A, 10)];
    assert_eq!(broken(&record), []);
    record.sightings.push(asks(4000, false));
    assert_eq!(broken(&record), [Rule::Answered]);
}

#[test]
fn whoever_asks_for_the_first_time_gets_an_answer_too() {
    let mut record = run(5);
    record.sightings = vec![asks(0, false), asks(1900, true)];
    assert_eq!(broken(&record), []);
    record.sightings = vec![asks(0, false), asks(2900, false)];
    assert_eq!(broken(&record), [Rule::Answered]);
}

#[test]
fn a_table_that_keeps_the_old_owner_is_found() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), has(1, A), tells(1500, B), has(1510, B)];
    record.plans = vec![drain(A, 1400)];
    assert_eq!(broken(&record), []);
    record.sightings.pop();
    assert_eq!(broken(&record), [Rule::Learnt]);
}

#[test]
fn the_fourth_elective_move_in_three_minutes_is_one_too_many() {
    let mut record = run(100);
    record.plans = vec![Plan { at: ms(0), until: ANYTHING, vip: Some(vip()), from: None, to: None, elective: true }];
    record.sightings = vec![tells(0, A), tells(10_000, B), tells(20_000, A), tells(30_000, B)];
    assert_eq!(broken(&record), []);
    record.sightings.push(tells(40_000, A));
    assert_eq!(broken(&record), [Rule::FewMoves]);
}

#[test]
fn what_strangers_assert_is_nobodys_fault() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), tells(1000, MacAddr([2, 9, 9, 9, 9, 9])), says(1200, A)];
    assert_eq!(broken(&record), []);
}

#[test]
fn nobody_begins_with_an_address_that_a_stranger_has() {
    let stranger = MacAddr([2, 9, 9, 9, 9, 9]);
    let mut record = run(5);
    record.sightings = vec![says(500, stranger), says(980, stranger), tells(1000, A)];
    assert_eq!(broken(&record), [Rule::OneAnnouncer]);
    record.sightings = vec![says(500, stranger), tells(1600, A)];
    assert_eq!(broken(&record), []);
}

#[test]
fn what_happens_to_others_excuses_no_silence() {
    let mut record = run(5);
    record.sightings = vec![tells(0, A), asks(10, true), asks(600, false), asks(900, true)];
    record.faults = vec![death(B, 20)];
    assert_eq!(broken(&record), [Rule::Answered]);
}
