//! The [`Detector`]: what it is told, and when it acts. What it makes of messages is in `hearing`, what it makes of
//! silence in `inquest`, whether it is cut off itself in `isolation`.

use super::gateway::Gateways;
use super::message::{Body, Echo, Envelope, Incarnation, Life, Obituary, State};
use super::record::Record;
use super::ring::Ring;
use super::{Counts, Effect, Inquiry, Peer, Profile, Standing, Witness};
use crate::announce::schedule::after;
use crate::names::NodeName;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Everything that is to be known by all is said so often.
pub(super) const TIMES: u8 = 3;

/// Judges the peers of one segment, and lets them judge this node.
///
/// Knows neither sockets nor clocks: inputs are `set_*` and `handle_*`, outputs are [`Effect`]s to be polled until there is
/// none, and [`Detector::next_deadline`] says when to call [`Detector::handle_timeout`]. What has arrived must be handed over
/// before that call: only then does silence mean something.
#[derive(Debug)]
pub struct Detector {
    pub(super) voice: Voice,
    pub(super) records: BTreeMap<NodeName, Record>,
    ring: Ring,
    pub(super) gateways: Gateways,
    pub(super) carrier: bool,
    broadcasts: VecDeque<Broadcast>,
    next_beat: Instant,
    beats: u64,
    /// After a change to a slower profile, the beats of the former one go on until then.
    hurry: Option<(Instant, Duration)>,
    /// Never later than when something is due.
    pub(super) deadline: Instant,
    /// When lateness was felt last.
    pub(super) felt: Option<Instant>,
    /// After having been late, nobody is judged until then.
    pub(super) clouded_until: Option<Instant>,
    /// Silence counts from then at the earliest.
    pub(super) listening_since: Instant,
    pub(super) witness: Witness,
    pub(super) isolation: super::isolation::Isolation,
    pub(super) out: Out,
}

/// What this node says of itself in every message.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) me: NodeName,
    pub(super) incarnation: Incarnation,
    pub(super) state: State,
    pub(super) profile: Profile,
    pub(super) digest: u64,
}

/// What goes out.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) effects: VecDeque<Effect>,
    pub(super) counts: Counts,
}

impl Out {
    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn ask(&mut self, inquiry: Inquiry) {
        self.counts.inquiries = self.counts.inquiries.saturating_add(1);
        self.push(Effect::Ask(inquiry));
    }
}

/// Something that all shall know, with the times it is still to be said.
#[derive(Debug)]
struct Broadcast {
    body: Body,
    due: Instant,
    left: u8,
}

impl Voice {
    /// Says something to a peer.
    pub(super) fn say(&self, to: &NodeName, record: &mut Record, body: Body, now: Instant, out: &mut Out) {
        let envelope = self.envelope(record, record.echo(), body, now);
        out.counts.sent = out.counts.sent.saturating_add(1);
        out.push(Effect::Send { to: to.clone(), address: record.address, envelope });
    }

    /// Answers a message of a life that has to prove itself: the echo is what it needs for that.
    pub(super) fn answer(&self, from: IpAddr, heard: &Envelope, record: &mut Record, now: Instant, out: &mut Out) {
        let echo = Echo { life: heard.incarnation.life, sequence: heard.sequence };
        let envelope = self.envelope(record, Some(echo), Body::Beat, now);
        out.counts.sent = out.counts.sent.saturating_add(1);
        out.push(Effect::Send { to: heard.from.clone(), address: from, envelope });
    }

    fn envelope(&self, record: &mut Record, echo: Option<Echo>, body: Body, now: Instant) -> Envelope {
        Envelope {
            from: self.me.clone(),
            incarnation: self.incarnation,
            sequence: record.sent.number(now, self.profile.beat),
            echo,
            beating: record.on_ring.is_some(),
            state: self.state,
            profile: self.profile,
            digest: self.digest,
            body,
        }
    }
}

impl Detector {
    /// A detector of a node in a life (not 0), which knows of no peer and has carrier.
    pub fn new(me: NodeName, life: Life, profile: Profile, now: Instant) -> Self {
        let voice =
            Voice { me, incarnation: Incarnation { life, refutation: 0 }, state: State::default(), profile, digest: 0 };
        let next_beat = after(now, profile.beat);
        Self {
            ring: Ring::new([&voice.me]),
            voice,
            records: BTreeMap::new(),
            gateways: Gateways::default(),
            carrier: true,
            broadcasts: VecDeque::new(),
            next_beat,
            beats: 0,
            hurry: None,
            deadline: next_beat,
            felt: None,
            clouded_until: None,
            listening_since: now,
            witness: Witness { majority: true, gateway: super::Gateway::Unknown, passive: false },
            isolation: super::isolation::Isolation::new(now),
            out: Out::default(),
        }
    }

    /// Who else is on the segment. New ones are greeted at once, others forgotten.
    pub fn set_peers(&mut self, peers: &BTreeMap<NodeName, Peer>, now: Instant) {
        let before = self.records.len();
        self.records.retain(|node, _| peers.contains_key(node));
        let mut changed = self.records.len() != before;
        for (node, peer) in peers.iter().filter(|(node, _)| **node != self.voice.me) {
            if let Some(record) = self.records.get_mut(node) {
                if record.peer != *peer {
                    record.peer = *peer;
                    record.address = peer.address;
                }
                continue;
            }
            let record = self.records.entry(node.clone()).or_insert_with(|| Record::new(*peer, now));
            record.owed = TIMES;
            changed = true;
        }
        if changed {
            self.ring = Ring::new(self.records.keys().chain([&self.voice.me]));
            self.order(now);
            self.pay(now);
            self.go_on(now);
        }
    }

    /// How fast silence is to be noticed. Peers are told at once; until they know, a slower one's beats come as fast as
    /// before.
    pub fn set_profile(&mut self, profile: Profile, now: Instant) {
        if self.voice.profile == profile {
            return;
        }
        let former = std::mem::replace(&mut self.voice.profile, profile);
        if former.beat < profile.beat {
            self.hurry = Some((after(now, former.patience().saturating_mul(2)), former.beat));
        }
        self.next_beat = self.next_beat.min(after(now, profile.beat));
        self.tell_state(now);
    }

    /// What this node says of itself, but for what the detector knows best. Peers are told at once, three times.
    pub fn set_state(&mut self, state: State, now: Instant) {
        let State { degraded, cut_off, .. } = self.voice.state;
        let state = State { degraded, cut_off, ..state };
        if self.voice.state != state {
            self.voice.state = state;
            self.tell_state(now);
        }
    }

    /// The digest of all claims that this node knows, for the next messages.
    pub fn set_digest(&mut self, digest: u64) {
        self.voice.digest = digest;
    }

    /// The segment's gateways, whose answers show that this node is connected.
    pub fn set_gateways(&mut self, gateways: &BTreeSet<IpAddr>, now: Instant) {
        self.gateways.set(gateways, now);
        self.go_on(now);
    }

    /// Says something to one peer, once. Nothing happens when it is not known here.
    pub fn send(&mut self, to: &NodeName, body: Body, now: Instant) {
        if let Some(record) = self.records.get_mut(to) {
            self.voice.say(to, record, body, now, &mut self.out);
        }
    }

    /// Says something to all peers that may hear it, at once and twice again.
    pub fn tell_all(&mut self, body: Body, now: Instant) {
        self.tell_once(&body, now);
        let due = after(now, self.between());
        self.broadcasts.push_back(Broadcast { body, due, left: TIMES.saturating_sub(1) });
        self.deadline = self.deadline.min(due);
    }

    fn tell_once(&mut self, body: &Body, now: Instant) {
        for (node, record) in &mut self.records {
            // The accused shall hear it too, so that it can refute it.
            let may_hear = !matches!(record.standing, Standing::Gone { .. } | Standing::Dead { .. } | Standing::Left);
            if may_hear || accuses(body, node) {
                self.voice.say(node, record, body.clone(), now, &mut self.out);
            }
        }
    }

    /// Between the repetitions of what all shall know.
    fn between(&self) -> Duration {
        self.voice.profile.beat.checked_div(2).unwrap_or_default()
    }

    /// Shows its state to everybody, now and with the next beats.
    pub(super) fn tell_state(&mut self, now: Instant) {
        self.show_state(now);
        self.go_on(now);
    }

    pub(super) fn show_state(&mut self, now: Instant) {
        for record in self.records.values_mut() {
            record.owed = TIMES;
        }
        self.pay(now);
    }

    /// Greets those to whom something is owed at once.
    fn pay(&mut self, now: Instant) {
        for (node, record) in self.records.iter_mut().filter(|(_, record)| record.owed == TIMES) {
            record.owed = record.owed.saturating_sub(1);
            self.voice.say(node, record, Body::Beat, now, &mut self.out);
        }
    }

    /// How a peer stands; `Unheard` for one that is not known here.
    pub fn standing(&self, node: &NodeName) -> Standing {
        self.records.get(node).map_or(Standing::Unheard, |record| record.standing)
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = (&NodeName, Standing)> {
        self.records.iter().map(|(node, record)| (node, record.standing))
    }

    /// The digest of all claims that a peer has named last; `None` until it is heard.
    pub fn digest(&self, node: &NodeName) -> Option<u64> {
        self.records.get(node)?.presence.as_ref().map(|presence| presence.digest)
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.out.counts
    }

    /// The next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.out.effects.pop_front()
    }

    /// When to call [`Detector::handle_timeout`] at the latest. There always is such a time.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    /// Does what is due. Everything that has arrived by now must have been handed over before.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.feel(now);
        self.clear_up(now);
        if now >= self.next_beat {
            self.beat(now);
        }
        self.repeat(now);
        self.judge(now);
        self.go_on(now);
    }

    fn beat(&mut self, now: Instant) {
        for (node, record) in self.records.iter_mut().filter(|(_, record)| record.is_beaten()) {
            record.owed = record.owed.saturating_sub(1);
            let body = accusation(node, record);
            self.voice.say(node, record, body, now, &mut self.out);
        }
        self.beats = self.beats.wrapping_add(1);
        let hurried = self.hurry.filter(|(until, _)| now < *until).map(|(_, beat)| beat);
        self.hurry = self.hurry.filter(|_| hurried.is_some());
        let beat = hurried.unwrap_or(self.voice.profile.beat);
        let jittered = jitter(beat, self.voice.incarnation.life.0 ^ self.beats);
        let next = after(self.next_beat, jittered);
        self.next_beat = if next > now { next } else { after(now, jittered) };
    }

    fn repeat(&mut self, now: Instant) {
        let between = self.between();
        for _ in 0..self.broadcasts.len() {
            let Some(mut broadcast) = self.broadcasts.pop_front() else { break };
            if broadcast.due <= now {
                self.tell_once(&broadcast.body, now);
                broadcast.left = broadcast.left.saturating_sub(1);
                broadcast.due = after(now, between);
            }
            if broadcast.left > 0 {
                self.broadcasts.push_back(broadcast);
            }
        }
    }

    /// Finds this node's neighbours anew: somebody has come, gone, fallen or risen.
    pub(super) fn order(&mut self, now: Instant) {
        let takes_part = |node: &NodeName| self.records.get(node).is_some_and(|record| record.standing.takes_part());
        let is_there = |node: &NodeName| self.records.get(node).is_some_and(|record| record.standing != Standing::Left);
        let neighbours = self.ring.neighbours(&self.voice.me, takes_part);
        let knocked = self.ring.neighbours(&self.voice.me, is_there);
        for (node, record) in &mut self.records {
            let was_on_ring = record.on_ring.is_some();
            record.on_ring = neighbours.contains(node).then(|| record.on_ring.unwrap_or(now));
            record.knocked = knocked.contains(node) && record.standing.fallen_since().is_some();
            if was_on_ring && record.on_ring.is_none() {
                record.owed = record.owed.max(TIMES); // so that it learns that it need not wait for our beats
            }
        }
    }

    /// Takes note of what follows from a change, and of when something is due next.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.feel(now);
        self.bear_witness(now);
        let broadcasts = self.broadcasts.iter().map(|broadcast| broadcast.due);
        let others = [self.clouded_until, self.next_judgement(), self.next_doubt(now)].into_iter().flatten();
        // What is overdue is due now: it must not look as if this node were late for it.
        self.deadline = broadcasts.chain(others).fold(self.next_beat, Instant::min).max(now);
    }
}

/// What a fallen peer is told with every knock, so that it can refute it.
fn accusation(node: &NodeName, record: &Record) -> Body {
    let Some(incarnation) = record.condemned else { return Body::Beat };
    let obituary = vec![Obituary { node: node.clone(), incarnation }];
    match record.standing {
        Standing::Dead { .. } => Body::Dead(obituary),
        Standing::Gone { .. } => Body::Gone(obituary),
        _ => Body::Beat,
    }
}

/// Whether something said is about that node.
fn accuses(body: &Body, node: &NodeName) -> bool {
    match body {
        Body::Dead(obituaries) | Body::Gone(obituaries) | Body::Starved(obituaries) => {
            obituaries.iter().any(|obituary| obituary.node == *node)
        }
        _ => false,
    }
}

/// A beat, 10 % shorter or longer, so that nodes don't fall into step. The output mix of SplitMix64 spreads the numbers.
fn jitter(beat: Duration, number: u64) -> Duration {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let percent = (mixed ^ (mixed >> 31)).checked_rem(21).and_then(|spread| u32::try_from(spread).ok()).unwrap_or(10);
    beat.saturating_mul(percent.saturating_add(90)).checked_div(100).unwrap_or(beat)
}
