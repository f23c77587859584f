//! I5 and I6: moves happen for a reason, and elective ones are few.

use std::time::Duration;

use super::tenancy::Reason;
use super::{Case, Rule, Violation};

pub(super) fn judge(case: &Case<'_>, found: &mut Vec<Violation>) {
    let record = case.record;
    let mut elective: Vec<Duration> = Vec::new();
    for (index, new) in case.tenancies.iter().enumerate().skip(1) {
        let old = &case.tenancies[index - 1];
        let reasons: Vec<Reason<'_>> = record.reasons(case.vip, (old.mac, new.mac), new.from).collect();
        let is_elective = |reason: &Reason<'_>| matches!(reason, Reason::Plan(plan) if plan.elective);
        match reasons.first() {
            Some(_) if reasons.iter().all(is_elective) => elective.push(new.from),
            Some(_) => {}
            None if record.is_split(new.from, new.from, record.limits.settle) => {}
            None => {
                let back = case.tenancies[..index].iter().any(|earlier| earlier.mac == new.mac);
                let text = format!(
                    "it moved{} from {} to {} without a reason",
                    if back { " back" } else { "" },
                    record.name(old.mac),
                    record.name(new.mac)
                );
                found.push(case.violation(Rule::Still, new.from, text));
            }
        }
    }
    for (first, last) in elective.iter().zip(elective.iter().skip(record.limits.moves)) {
        if last.saturating_sub(*first) < record.limits.moves_within {
            let text = format!(
                "{} elective moves within {} s",
                record.limits.moves + 1,
                last.saturating_sub(*first).as_secs()
            );
            found.push(case.violation(Rule::FewMoves, *last, text));
        }
    }
}
