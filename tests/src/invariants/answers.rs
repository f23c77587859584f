//! I3: how long a client goes without an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use herald_core::mac::MacAddr;

use super::{Case, Client, Fault, Rule, Violation, Way, What};

/// What one client got in one way.
struct Waiting {
    asked_first: Duration,
    answered: Option<Duration>,
}

pub(super) fn judge(case: &Case<'_>, found: &mut Vec<Violation>) {
    let mut clients: BTreeMap<(Client, Way), Waiting> = BTreeMap::new();
    for sighting in case.sightings {
        let What::Attempt { client, way, answered } = sighting.what else { continue };
        let waiting = clients.entry((client, way)).or_insert(Waiting { asked_first: sighting.at, answered: None });
        if answered {
            waiting.judge(case, (client, way), sighting.at, found);
            waiting.answered = Some(sighting.at);
        }
    }
    for (who, waiting) in clients {
        let last = case
            .sightings
            .iter()
            .rev()
            .find(|sighting| matches!(sighting.what, What::Attempt { client, way, .. } if (client, way) == who));
        if let Some(last) = last {
            waiting.judge(case, who, last.at, found);
        }
    }
}

impl Waiting {
    /// An answer at `at`, or the end of asking.
    fn judge(&self, case: &Case<'_>, (client, way): (Client, Way), at: Duration, found: &mut Vec<Violation>) {
        let limits = &case.record.limits;
        let (since, allowed) = match self.answered {
            Some(answered) => (answered, limits.answer),
            None => (self.asked_first, limits.first_answer),
        };
        let gap = at.saturating_sub(since);
        if gap <= allowed {
            return;
        }
        let allowed = allowed.saturating_add(excuse(case, way, since, at));
        if gap > allowed {
            let what = match way {
                Way::Newcomer => "asked who has it and got no answer",
                Way::Traffic => "sent and got no answer",
            };
            let text = format!(
                "client {} {what} for {} ms since {:.3} s; {} ms are allowed",
                client.0,
                gap.as_millis(),
                since.as_secs_f64(),
                allowed.as_millis()
            );
            found.push(case.violation(Rule::Answered, at, text));
        }
    }
}

/// What all faults of this time together excuse: those of whoever announced it when the last answer came, those of everybody
/// who announced it since, unless they were over by then, those of nobody in particular, and splits.
fn excuse(case: &Case<'_>, way: Way, from: Duration, to: Duration) -> Duration {
    let of = |fault: &Fault| match way {
        Way::Newcomer => fault.silence,
        Way::Traffic => fault.outage,
    };
    let first = case.tenancies.iter().rposition(|tenancy| tenancy.from <= from);
    let tenants = || case.tenancies.iter().skip(first.unwrap_or(0)).filter(|tenancy| tenancy.from <= to).enumerate();
    let suffered = |fault: &Fault, victim: MacAddr| {
        tenants().any(|(later, tenancy)| tenancy.mac == victim && (later == 0 || tenancy.from < fault.until))
    };
    let faults = case.record.faults.iter().filter(|fault| {
        let concerned = fault.splits || first.is_none() || fault.victim.is_none_or(|victim| suffered(fault, victim));
        concerned && fault.touches(from, to, case.record.limits.settle)
    });
    faults.map(of).fold(Duration::ZERO, Duration::saturating_add)
}
