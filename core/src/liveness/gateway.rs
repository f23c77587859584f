//! Whether a gateway answers: a witness that has no part in the cluster.

use super::detector::Out;
use super::{Gateway, Inquiry};
use crate::announce::schedule::after;
use crate::mac::MacAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Between two questions while all is well.
const EVERY: Duration = Duration::from_secs(1);

/// So many questions in a row must go unanswered.
const UNANSWERED: u32 = 3;

/// The gateways of a segment. One that answers is enough.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    known: BTreeMap<IpAddr, Acquaintance>,
    next: Option<Instant>,
    /// Questions of a burst that are still to come.
    burst: u32,
}

#[derive(Debug, Default)]
struct Acquaintance {
    mac: Option<MacAddr>,
    answered: Option<Instant>,
    /// Questions since the last answer.
    unanswered: u32,
    silent: bool,
}

impl Gateways {
    pub(super) fn set(&mut self, addresses: &BTreeSet<IpAddr>, now: Instant) {
        self.known.retain(|address, _| addresses.contains(address));
        for address in addresses {
            self.known.entry(*address).or_insert_with(|| {
                self.next = Some(now);
                Acquaintance::default()
            });
        }
    }

    /// Asks three times within one beat, and then once with every beat until [`Gateways::relax`].
    pub(super) fn urge(&mut self, now: Instant) {
        self.burst = UNANSWERED;
        self.next = Some(now);
        for acquaintance in self.known.values_mut() {
            acquaintance.unanswered = 0;
        }
    }

    /// Asks whenever it is due: once a second, when urged with every beat.
    pub(super) fn ask(&mut self, urged: bool, beat: Duration, now: Instant, out: &mut Out) {
        if self.known.is_empty() || self.next.is_some_and(|next| next > now) {
            return;
        }
        for acquaintance in self.known.values_mut() {
            acquaintance.silent |= acquaintance.unanswered >= UNANSWERED;
        }
        self.ask_now(out);
        let pause = match (self.burst, urged) {
            (0, true) => beat,
            (0, false) => EVERY,
            _ => beat.checked_div(UNANSWERED).unwrap_or(beat),
        };
        self.burst = self.burst.saturating_sub(1);
        self.next = Some(after(now, pause));
    }

    fn ask_now(&mut self, out: &mut Out) {
        for (address, acquaintance) in &mut self.known {
            // One that is silent may have another Ethernet address now.
            let mac = acquaintance.mac.filter(|_| !acquaintance.silent);
            out.ask(Inquiry::Resolve { target: *address, mac, probe: false });
            acquaintance.unanswered = acquaintance.unanswered.saturating_add(1);
        }
    }

    /// Asks besides the schedule, for a fresh answer.
    pub(super) fn ask_besides(&self, out: &mut Out) {
        for (address, acquaintance) in &self.known {
            out.ask(Inquiry::Resolve { target: *address, mac: acquaintance.mac, probe: false });
        }
    }

    pub(super) fn handle_answer(&mut self, address: IpAddr, mac: MacAddr, received: Instant) {
        if let Some(acquaintance) = self.known.get_mut(&address) {
            acquaintance.answered = acquaintance.answered.max(Some(received));
            acquaintance.mac = Some(mac);
            acquaintance.unanswered = 0;
            acquaintance.silent = false;
        }
    }

    pub(super) fn says(&self) -> Gateway {
        let mut heard = self.known.values().filter(|acquaintance| acquaintance.answered.is_some()).peekable();
        if heard.peek().is_none() {
            Gateway::Unknown
        } else if heard.any(|acquaintance| !acquaintance.silent) {
            Gateway::Answers
        } else {
            Gateway::Silent
        }
    }

    pub(super) fn answered_since(&self, time: Instant) -> bool {
        self.known.values().any(|acquaintance| acquaintance.answered >= Some(time))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.next.filter(|_| !self.known.is_empty())
    }
}
