//! Whether this node itself is the one that is cut off, or late.

use super::detector::Detector;
use super::record::Record;
use super::{Effect, Gateway, Standing, Witness};
use crate::announce::schedule::after;
use std::time::{Duration, Instant};

/// Later than that, and what this node hasn't heard is its own fault.
const LATE: Duration = Duration::from_millis(100);

/// The least time for which a node that was late judges nobody.
const CLOUDED: Duration = Duration::from_secs(1);

/// The last contact with anybody.
#[derive(Debug)]
pub(super) struct Isolation {
    contact: Instant,
    /// Nobody was heard for two beats: the gateway is asked often.
    doubts: bool,
}

impl Isolation {
    pub(super) const fn new(now: Instant) -> Self {
        Self { contact: now, doubts: false }
    }

    pub(super) fn note(&mut self, received: Instant) {
        self.contact = self.contact.max(received);
    }
}

impl Detector {
    /// Whether this node has carrier on the segment. Without, everybody is silent for a reason.
    pub fn set_carrier(&mut self, carrier: bool, now: Instant) {
        if self.carrier != carrier {
            self.carrier = carrier;
            self.listening_since = now;
            self.drop_suspicions(now);
            self.go_on(now);
        }
    }

    /// What speaks for this node being connected.
    pub fn witness(&self, now: Instant) -> Witness {
        let known = self.gateways.says();
        let gateway = if self.carrier || known == Gateway::Unknown { known } else { Gateway::Silent };
        let voters = self.voters().count();
        let confirmed = self.voters().filter(|record| self.is_confirmed(record, now)).count();
        let majority = self.carrier && confirmed.saturating_add(1).saturating_mul(2) > voters.saturating_add(1);
        let alone = now >= after(self.isolation.contact, self.slowest(super::Profile::passive_after));
        Witness { majority, gateway, passive: !majority && gateway == Gateway::Silent && (alone || !self.carrier) }
    }

    /// Whether this node must fall silent: neither peers nor the gateway speak for it, and others may act soon.
    pub fn is_passive(&self, now: Instant) -> bool {
        self.witness(now).passive
    }

    /// Whether this node's judgement is clouded because it was late.
    pub fn is_degraded(&self, now: Instant) -> bool {
        self.clouded_until.is_some_and(|until| now < until)
    }

    /// When this node was late last, while its judgement is clouded by that.
    pub fn late_at(&self, now: Instant) -> Option<Instant> {
        self.felt.filter(|_| self.is_degraded(now))
    }

    /// The neighbours that would be heard if all were well. Whose kernel answers, or who is known to have fallen, shows
    /// nothing by being silent.
    fn voters(&self) -> impl Iterator<Item = &Record> {
        let expected = |record: &&Record| match record.standing {
            Standing::Alive(_) | Standing::Suspected | Standing::Dead { confirmed: false, .. } => true,
            Standing::Unheard => record.answered.is_none(),
            Standing::Gone { .. } | Standing::Starved { .. } | Standing::Dead { .. } | Standing::Left => false,
        };
        self.records.values().filter(|record| record.on_ring.is_some() || record.knocked).filter(expected)
    }

    fn is_confirmed(&self, record: &Record, now: Instant) -> bool {
        let within = record.profile(self.voice.profile).passive_after();
        record.is_confirmed(within, self.voice.profile, now)
    }

    /// The longest of a time that the voters' profiles allow.
    fn slowest(&self, time: impl Fn(super::Profile) -> Duration) -> Duration {
        let mine = self.voice.profile;
        self.voters().map(|record| time(record.profile(mine))).fold(time(mine), Duration::max)
    }

    /// Asks the gateway as often as the silence of the others calls for.
    pub(super) fn doubt(&mut self, now: Instant) {
        let silent = now >= self.doubts_from() && self.voters().next().is_some();
        if silent && !self.isolation.doubts {
            self.gateways.urge(now);
        }
        self.isolation.doubts = silent;
        if self.carrier {
            self.gateways.ask(silent, self.voice.profile.beat, now, &mut self.out);
        }
    }

    fn doubts_from(&self) -> Instant {
        after(self.isolation.contact, self.slowest(|profile| profile.beat.saturating_mul(2)))
    }

    pub(super) fn next_doubt(&self, now: Instant) -> Option<Instant> {
        let passive_from = after(self.isolation.contact, self.slowest(super::Profile::passive_after));
        let asked = self.gateways.next().filter(|_| self.carrier);
        [Some(self.doubts_from()), Some(passive_from)].into_iter().flatten().filter(|at| *at > now).chain(asked).min()
    }

    /// Reports when what speaks for this node is no longer what it was. One that hears nobody may still be heard: others
    /// must know that it is silent, unless it was only late and hears them in a moment.
    pub(super) fn bear_witness(&mut self, now: Instant) {
        let witness = self.witness(now);
        if self.witness != witness {
            self.witness = witness;
            self.out.push(Effect::Witness);
        }
        let cut_off = witness.passive && (self.clouded_until.is_none() || self.voice.state.cut_off);
        if self.voice.state.cut_off != cut_off {
            self.voice.state.cut_off = cut_off;
            self.show_state(now);
        }
    }

    /// Notices that this node is late, whatever it is called with first.
    pub(super) fn feel(&mut self, now: Instant) {
        let due = self.felt.map_or(self.deadline, |felt| felt.max(self.deadline));
        let lateness = now.saturating_duration_since(due);
        if lateness <= LATE {
            return;
        }
        self.felt = Some(now);
        self.out.counts.late = self.out.counts.late.saturating_add(1);
        self.out.push(Effect::Woke { lateness });
        if self.clouded_until.is_none() {
            self.out.push(Effect::Degraded(true));
        }
        let until = after(now, lateness.saturating_mul(2).max(CLOUDED));
        self.clouded_until = self.clouded_until.max(Some(until));
        self.voice.state.degraded = true;
        self.listening_since = now;
        self.drop_suspicions(now);
    }

    /// Ends the time after having been late.
    pub(super) fn clear_up(&mut self, now: Instant) {
        if self.clouded_until.is_some_and(|until| until <= now) {
            self.clouded_until = None;
            self.voice.state.degraded = false;
            self.out.push(Effect::Degraded(false));
        }
    }
}
