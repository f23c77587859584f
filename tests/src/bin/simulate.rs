//! `simulate`: speakers in virtual time under random troubles. Plays one seed again, with what happened, and looks for the
//! shortest schedule that still fails; or plays many; or the long ones that have names.

use std::process::ExitCode;

use clap::Parser;
use herald_tests::simulation::{Schedule, Trace, long, shrink};

/// Plays random schedules of troubles against simulated speakers and judges what clients see.
#[derive(Parser)]
struct Arguments {
    /// The seed to play, with everything that happens.
    #[arg(long, conflicts_with_all = ["first", "count"])]
    seed: Option<u64>,
    /// With --seed: find the shortest schedule that still fails, and play that.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Play the schedules of minutes and hours.
    #[arg(long, conflicts_with_all = ["seed", "first", "count"])]
    long: bool,
    /// The first of many seeds.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    count: u64,
}

fn main() -> ExitCode {
    let Arguments { seed, shrink, long, first, count } = Arguments::parse();
    match seed {
        Some(seed) => play(seed, shrink),
        None if long => play_long(),
        None => play_many(first, count),
    }
}

fn play(seed: u64, shorten: bool) -> ExitCode {
    let mut schedule = Schedule::random(seed);
    if shorten && schedule.fails() {
        schedule = shrink(&schedule, Schedule::fails);
    }
    print!("{schedule}");
    let outcome = schedule.play_with(None, Trace::on());
    for line in outcome.trace.lines() {
        println!("{line}");
    }
    for violation in &outcome.violations {
        println!("{violation}");
    }
    if outcome.violations.is_empty() {
        println!("seed {seed}: every promise was kept");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

fn play_long() -> ExitCode {
    let mut failed = false;
    for (name, schedule) in long::schedules() {
        let violations = schedule.play().violations;
        println!("{name}: {} s, {}", schedule.length.as_secs(), if violations.is_empty() { "kept" } else { "BROKEN" });
        for violation in violations.iter().take(10) {
            println!("  {violation}");
        }
        failed |= !violations.is_empty();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn play_many(first: u64, count: u64) -> ExitCode {
    let mut failed = 0_u64;
    for seed in first..first.saturating_add(count) {
        if let Some(violation) = Schedule::random(seed).play().violations.first() {
            println!("seed {seed}: {violation}");
            failed += 1;
        }
    }
    if failed > 0 {
        println!("{failed} of {count} seeds failed: look at one with --seed SEED, perhaps with --shrink");
        return ExitCode::FAILURE;
    }
    println!("{count} seeds: every promise was kept");
    ExitCode::SUCCESS
}
