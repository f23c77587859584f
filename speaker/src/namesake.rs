//! Whether another machine speaks under this node's name, as this node's own `Speaker` object shows: a machine that was
//! cloned with its configuration, or a `--node-name` given twice.
//!
//! Neither hears the other's heartbeats, for nobody sends any to itself. But both write the same object, each with its own
//! interfaces. Owns how that is noticed, what is known of the other one, and that the two don't write against each other:
//! whoever came second leaves the object to the first.

use crate::intake::SpeakerRecord;
use herald_api::convert::ownership;
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long whoever came second leaves the object alone before it looks whether the first is still there.
const LEAVE: Duration = Duration::from_mins(1);
/// While the object names another machine's interfaces, heartbeats go there: it is put right at once so many times.
const AT_ONCE: u32 = 3;
/// And after that, when neither seems to have come second, in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// What is known of another machine of the same name.
#[derive(Clone, Debug, Default)]
pub struct Namesake {
    /// The Ethernet addresses that this node has had since its speaker was started.
    own: BTreeSet<MacAddr>,
    macs: BTreeSet<MacAddr>,
    addresses: BTreeSet<IpAddr>,
    /// The version that was looked at last.
    seen: Option<String>,
    /// The version that this speaker has written over last.
    based_on: Option<String>,
    /// What was first written over was another machine's.
    came_second: bool,
    noticed: Option<Instant>,
    /// Times that it was noticed with less than [`PAUSE`] between them.
    in_a_row: u32,
}

impl Namesake {
    /// Looks at what this node's `Speaker` says. `true`: another machine has written it since this one has.
    pub fn look(&mut self, record: &SpeakerRecord, links: &Links, now: Instant) -> bool {
        self.own.extend(links.values().map(|link| link.mac));
        if links.is_empty() || self.seen.as_ref() == Some(&record.resource_version) {
            return false;
        }
        self.seen = Some(record.resource_version.clone());
        let segments = ownership::segments(&record.status);
        let macs: BTreeSet<MacAddr> = segments.iter().filter_map(|segment| segment.mac).collect();
        if macs.is_empty() || !macs.is_disjoint(&self.own) {
            return false;
        }
        self.macs.extend(macs);
        self.addresses.extend(segments.iter().flat_map(|segment| segment.addresses.iter().copied()));
        let Some(based_on) = &self.based_on else {
            // Perhaps this node with other hardware, or one that is gone.
            self.came_second = true;
            return false;
        };
        // Until the watch shows what was written it shows what was there before.
        let is_new = *based_on != record.resource_version;
        if is_new {
            let goes_on = self.noticed.is_some_and(|last| now.saturating_duration_since(last) < PAUSE);
            self.in_a_row = if goes_on { self.in_a_row.saturating_add(1) } else { 1 };
            self.noticed = Some(now);
        }
        is_new
    }

    /// Takes note that the object is written over, and which version.
    pub fn wrote(&mut self, based_on: &str) {
        self.based_on = Some(based_on.to_owned());
    }

    /// Until when the object is to be left alone; `None`: it may be written.
    pub fn pause(&self, now: Instant) -> Option<Instant> {
        let noticed = self.noticed?;
        let pause = match self.came_second {
            true => LEAVE,
            false if self.in_a_row <= AT_ONCE => return None,
            false => PAUSE,
        };
        noticed.checked_add(pause).filter(|until| now < *until)
    }

    /// The Ethernet addresses of the other machine.
    pub const fn macs(&self) -> &BTreeSet<MacAddr> {
        &self.macs
    }

    /// Where heartbeats reach it.
    pub const fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }
}

#[cfg(test)]
mod tests;
