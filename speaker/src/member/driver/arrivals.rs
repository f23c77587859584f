//! What was read, for the core.

use super::Driver;
use crate::member::clocks::now;
use crate::member::frames::{self, Sound};
use crate::member::sockets::{Arrival, Inbox};
use herald_core::announce::Verdict;
use herald_core::names::IfIndex;
use std::time::Instant;

impl Driver {
    pub(super) fn take(&mut self, arrival: Arrival) {
        let inbox = std::mem::take(&mut self.inbox);
        match arrival {
            Arrival::Beats(link) => self.take_beats(link, &inbox),
            Arrival::Frames(link) => {
                // A speaker that has slept finds that out before it answers anybody.
                self.keep_time();
                for arrival in inbox.batch.arrivals() {
                    self.take_frame(link, arrival.bytes, arrival.received);
                }
            }
        }
        self.inbox = inbox;
    }

    pub(super) fn take_beats(&mut self, link: IfIndex, inbox: &Inbox) {
        for arrival in inbox.batch.arrivals() {
            let Some(source) = arrival.source else { continue };
            match self.keys.open(arrival.bytes, &self.node, now()) {
                Ok(envelope) => {
                    self.metrics.beats().received();
                    self.core.handle_envelope(link, source, envelope, arrival.received, now());
                }
                Err(error) => {
                    tracing::trace!(link = link.0, %source, %error, "a heartbeat was dropped");
                    self.metrics.beats().dropped(error.reason());
                }
            }
        }
        for address in &inbox.refusals {
            self.metrics.beats().refused();
            if let Some(node) = self.peers.get(&(link, *address)) {
                self.core.handle_refused(link, node, now());
            }
        }
    }

    fn take_frame(&mut self, link: IfIndex, frame: &[u8], received: Instant) {
        let heard = match frames::heard(frame) {
            Ok(heard) => heard,
            Err(error) => {
                tracing::trace!(link = link.0, %error, "dropped");
                return self.metrics.malformed(error.reason());
            }
        };
        match heard {
            Sound::Resolution(heard) => {
                if heard.is_translated() {
                    self.metrics.translated();
                }
                let verdict = self.core.handle_frame(link, &heard, received, now());
                self.metrics.received(verdict);
                if verdict == Verdict::Answered {
                    self.carry_out();
                    self.metrics.answered_after(now().saturating_duration_since(received));
                }
            }
            Sound::Echo { from, mac } => {
                self.metrics.beats().echoed();
                self.core.handle_echo(link, from, mac, received, now());
            }
        }
    }
}
