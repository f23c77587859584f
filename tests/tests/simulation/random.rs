use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use herald_tests::simulation::Schedule;

/// More are played in the soak.
const SEEDS: u64 = 10_000;
/// Schedules in which several troubles at once still break a promise: docs/develop/simulation.md says which. Never to be
/// raised; to be lowered with every fix.
const OPEN: usize = 2;

#[test]
fn of_ten_thousand_random_schedules_no_more_break_a_promise_than_is_known() {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let failed: Vec<String> = thread::scope(|scope| {
        let play = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= SEEDS {
                    return failed;
                }
                if let Some(violation) = Schedule::random(seed).play().violations.first() {
                    failed.push(format!("seed {seed}: {violation}"));
                }
            }
        };
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(play)).collect();
        running.into_iter().flat_map(|worker| worker.join().expect("a worker that ends")).collect()
    });
    assert!(
        failed.len() <= OPEN,
        "{} of {SEEDS} schedules failed; play one again with\n    cargo run --package herald-tests --bin simulate -- --shrink \
         --seed SEED\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 0..20 {
        let schedule = Schedule::random(seed);
        let (once, again) = (schedule.play().record.sightings, schedule.play().record.sightings);
        assert!(once == again, "seed {seed} went differently the second time");
        assert!(once.len() > 100, "seed {seed} shows next to nothing: {} sightings", once.len());
    }
}
