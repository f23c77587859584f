//! What is known about one peer, and what a message from it is worth.

use super::inquest::Inquest;
use super::message::{Echo, Envelope, Incarnation, Life, Opinion, State};
use super::replay::{Sent, Window};
use super::{Peer, Profile, Standing};
use crate::announce::schedule::after;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Lives remembered as over. A node whose speaker restarts more often than late messages arrive has other troubles.
const SUPERSEDED: usize = 4;

/// What a life of a peer has said.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    pub(super) incarnation: Incarnation,
    pub(super) window: Window,
    pub(super) state: State,
    pub(super) profile: Profile,
    /// It wants to hear from us, and can be held to its own beats.
    pub(super) beating: bool,
    /// The last message that arrived, by the kernel's clock.
    pub(super) heard: Instant,
    /// The last message that showed that ours arrive.
    pub(super) proved: Option<Instant>,
    pub(super) digest: u64,
}

/// What a message is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It is from the life that is known, and new.
    Known,
    /// It is from another life, which hears us now.
    Reborn,
    /// It is from a life that may be over.
    Unproven,
    /// It is from another life that hears us now, while the known one speaks too.
    Double,
    /// It was there before.
    Replayed,
    /// It is from a life that is over.
    Superseded,
}

/// A peer.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) peer: Peer,
    /// Where it was heard last; before that, where it is said to be.
    pub(super) address: IpAddr,
    pub(super) standing: Standing,
    pub(super) presence: Option<Presence>,
    /// Lives that are over, and the number of the last message we had sent when the next one began.
    superseded: VecDeque<(Life, Instant)>,
    /// Another life that showed itself while the known one was heard.
    pub(super) double: Option<Instant>,
    pub(super) sent: Sent,
    /// It is one of our neighbours on the ring of those that take part, since then.
    pub(super) on_ring: Option<Instant>,
    /// It has fallen out, and would be our neighbour if it had not: it is knocked at.
    pub(super) knocked: bool,
    /// So many beats are owed to it even without an edge.
    pub(super) owed: u8,
    /// When a message of an unknown life, or of one that is held dead, was answered last.
    pub(super) replied: Option<Instant>,
    /// Who is held to have fallen out.
    pub(super) condemned: Option<Incarnation>,
    /// Its kernel's last answer.
    pub(super) answered: Option<Instant>,
    /// What this node has found out for others, and when.
    pub(super) finding: Option<(Instant, Opinion)>,
    /// Its kernel's last refusal, as long as nothing was heard since.
    pub(super) refused: Option<Instant>,
    /// Refusals in a row that beats contradicted, and the last one.
    pub(super) contradicted: Option<(u32, Instant)>,
    pub(super) inquest: Option<Inquest>,
    /// Nothing is asked about it before that time.
    pub(super) rest_until: Instant,
    /// Others have been told that it is starved.
    pub(super) starvation_told: bool,
}

impl Record {
    pub(super) fn new(peer: Peer, now: Instant) -> Self {
        Self {
            peer,
            address: peer.address,
            standing: Standing::Unheard,
            presence: None,
            superseded: VecDeque::new(),
            double: None,
            sent: Sent::default(),
            on_ring: None,
            knocked: false,
            owed: 0,
            replied: None,
            condemned: None,
            answered: None,
            finding: None,
            refused: None,
            contradicted: None,
            inquest: None,
            rest_until: now,
            starvation_told: false,
        }
    }

    /// The bounds that hold between us and it.
    pub(super) fn profile(&self, mine: Profile) -> Profile {
        self.presence.as_ref().map_or(mine, |presence| presence.profile.slower(mine))
    }

    /// The incarnation that a verdict about it would be about.
    pub(super) fn incarnation(&self) -> Incarnation {
        self.presence.as_ref().map_or(Incarnation::UNHEARD, |presence| presence.incarnation)
    }

    pub(super) fn heard(&self) -> Option<Instant> {
        self.presence.as_ref().map(|presence| presence.heard)
    }

    /// What is echoed to it.
    pub(super) fn echo(&self) -> Option<Echo> {
        let presence = self.presence.as_ref()?;
        Some(Echo { life: presence.incarnation.life, sequence: presence.window.highest() })
    }

    /// Whether it was heard within so many beats before a time.
    pub(super) fn was_heard(&self, beats: u32, mine: Profile, now: Instant) -> bool {
        let span = self.profile(mine).beat.saturating_mul(beats);
        self.heard().is_some_and(|heard| now.saturating_duration_since(heard) < span)
    }

    /// Its last sign of life, by a beat or by its kernel's answer.
    pub(super) fn last_sign(&self) -> Option<Instant> {
        self.heard().max(self.answered)
    }

    /// Whether it heard us when we heard it last: otherwise its silence towards us says little.
    pub(super) fn hears_us(&self, mine: Profile) -> bool {
        let patience = self.profile(mine).patience();
        self.presence.as_ref().is_some_and(|presence| {
            presence.proved.is_some_and(|proved| presence.heard.saturating_duration_since(proved) < patience)
        })
    }

    /// Whether messages pass both ways: it was heard within a time, and then heard us.
    pub(super) fn is_confirmed(&self, within: Duration, mine: Profile, now: Instant) -> bool {
        self.heard().is_some_and(|heard| now.saturating_duration_since(heard) < within) && self.hears_us(mine)
    }

    /// Whether beats go to it.
    pub(super) fn is_beaten(&self) -> bool {
        let wishes = |presence: &Presence| presence.beating && self.standing.takes_part();
        self.on_ring.is_some() || self.knocked || self.owed > 0 || self.presence.as_ref().is_some_and(wishes)
    }

    /// Whether its silence means something: it has promised us beats, or we wait for its first one.
    pub(super) fn is_watched(&self, mine: Profile) -> bool {
        let promised = self.presence.as_ref().is_some_and(|presence| presence.beating) && self.hears_us(mine);
        self.standing.takes_part() && (self.on_ring.is_some() || promised)
    }

    /// Whether a life of it is known to be over.
    pub(super) fn is_over(&self, life: Life) -> bool {
        self.superseded.iter().any(|(over, _)| *over == life)
    }

    /// Whether an echo names what we said within our patience.
    pub(super) fn proves(&self, echo: Option<Echo>, life: Life, mine: Profile, received: Instant) -> bool {
        let patience = self.profile(mine).patience();
        echo.is_some_and(|echo| {
            echo.life == life
                && received.checked_sub(patience).is_none_or(|since| self.sent.is_since(echo.sequence, since))
        })
    }

    /// Judges a message by its life and number, and takes note of the number.
    pub(super) fn weigh(&mut self, envelope: &Envelope, life: Life, mine: Profile, received: Instant) -> Worth {
        let proves = self.proves(envelope.echo, life, mine, received);
        if let Some((_, over)) = self.superseded.iter().find(|(life, _)| *life == envelope.incarnation.life) {
            let speaks =
                envelope.echo.is_some_and(|echo| echo.life == life && self.sent.is_since(echo.sequence, *over));
            return if speaks { Worth::Double } else { Worth::Superseded };
        }
        let is_fresh = self.was_heard(2, mine, received);
        match &mut self.presence {
            Some(presence) if presence.incarnation.life == envelope.incarnation.life => {
                if presence.window.admit(envelope.sequence) { Worth::Known } else { Worth::Replayed }
            }
            _ if !proves => Worth::Unproven,
            Some(_) if is_fresh => {
                self.double.get_or_insert(received);
                Worth::Double
            }
            _ => Worth::Reborn,
        }
    }

    /// Begins anew with another life.
    pub(super) fn begin(&mut self, envelope: &Envelope, received: Instant, now: Instant) {
        if let Some(former) = self.presence.take() {
            if self.superseded.len() >= SUPERSEDED {
                self.superseded.pop_front();
            }
            // Half a second: what was still under way from the life that is over doesn't count as its voice.
            self.superseded.push_back((former.incarnation.life, after(now, Duration::from_millis(500))));
        }
        self.presence = Some(Presence {
            incarnation: envelope.incarnation,
            window: Window::new(envelope.sequence),
            state: envelope.state,
            profile: envelope.profile,
            beating: envelope.beating,
            heard: received,
            proved: Some(received),
            digest: envelope.digest,
        });
        self.double = None;
        self.refused = None;
        self.inquest = None;
        self.starvation_told = false;
    }

    /// Takes note of what the sender says of itself, unless later words of it are known.
    pub(super) fn note(&mut self, envelope: &Envelope, proves: bool, received: Instant) {
        let Some(presence) = &mut self.presence else { return };
        presence.heard = presence.heard.max(received);
        if proves {
            presence.proved = presence.proved.max(Some(received));
        }
        presence.incarnation.refutation = presence.incarnation.refutation.max(envelope.incarnation.refutation);
        if envelope.sequence == presence.window.highest() {
            presence.state = envelope.state;
            presence.profile = envelope.profile;
            presence.beating = envelope.beating;
            presence.digest = envelope.digest;
        }
    }
}
