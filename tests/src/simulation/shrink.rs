//! The shortest schedule that still fails.

use std::time::Duration;

use super::schedule::{CALM, Schedule};

/// Troubles shorter than this are not made shorter.
const SHORT: Duration = Duration::from_millis(50);

/// Leaves out and shortens troubles, VIPs and nodes one by one as long as the schedule still fails.
pub fn shrink(schedule: &Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut best = schedule.clone();
    while let Some(better) = simpler(&best).into_iter().find(|candidate| fails(candidate)) {
        best = better;
    }
    best
}

/// Schedules a little simpler than this one, the greatest simplifications first.
fn simpler(schedule: &Schedule) -> Vec<Schedule> {
    let mut found = Vec::new();
    for index in 0..schedule.acts.len() {
        let mut without = schedule.clone();
        without.acts.remove(index);
        found.push(fit(without));
    }
    if schedule.vips > 1 && schedule.acts.iter().all(|act| act.trouble.needs_vips() < schedule.vips) {
        found.push(Schedule { vips: schedule.vips - 1, ..schedule.clone() });
    }
    if schedule.nodes > 2 && schedule.acts.iter().all(|act| act.trouble.needs_nodes() < schedule.nodes) {
        found.push(Schedule { nodes: schedule.nodes - 1, ..schedule.clone() });
    }
    for index in 0..schedule.acts.len() {
        let mut shorter = schedule.clone();
        let act = &mut shorter.acts[index];
        let half = act.until.saturating_sub(act.from) / 2;
        if half >= SHORT {
            act.until = act.from + half;
            found.push(fit(shorter));
        }
    }
    found
}

fn fit(mut schedule: Schedule) -> Schedule {
    let last = schedule.acts.iter().map(|act| act.until + CALM).max();
    schedule.length = last.unwrap_or(schedule.length).min(schedule.length);
    schedule
}

#[cfg(test)]
mod tests {
    use super::super::schedule::{Trouble, WARM};
    use super::*;

    #[test]
    fn what_has_nothing_to_do_with_the_failure_is_left_out() {
        let second = Duration::from_secs(1);
        let schedule = Schedule::calm(1, 5)
            .with(Trouble::Kill(0), WARM, WARM + second)
            .with(Trouble::Drain(1), WARM + second, WARM + second * 4)
            .with(Trouble::Power(0), WARM + second * 3, WARM + second * 9);
        let found = shrink(&schedule, |candidate| candidate.acts.iter().any(|act| act.trouble == Trouble::Drain(1)));
        assert_eq!(found.acts.len(), 1);
        assert_eq!((found.nodes, found.vips), (2, 1));
        assert!(found.acts[0].until < found.acts[0].from + SHORT * 2, "{found}");
    }
}
