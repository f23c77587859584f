//! Speakers in virtual time: random troubles, the troubles that have names, and bugs that the judge must find.
//!
//! A random schedule that fails is played again, with everything that happens, by
//! `cargo run --package herald-tests --bin simulate -- --seed SEED`.

#[path = "simulation/bugs.rs"]
mod bugs;
#[path = "simulation/deaths.rs"]
mod deaths;
#[path = "simulation/moves.rs"]
mod moves;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/splits.rs"]
mod splits;
#[path = "simulation/stalls.rs"]
mod stalls;

use std::time::Duration;

use herald_tests::simulation::{Outcome, Schedule, Trace, WARM};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A moment after the start of everything.
const fn at(milliseconds: u64) -> Duration {
    WARM.saturating_add(ms(milliseconds))
}

/// Plays a schedule in which every promise must be kept.
fn kept(schedule: &Schedule) -> Outcome {
    let outcome = schedule.play();
    if let Some(violation) = outcome.violations.first() {
        let told = schedule.play_with(None, Trace::on());
        let lines = told.trace.lines().join("\n");
        panic!("{schedule}{lines}\n{violation}");
    }
    outcome
}

/// Plays a schedule in which every promise must be kept and the first VIP is announced by these nodes one after the other.
fn announced_by(schedule: &Schedule, expected: &[usize]) -> Outcome {
    let outcome = kept(schedule);
    let expected: Vec<String> = expected.iter().map(|node| format!("node-{node}")).collect();
    assert_eq!(outcome.announcers(schedule, 0), expected, "{schedule}");
    outcome
}
