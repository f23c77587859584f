//! A run in the lab in the form in which [`crate::invariants`] judges it: frames of the switch, what clients saw, what their
//! neighbour tables said, and what was broken and when.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::observer::Observed;
use super::wire::asserted;
use crate::invariants::{ANYTHING, Client, Fault, Limits, Plan, Record, Sighting, Way, What};
use crate::lab::topology::LAN_INTERFACE;
use crate::lab::{Frame, Lab, Running};

/// A run that goes on.
#[derive(Debug)]
pub struct Trial {
    start: SystemTime,
    vips: BTreeSet<Vip>,
    record: Record,
}

impl Trial {
    /// Begins now. Only frames about these VIPs matter.
    ///
    /// # Errors
    /// Never; a node's Ethernet address is one.
    pub fn begin(lab: &Lab, vips: impl IntoIterator<Item = Vip>) -> Result<Self> {
        let mut record = Record { limits: lenient(), ..Record::default() };
        for node in lab.nodes() {
            let mac = node.addresses().mac().parse().context("a node's Ethernet address")?;
            record.members.insert(mac, node.name().to_owned());
        }
        Ok(Self { start: now(), vips: vips.into_iter().collect(), record })
    }

    /// The moment it began, by the clock that frames carry.
    pub fn start(&self) -> SystemTime {
        self.start
    }

    /// How long it goes on already.
    pub fn elapsed(&self) -> Duration {
        self.since_start(now())
    }

    /// The Ethernet address of a node.
    fn mac(&self, node: &str) -> Option<MacAddr> {
        self.record.members.iter().find(|(_, name)| *name == node).map(|(mac, _)| *mac)
    }

    /// Something is broken now, until [`Trial::mended`]; clients and newcomers may be without an answer for so long, or for
    /// as long as they may be anyway.
    pub fn broken(&mut self, node: &str, what: Breakage, outage: Duration, silence: Duration) {
        let anyway = self.record.limits.answer;
        self.record.faults.push(Fault {
            name: format!("{what:?} of {node}"),
            from: self.elapsed(),
            until: ANYTHING,
            victim: self.mac(node),
            moves: what.moves(),
            splits: what.splits(),
            silence: silence.saturating_sub(anyway),
            outage: outage.saturating_sub(anyway),
        });
    }

    /// A node's speaker was stopped since that moment, and goes on now: for so long newcomers may have waited, and not more
    /// than a moment longer. Nothing may move because of it.
    pub fn was_stopped(&mut self, node: &str, since: Duration) {
        let until = self.elapsed();
        self.record.faults.push(Fault {
            name: format!("a stop of {node}"),
            from: since,
            until,
            victim: self.mac(node),
            moves: false,
            splits: false,
            silence: until.saturating_sub(since),
            outage: Duration::ZERO,
        });
    }

    /// What was broken last is whole again.
    pub fn mended(&mut self) {
        let now = self.elapsed();
        if let Some(fault) = self.record.faults.last_mut() {
            fault.until = now;
        }
    }

    /// From now on, for a while, what a node announces is expected to move away from it.
    pub fn planned(&mut self, from: Option<&str>, within: Duration) {
        let from = from.and_then(|node| self.mac(node));
        let at = self.elapsed();
        self.record.plans.push(Plan { at, until: at + within, vip: None, from, to: None, elective: false });
    }

    /// What a client saw of a VIP.
    pub fn saw(&mut self, client: Client, way: Way, vip: Vip, observed: &Observed) {
        for attempt in &observed.attempts {
            let what = What::Attempt { client, way, answered: attempt.answer.is_ok() };
            self.record.sightings.push(Sighting { at: self.since_start(attempt.at), vip, what });
        }
    }

    /// How a client's neighbour table changed.
    pub fn learned(&mut self, client: Client, changes: &[Change]) {
        for change in changes.iter().filter(|change| self.vips.contains(&change.vip)) {
            let what = What::Entry { client, mac: change.mac };
            self.record.sightings.push(Sighting { at: self.since_start(change.at), vip: change.vip, what });
        }
    }

    /// It ends with these frames, and is put down for the judge.
    pub fn record(mut self, frames: &[Frame]) -> Record {
        for frame in frames.iter().filter(|frame| frame.at >= self.start) {
            let Some(said) = asserted(frame) else { continue };
            let Ok(vip) = Vip::new(said.address) else { continue };
            if self.vips.contains(&vip) {
                let what = What::Assertion { mac: said.mac, to_all: said.to_all };
                self.record.sightings.push(Sighting { at: self.since_start(frame.at), vip, what });
            }
        }
        self.record.end = self.elapsed();
        self.record
    }

    fn since_start(&self, at: SystemTime) -> Duration {
        at.duration_since(self.start).unwrap_or_default()
    }
}

/// What kinds of breakage there are, by what they excuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// A node is gone with all on it.
    Death,
    /// A node is cut off from others, fully or in one direction, and goes on by itself.
    Cut,
    /// A speaker is gone, stopped for long or starved for long: its node's VIPs may move.
    Speaker,
    /// Something that must move nothing.
    Nuisance,
}

impl Breakage {
    fn moves(self) -> bool {
        self != Self::Nuisance
    }

    fn splits(self) -> bool {
        self == Self::Cut
    }
}

/// What Herald promises, and what two cores that a whole cluster shares add to it.
fn lenient() -> Limits {
    let promised = Limits::default();
    Limits {
        planned_overlap: promised.planned_overlap * 3,
        overlap: promised.overlap * 2,
        heal: promised.heal * 3,
        answer: Duration::from_millis(400),
        learn: promised.learn * 4,
        ..promised
    }
}

/// A change of a neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// Of which entry.
    pub vip: Vip,
    /// What it says; nothing if it is gone, or not known yet.
    pub mac: Option<MacAddr>,
}

/// A host's neighbour table is watched, as its kernel tells it.
#[derive(Debug)]
pub struct Neighbours {
    watching: Running,
}

impl Neighbours {
    /// Starts it.
    pub fn watch(lab: &Lab, host: &str) -> Result<Self> {
        let command = ["env", "TZ=UTC", "ip", "-timestamp", "-oneline", "monitor", "neigh", "dev", LAN_INTERFACE];
        Ok(Self { watching: lab.start(host, &command)? })
    }

    /// Ends it; what has changed meanwhile.
    pub async fn stop(self) -> Result<Vec<Change>> {
        let said = self.watching.stop().await?;
        Ok(said.stdout.lines().filter_map(change).collect())
    }
}

/// From a line such as `[2026-11-21T12:00:00.123456] 192.0.2.100 dev eth0 lladdr 02:00:5e:10:00:01 REACHABLE`.
fn change(line: &str) -> Option<Change> {
    let (at, entry) = line.strip_prefix('[')?.split_once("] ")?;
    let at: SystemTime = at.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().into();
    let (gone, entry) = entry.strip_prefix("Deleted ").map_or((false, entry), |entry| (true, entry));
    let mut words = entry.split_whitespace();
    let vip = Vip::new(words.next()?.parse().ok()?).ok()?;
    let mac = words.skip_while(|word| *word != "lladdr").nth(1).and_then(|mac| mac.parse().ok());
    Some(Change { at, vip, mac: mac.filter(|_| !gone) })
}

#[expect(clippy::disallowed_methods, reason = "frames carry the time of this clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_about_neighbours_are_read() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let vip = Vip::new("192.0.2.100".parse().unwrap()).unwrap();
        let mac = Some(MacAddr([2, 0, 0x5e, 0x10, 0, 1]));
        let line = "[1970-01-01T00:00:01.500000] 192.0.2.100 dev eth0 lladdr 02:00:5e:10:00:01 REACHABLE";
        assert_eq!(change(line), Some(Change { at, vip, mac }));
        let line = "[1970-01-01T00:00:01.500000] Deleted 192.0.2.100 dev eth0 lladdr 02:00:5e:10:00:01 STALE";
        assert_eq!(change(line), Some(Change { at, vip, mac: None }));
        assert_eq!(
            change("[1970-01-01T00:00:01.500000] 192.0.2.100 dev eth0  FAILED"),
            Some(Change { at, vip, mac: None })
        );
        assert_eq!(change("Timestamp: Sat"), None);
    }
}
