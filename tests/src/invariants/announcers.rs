//! I1 and I2: one announcer.

use std::time::Duration;

use herald_core::mac::MacAddr;

use super::tenancy::Reason;
use super::{Case, Fault, Rule, Violation, What};

/// One that comes back so soon after another took its place has never stopped.
const NEVER_STOPPED: Duration = Duration::from_secs(2);

/// A stranger that asserted it within this time before the first announcement was there to be found.
const STRANGER: Duration = Duration::from_secs(1);

pub(super) fn judge(case: &Case<'_>, found: &mut Vec<Violation>) {
    taken(case, found);
    remains(case, found);
    both(case, found);
    for fault in &case.record.faults {
        if fault.splits {
            healed(case, fault, found);
        }
    }
}

/// Nobody begins with an address that a stranger answers for.
fn taken(case: &Case<'_>, found: &mut Vec<Violation>) {
    let Some(first) = case.tenancies.first() else { return };
    let since = first.from.saturating_sub(STRANGER);
    let stranger = case.sightings.iter().find_map(|sighting| match sighting.what {
        What::Assertion { mac, .. } if (since..first.from).contains(&sighting.at) => Some(mac),
        _ => None,
    });
    if let Some(mac) = stranger {
        let text = format!("{} begins to assert it although {mac} has it", case.record.name(first.mac));
        found.push(case.violation(Rule::OneAnnouncer, first.from, text));
    }
}

/// A planned move that went without any disturbance leaves less time to the old owner than any other.
fn remains(case: &Case<'_>, found: &mut Vec<Violation>) {
    let record = case.record;
    for (old, new) in case.tenancies.iter().zip(case.tenancies.iter().skip(1)) {
        let Some(Reason::Plan(plan)) = record.reasons(case.vip, (old.mac, new.mac), new.from).next() else { continue };
        let disturbed = record.faults.iter().any(|fault| fault.touches(plan.at, new.from, record.limits.settle));
        let over = new.remains.map_or(Duration::ZERO, |last| last.saturating_sub(new.from));
        if !disturbed && over > record.limits.planned_overlap {
            let text = format!(
                "{} still asserts it {} ms after the first frame of {}, which took it over as planned",
                record.name(old.mac),
                over.as_millis(),
                record.name(new.mac)
            );
            found.push(case.violation(Rule::OneAnnouncer, new.from + over, text));
        }
    }
}

/// The tenant before the last one is there again, and nothing called it back.
fn both(case: &Case<'_>, found: &mut Vec<Violation>) {
    let record = case.record;
    for three in case.tenancies.windows(3) {
        let [first, second, third] = three else { continue };
        let back = first.mac == third.mac && third.from.saturating_sub(first.last) < NEVER_STOPPED;
        let excused = record.reasons(case.vip, (second.mac, third.mac), third.from).next().is_some()
            || record.is_split(second.from, third.from, record.limits.settle);
        if back && !excused {
            let text = format!(
                "{} still asserts it {} ms after the first frame of {}",
                record.name(first.mac),
                third.from.saturating_sub(second.from).as_millis(),
                record.name(second.mac)
            );
            found.push(case.violation(Rule::OneAnnouncer, third.from, text));
        }
    }
}

fn healed(case: &Case<'_>, fault: &Fault, found: &mut Vec<Violation>) {
    let (record, limits) = (case.record, &case.record.limits);
    let from = fault.until.saturating_add(limits.heal);
    let next = record.faults.iter().filter(|other| other.splits && other.until > fault.until).map(|other| other.from);
    let to = next.min().unwrap_or(record.end).min(record.end);
    if from >= to {
        return;
    }
    for (old, new) in case.tenancies.iter().zip(case.tenancies.iter().skip(1)) {
        // Later ones are judged as moves.
        let late = new.from >= from && new.from < to.min(fault.until.saturating_add(limits.settle));
        let other_reason = |reason| match reason {
            Reason::Plan(_) => true,
            Reason::Fault(reason) => !reason.splits,
        };
        // Who is right may have trouble of its own.
        let hindered = record.faults.iter().any(|other| {
            !other.splits && other.victim == Some(new.mac) && other.touches(fault.from, new.from, limits.settle)
        });
        if late && !hindered && !record.reasons(case.vip, (old.mac, new.mac), new.from).any(other_reason) {
            let text = format!(
                "{} and then {} asserts it {} ms after the end of {}",
                record.name(old.mac),
                record.name(new.mac),
                new.from.saturating_sub(fault.until).as_millis(),
                fault.name
            );
            found.push(case.violation(Rule::Healed, new.from, text));
        }
    }
    told(case, fault, (from, to), found);
}

/// Who told everybody last must be who answers.
fn told(case: &Case<'_>, fault: &Fault, (from, to): (Duration, Duration), found: &mut Vec<Violation>) {
    let record = case.record;
    let Some(tenant) = case.tenancies.iter().rfind(|tenancy| tenancy.from <= from && tenancy.last >= from) else {
        return;
    };
    let told = case.sightings.iter().rev().find_map(|sighting| match sighting.what {
        What::Assertion { mac, to_all: true } if sighting.at <= tenant.last.min(to) => Some((sighting.at, mac)),
        _ => None,
    });
    // Whoever told it in a split and then fell can't say so to those who didn't hear it before it is back.
    let fell = |mac: MacAddr| {
        let fault_of = |other: &&Fault| !other.splits && other.victim == Some(mac);
        record.faults.iter().filter(fault_of).any(|other| other.touches(fault.from, from, record.limits.settle))
    };
    if let Some((at, mac)) = told
        && mac != tenant.mac
        && record.members.contains_key(&mac)
        && !fell(mac)
    {
        let text = format!(
            "{} asserts it after the end of {}, but {} was the last to tell everybody",
            record.name(tenant.mac),
            fault.name,
            record.name(mac)
        );
        found.push(case.violation(Rule::Healed, at.max(fault.until), text));
    }
}
