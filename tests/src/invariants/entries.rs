//! I4: clients' neighbour tables end on the owner.

use std::collections::BTreeMap;
use std::time::Duration;

use herald_core::mac::MacAddr;

use super::{Case, Client, Rule, Violation, What};

pub(super) fn judge(case: &Case<'_>, found: &mut Vec<Violation>) {
    let record = case.record;
    for (index, tenancy) in case.tenancies.iter().enumerate() {
        let Some(told) = tenancy.told_all else { continue };
        let by = told + record.limits.learn;
        let until = case.tenancies.get(index + 1).map_or(record.end, |next| next.from);
        // What everybody may have missed, nobody needs to know.
        let missed =
            record.faults.iter().any(|fault| fault.victim.is_none() && fault.touches(told, by, Duration::ZERO));
        if by > until || missed || record.is_split(told, by, record.limits.settle) {
            continue;
        }
        for (client, mac) in entries(case, by) {
            if mac != tenancy.mac && record.members.contains_key(&mac) {
                let text = format!(
                    "client {} has {} in its neighbour table {} ms after {} announced it to all",
                    client.0,
                    record.name(mac),
                    record.limits.learn.as_millis(),
                    record.name(tenancy.mac)
                );
                found.push(case.violation(Rule::Learnt, by, text));
            }
        }
    }
}

/// What clients' neighbour tables say at a moment.
fn entries(case: &Case<'_>, at: Duration) -> BTreeMap<Client, MacAddr> {
    let mut tables = BTreeMap::new();
    for sighting in case.sightings.iter().take_while(|sighting| sighting.at <= at) {
        match sighting.what {
            What::Entry { client, mac: Some(mac) } => tables.insert(client, mac),
            What::Entry { client, mac: None } => tables.remove(&client),
            _ => None,
        };
    }
    tables
}
