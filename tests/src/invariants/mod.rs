//! What must be true of who announces an address, whatever happens: one judge for the simulation and for frames captured
//! in the lab.
//!
//! Owns the rules and the form in which a run is put before them ([`Record`]). Knows neither how frames were captured nor
//! who sent them: only what the wire and the clients saw, which faults there were, and which moves were called for.
//!
//! | rule | file |
//! |---|---|
//! | who announced when, as far as frames tell | `tenancy` |
//! | I1 one announcer, I2 soon after a heal too | `announcers` |
//! | I3 how long a client goes without an answer | `answers` |
//! | I4 clients' neighbour tables end on the owner | `entries` |
//! | I5 few elective moves, I6 no move without a reason, and none back | `moves` |

mod announcers;
mod answers;
mod entries;
mod moves;
mod record;
mod tenancy;
#[cfg(test)]
mod tests;

pub use record::{ANYTHING, Client, Fault, Limits, Plan, Record, Sighting, Way, What};

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use herald_core::address::Vip;

/// Which promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// I1: one MAC address asserts a VIP.
    OneAnnouncer,
    /// I2: soon after a heal there is one announcer, and clients were told last by it.
    Healed,
    /// I3: a client gets answers.
    Answered,
    /// I4: clients' neighbour tables end on the owner.
    Learnt,
    /// I5: elective moves are few.
    FewMoves,
    /// I6: a VIP moves for a reason only, and never back.
    Still,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// When it showed.
    pub at: Duration,
    /// Of which VIP.
    pub vip: Vip,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneAnnouncer => "I1",
            Self::Healed => "I2",
            Self::Answered => "I3",
            Self::Learnt => "I4",
            Self::FewMoves => "I5",
            Self::Still => "I6",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s, {}: {}", self.rule, self.at.as_secs_f64(), self.vip, self.text)
    }
}

impl Record {
    /// All broken promises, by time.
    pub fn violations(&self) -> Vec<Violation> {
        let mut by_vip: BTreeMap<Vip, Vec<Sighting>> = BTreeMap::new();
        for sighting in &self.sightings {
            by_vip.entry(sighting.vip).or_default().push(*sighting);
        }
        let mut found = Vec::new();
        for (vip, mut sightings) in by_vip {
            sightings.sort_by_key(|sighting| sighting.at);
            let tenancies = tenancy::tenancies(self, &sightings);
            let case = Case { record: self, vip, sightings: &sightings, tenancies: &tenancies };
            announcers::judge(&case, &mut found);
            answers::judge(&case, &mut found);
            entries::judge(&case, &mut found);
            moves::judge(&case, &mut found);
        }
        found.sort_by_key(|violation| (violation.at, violation.rule));
        found
    }
}

/// What is known of one VIP.
struct Case<'r> {
    record: &'r Record,
    vip: Vip,
    /// By time.
    sightings: &'r [Sighting],
    /// By time.
    tenancies: &'r [tenancy::Tenancy],
}

impl Case<'_> {
    fn violation(&self, rule: Rule, at: Duration, text: String) -> Violation {
        Violation { rule, at, vip: self.vip, text }
    }
}
