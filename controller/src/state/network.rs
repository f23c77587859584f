//! What speakers heard when they asked the network for addresses that nobody had: which of them are known to be free, and
//! which somebody else has.

use crate::records::Finding;
use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long an answer, or that there was none, counts.
const VALID: SignedDuration = SignedDuration::from_mins(10);

/// What speakers heard.
#[derive(Debug, Default)]
pub struct Network {
    /// When an address was last found silent.
    silences: BTreeMap<Vip, Timestamp>,
    /// When somebody last answered for an address, and with which Ethernet address.
    answers: BTreeMap<Vip, (Timestamp, MacAddr)>,
    /// Addresses in use that somebody else answers for.
    conflicts: BTreeSet<Vip>,
    /// Addresses that were given back because of that, and when: the next Service need not find out the same.
    given_back: BTreeMap<Vip, Timestamp>,
    /// Addresses that were announced once: people know them by now, so they stay with their Services.
    announced: BTreeSet<Vip>,
    changed: bool,
    /// When the first of what counts ceases to.
    expires: Option<Timestamp>,
    /// When the last review was.
    reviewed: Timestamp,
}

impl Network {
    /// Takes what all speakers say.
    pub fn hear<'a>(&mut self, speakers: impl Iterator<Item = &'a BTreeMap<Vip, Finding>>) {
        let (mut silences, mut answers) = (BTreeMap::new(), BTreeMap::new());
        for (vip, Finding { at, answer }) in speakers.flatten() {
            match answer {
                None => {
                    let latest = silences.entry(*vip).or_insert(*at);
                    *latest = (*latest).max(*at);
                }
                Some(mac) => {
                    let latest = answers.entry(*vip).or_insert((*at, *mac));
                    *latest = (*latest).max((*at, *mac));
                }
            }
        }
        self.changed |= (&silences, &answers) != (&self.silences, &self.answers);
        (self.silences, self.answers) = (silences, answers);
    }

    /// Notes whether somebody else answers for an address in use.
    pub(super) fn set_conflict(&mut self, vip: Vip, conflict: bool) {
        let differs = if conflict { self.conflicts.insert(vip) } else { self.conflicts.remove(&vip) };
        self.changed |= differs;
    }

    /// Notes that an address is in use no more.
    pub(super) fn free(&mut self, vip: Vip) {
        if self.conflicts.remove(&vip) {
            self.given_back.insert(vip, self.reviewed);
            self.changed = true;
        }
        self.set_announced(vip, false);
    }

    /// Notes whether an address in use was ever announced.
    pub(super) fn set_announced(&mut self, vip: Vip, announced: bool) {
        let differs = if announced { self.announced.insert(vip) } else { self.announced.remove(&vip) };
        self.changed |= differs && (self.answers.contains_key(&vip) || self.conflicts.contains(&vip));
    }

    /// Who answered for the address, if that still counts.
    pub fn answer(&self, vip: Vip, now: Timestamp) -> Option<MacAddr> {
        self.answers.get(&vip).filter(|(at, _)| is_valid(*at, now)).map(|(_, mac)| *mac)
    }

    /// The addresses that nobody answers for, and those that somebody else has and nobody got to know as a Service's.
    /// `None`: the same as the last time.
    pub fn review(&mut self, now: Timestamp) -> Option<(BTreeSet<Vip>, BTreeSet<Vip>)> {
        self.reviewed = now;
        if !self.changed && self.expires.is_none_or(|end| now < end) {
            return None;
        }
        self.changed = false;
        let answered = self.answers.iter().filter(|(_, (at, _))| is_valid(*at, now)).map(|(vip, _)| *vip);
        self.given_back.retain(|_, at| is_valid(*at, now));
        let occupied = answered.chain(self.conflicts.iter().chain(self.given_back.keys()).copied());
        let occupied: BTreeSet<Vip> = occupied.filter(|vip| !self.announced.contains(vip)).collect();
        let silent = self.silences.iter().filter(|(vip, at)| is_valid(**at, now) && !occupied.contains(vip));
        let silent = silent.map(|(vip, _)| *vip).collect();
        let times = self.silences.values().chain(self.answers.values().map(|(at, _)| at));
        let times = times.chain(self.given_back.values());
        let ends = times.filter_map(|at| at.checked_add(VALID).ok());
        self.expires = ends.filter(|end| *end > now).min();
        Some((silent, occupied))
    }
}

/// Clocks of nodes may differ a little: what was heard in the future was heard now.
fn is_valid(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < VALID
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vip(last: u8) -> Vip {
        Vip::new([192, 0, 2, last].into()).unwrap()
    }

    fn at(second: i64, answer: Option<&str>) -> Finding {
        Finding { at: Timestamp::from_second(second).unwrap(), answer: answer.map(|mac| mac.parse().unwrap()) }
    }

    fn now(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_one_speaker_heard_counts_whatever_others_did_not_hear_and_only_for_ten_minutes() {
        let mut network = Network::default();
        let mac = "52:54:00:00:00:09";
        let deaf = BTreeMap::from([(vip(1), at(500, None)), (vip(2), at(500, None)), (vip(3), at(100, None))]);
        let hears = BTreeMap::from([(vip(2), at(400, Some(mac)))]);
        network.hear([&deaf, &hears].into_iter());
        let (silent, occupied) = network.review(now(600)).unwrap();
        assert_eq!((silent, occupied), ([vip(1), vip(3)].into(), [vip(2)].into()));
        assert_eq!(network.answer(vip(2), now(600)), Some(mac.parse().unwrap()));
        assert_eq!(network.review(now(699)), None, "nothing has changed");
        assert_eq!(network.review(now(700)), Some(([vip(1)].into(), [vip(2)].into())));
        assert_eq!(network.review(now(1_000)), Some(([vip(1), vip(2)].into(), [].into())));
        assert_eq!(network.answer(vip(2), now(1_000)), None);
        assert_eq!(network.review(now(1_100)), Some(([].into(), [].into())));
        assert_eq!(network.review(now(9_999)), None);
    }

    #[test]
    fn an_address_in_use_that_somebody_else_answers_for_is_occupied_until_that_ends() {
        let mut network = Network::default();
        network.set_conflict(vip(1), true);
        assert_eq!(network.review(now(0)), Some(([].into(), [vip(1)].into())));
        network.set_conflict(vip(1), true);
        assert_eq!(network.review(now(1)), None);
        network.set_announced(vip(1), true);
        assert_eq!(network.review(now(2)), Some(([].into(), [].into())), "its Service keeps it");
        network.set_announced(vip(1), false);
        network.set_conflict(vip(1), false);
        assert_eq!(network.review(now(3)), Some(([].into(), [].into())));
    }

    #[test]
    fn an_address_that_was_given_back_because_of_somebody_else_is_avoided_for_ten_minutes() {
        let mut network = Network::default();
        network.set_conflict(vip(1), true);
        network.review(now(50));
        network.free(vip(1));
        network.free(vip(2));
        assert_eq!(network.review(now(51)), Some(([].into(), [vip(1)].into())));
        assert_eq!(network.review(now(649)), None);
        assert_eq!(network.review(now(650)), Some(([].into(), [].into())));
    }
}
