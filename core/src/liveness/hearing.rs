//! What the [`Detector`] makes of messages: signs of life, what others say about others, and what others say about this
//! node.

use super::detector::Detector;
use super::message::{Body, Envelope, Obituary, State};
use super::record::{Record, Worth};
use super::{Effect, Standing};
use crate::announce::schedule::after;
use crate::mac::MacAddr;
use crate::names::NodeName;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many refusals in a row that beats contradict make a packet filter.
const CONTRADICTIONS: u32 = 3;

/// Without a refusal for so long there is none any more.
const FORGIVEN: Duration = Duration::from_secs(10);

impl Detector {
    /// Takes an authentic message that arrived from an address at a time, by the kernel's clock. Gives back what it
    /// carries for others ([`Body::Claims`], [`Body::Digests`], [`Body::Handover`], [`Body::Mismatch`]), if it is to be
    /// believed.
    pub fn handle_envelope(
        &mut self,
        source: IpAddr,
        envelope: Envelope,
        received: Instant,
        now: Instant,
    ) -> Option<Body> {
        self.feel(now);
        let counts = &mut self.out.counts;
        if envelope.from == self.voice.me {
            counts.impostors = counts.impostors.saturating_add(1);
            counts.duplicates = counts.duplicates.saturating_add(1);
            self.out.push(Effect::DuplicateName(envelope.from));
            return None;
        }
        let Some(record) = self.records.get_mut(&envelope.from) else {
            counts.strangers = counts.strangers.saturating_add(1);
            return None;
        };
        let (life, mine) = (self.voice.incarnation.life, self.voice.profile);
        let worth = record.weigh(&envelope, life, mine, received);
        let count = match worth {
            Worth::Known | Worth::Reborn => &mut counts.heard,
            Worth::Unproven => &mut counts.unproven,
            Worth::Replayed => &mut counts.replayed,
            Worth::Superseded | Worth::Double => &mut counts.superseded,
        };
        *count = count.saturating_add(1);
        match worth {
            Worth::Known => self.hear(&envelope, received, now),
            Worth::Reborn => self.welcome(source, &envelope, received, now),
            Worth::Unproven if record.may_reply(mine.beat, now) => {
                self.voice.answer(source, &envelope, record, now, &mut self.out);
                return None;
            }
            Worth::Double if record.is_double(&envelope) => {
                counts.duplicates = counts.duplicates.saturating_add(1);
                self.out.push(Effect::DuplicateName(envelope.from));
                return None;
            }
            Worth::Unproven | Worth::Replayed | Worth::Superseded | Worth::Double => return None,
        }
        self.heed(envelope, now)
    }

    /// Another life of a peer has begun, or its first one.
    fn welcome(&mut self, source: IpAddr, envelope: &Envelope, received: Instant, now: Instant) {
        let Some(record) = self.records.get_mut(&envelope.from) else { return };
        record.begin(envelope, received, now);
        record.address = source;
        self.isolation.note(received);
        self.voice.say(&envelope.from, record, Body::Beat, now, &mut self.out);
        let is_neighbour = record.on_ring.is_some() || envelope.beating;
        self.rise(&envelope.from, now);
        if is_neighbour {
            self.tell_fallen(&envelope.from, now);
            self.out.push(Effect::Met(envelope.from.clone()));
        }
    }

    /// A sign of life of a life that is known.
    fn hear(&mut self, envelope: &Envelope, received: Instant, now: Instant) {
        let mine = self.voice.profile;
        let Some(record) = self.records.get_mut(&envelope.from) else { return };
        let proves = record.proves(envelope.echo, self.voice.incarnation.life, mine, received);
        record.note(envelope, proves, received);
        self.isolation.note(received);
        if record.double.take_if(|double| received > *double).is_some() {
            self.out.counts.duplicates = self.out.counts.duplicates.saturating_add(1);
            self.out.push(Effect::DuplicateName(envelope.from.clone()));
        }
        if record.refused.take_if(|refused| received > *refused).is_some() {
            let times = record.contradicted.map_or(1, |(times, _)| times.saturating_add(1));
            record.contradicted = Some((times, now));
            if times == CONTRADICTIONS {
                self.out.push(Effect::Refusing { node: envelope.from.clone(), refuses: true });
            }
        }
        self.rise(&envelope.from, now);
    }

    /// After a sign of life: whoever was suspected or had fallen stands again, unless it is held dead in this very
    /// incarnation. Then it is told so, and has to refute it.
    pub(super) fn rise(&mut self, node: &NodeName, now: Instant) {
        let Some(record) = self.records.get_mut(node) else { return };
        let Some(presence) = &record.presence else { return };
        let condemned = record.condemned.filter(|condemned| {
            condemned.life == presence.incarnation.life && presence.incarnation.refutation <= condemned.refutation
        });
        let state = presence.state;
        if let (Standing::Dead { .. }, Some(incarnation)) = (record.standing, condemned) {
            if record.may_reply(self.voice.profile.beat, now) {
                let obituary = Obituary { node: node.clone(), incarnation };
                self.voice.say(node, record, Body::Dead(vec![obituary]), now, &mut self.out);
            }
            return;
        }
        let standing = if state.left { Standing::Left } else { Standing::Alive(state) };
        if record.inquest.is_some() {
            self.acquit(node, now);
        }
        self.place(node, standing, now);
    }

    /// Takes note of how a peer stands.
    pub(super) fn place(&mut self, node: &NodeName, standing: Standing, now: Instant) {
        let Some(record) = self.records.get_mut(node) else { return };
        if record.standing == standing {
            return;
        }
        let kind = |standing: Standing| (standing.takes_part(), standing == Standing::Left);
        let moved = kind(record.standing) != kind(standing);
        record.standing = standing;
        if standing.takes_part() {
            record.condemned = None;
            record.starvation_told = false;
        }
        self.out.push(Effect::Changed(node.clone()));
        if moved {
            self.order(now);
        }
        // One more that is alive makes nothing due sooner, and matters to a witness only where too few were.
        if moved || !matches!(standing, Standing::Alive(_)) || !self.witness.majority {
            self.go_on(now);
        }
    }

    /// Acts on what a message carries for the detector, and gives back the rest.
    fn heed(&mut self, envelope: Envelope, now: Instant) -> Option<Body> {
        let from = &envelope.from;
        match envelope.body {
            Body::Beat => {}
            Body::Dead(obituaries) => self.learn(from, &obituaries, Told::Dead, now),
            Body::Gone(obituaries) => self.learn(from, &obituaries, Told::Gone, now),
            Body::Starved(obituaries) => self.learn(from, &obituaries, Told::Starved, now),
            Body::Query(obituary) => self.look_into(from, obituary, now),
            Body::Vote(obituary, opinion) => self.hear_vote(from, &obituary, opinion, now),
            body @ (Body::Claims { .. } | Body::Digests(_) | Body::Handover { .. } | Body::Mismatch(_)) => {
                return Some(body);
            }
        }
        None
    }

    fn learn(&mut self, from: &NodeName, obituaries: &[Obituary], told: Told, now: Instant) {
        for obituary in obituaries {
            if obituary.node == self.voice.me {
                self.refute(from, obituary, now);
            } else {
                self.believe(obituary, told, now);
            }
        }
    }

    /// Somebody holds this node to have fallen: everybody shall know better.
    fn refute(&mut self, from: &NodeName, obituary: &Obituary, now: Instant) {
        let mine = &mut self.voice.incarnation;
        if obituary.incarnation.life == mine.life && obituary.incarnation.refutation >= mine.refutation {
            mine.refutation = obituary.incarnation.refutation.saturating_add(1);
            self.out.counts.refuted = self.out.counts.refuted.saturating_add(1);
            self.tell_state(now);
        } else if let Some(record) = self.records.get_mut(from)
            && record.may_reply(self.voice.profile.beat, now)
        {
            self.voice.say(from, record, Body::Beat, now, &mut self.out);
        }
    }

    /// Takes over what another has found out, unless this node knows better.
    fn believe(&mut self, obituary: &Obituary, told: Told, now: Instant) {
        let mine = self.voice.profile;
        let Some(record) = self.records.get_mut(&obituary.node) else { return };
        let profile = record.profile(mine);
        let (beats, silence) = match told {
            Told::Dead => (2, profile.patience().saturating_add(profile.confirm)),
            Told::Gone => (2, profile.beat.saturating_mul(2)),
            Told::Starved => (profile.misses, Standing::STARVATION),
        };
        let asked = record.inquest.as_ref().map(|inquest| inquest.began);
        let answers = told == Told::Dead && asked.is_some_and(|began| record.answered >= Some(began));
        if answers || record.was_heard(beats, mine, now) || !told.worsens(record.standing) {
            return;
        }
        match record.relation(obituary, now.checked_sub(profile.patience())) {
            Relation::Same => {}
            // It may live in the life that is known here: then it shall say so.
            Relation::Another => record.owed = super::detector::TIMES,
            Relation::Over => return,
        }
        record.condemned = Some(obituary.incarnation);
        record.starvation_told = true;
        record.rest_until = after(now, super::inquest::REST);
        let since = record.last_sign().max(now.checked_sub(silence)).unwrap_or(now);
        let standing = match told {
            Told::Dead => Standing::Dead { since, confirmed: true },
            Told::Gone => Standing::Gone { since },
            Told::Starved => Standing::Starved { since },
        };
        self.out.counts.told = self.out.counts.told.saturating_add(1);
        self.close(&obituary.node, now);
        self.place(&obituary.node, standing, now);
    }

    /// Tells a node that may know nothing who has fallen.
    fn tell_fallen(&mut self, to: &NodeName, now: Instant) {
        let (mut dead, mut gone, mut starved) = (Vec::new(), Vec::new(), Vec::new());
        for (node, record) in self.records.iter().filter(|(node, _)| *node != to) {
            let list = match record.standing {
                Standing::Dead { confirmed: true, .. } => &mut dead,
                Standing::Gone { .. } => &mut gone,
                Standing::Starved { .. } if record.starvation_told => &mut starved,
                _ => continue,
            };
            list.extend(record.condemned.map(|incarnation| Obituary { node: node.clone(), incarnation }));
        }
        self.send_pages(to, &dead, Body::Dead, now);
        self.send_pages(to, &gone, Body::Gone, now);
        self.send_pages(to, &starved, Body::Starved, now);
    }

    fn send_pages(&mut self, to: &NodeName, list: &[Obituary], body: impl Fn(Vec<Obituary>) -> Body, now: Instant) {
        for page in list.chunks(Body::MOST_NODES) {
            self.send(to, body(page.to_vec()), now);
        }
    }

    /// The kernel of a peer refused a message: nobody listens there.
    pub fn handle_refused(&mut self, peer: &NodeName, now: Instant) {
        self.feel(now);
        let Some(record) = self.records.get_mut(peer) else { return };
        self.out.counts.refused = self.out.counts.refused.saturating_add(1);
        record.refused.get_or_insert(now);
        record.answered = record.answered.max(Some(now));
        self.isolation.note(now);
        self.go_on(now);
    }

    /// A kernel answered a question: with an echo reply, a unicast ARP reply or a solicited advertisement.
    pub fn handle_answer(&mut self, address: IpAddr, mac: MacAddr, received: Instant, now: Instant) {
        self.feel(now);
        self.gateways.handle_answer(address, mac, received);
        let is_it =
            |record: &Record| record.peer.mac == mac && [record.peer.address, record.address].contains(&address);
        if let Some((node, record)) = self.records.iter_mut().find(|(_, record)| is_it(record)) {
            record.answered = record.answered.max(Some(received));
            let node = node.clone();
            self.hear_kernel(&node, now);
        }
        self.go_on(now);
    }

    /// Forgives refusals that are long over.
    pub(super) fn forgive(&mut self, now: Instant) {
        for (node, record) in &mut self.records {
            let over = |(_, last): &mut (u32, Instant)| now.saturating_duration_since(*last) >= FORGIVEN;
            if record.contradicted.take_if(over).is_some_and(|(times, _)| times >= CONTRADICTIONS) {
                self.out.push(Effect::Refusing { node: node.clone(), refuses: false });
            }
        }
    }
}

/// What others say about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Dead,
    Gone,
    Starved,
}

impl Told {
    /// Whether it is news about a node that stands like this.
    fn worsens(self, standing: Standing) -> bool {
        match standing {
            Standing::Unheard | Standing::Alive(_) | Standing::Suspected => true,
            Standing::Starved { .. } => self != Self::Starved,
            Standing::Gone { .. } | Standing::Dead { confirmed: false, .. } => self == Self::Dead,
            Standing::Dead { confirmed: true, .. } => self == Self::Gone,
            Standing::Left => false,
        }
    }
}

/// How what is said about a node relates to what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// It is about the incarnation that is known, or none is.
    Same,
    /// It is about one that is not known here.
    Another,
    /// It is about one that is over.
    Over,
}

impl Record {
    fn relation(&self, obituary: &Obituary, recently: Option<Instant>) -> Relation {
        let said = obituary.incarnation;
        let Some(presence) = &self.presence else { return Relation::Same };
        if said.life == presence.incarnation.life {
            let over = said.refutation < presence.incarnation.refutation;
            return if over { Relation::Over } else { Relation::Same };
        }
        let is_fresh = recently.is_none_or(|recently| presence.heard >= recently);
        if is_fresh || said.life.0 == 0 || self.is_over(said.life) { Relation::Over } else { Relation::Another }
    }

    /// Whether an unproven or mistaken peer is to be answered: not more often than four times in a beat.
    fn may_reply(&mut self, beat: Duration, now: Instant) -> bool {
        let pause = beat.checked_div(4).unwrap_or(beat);
        let may = self.replied.is_none_or(|replied| now.saturating_duration_since(replied) >= pause);
        if may {
            self.replied = Some(now);
        }
        may
    }

    /// Whether a message from a life other than the known one is the voice of a second process: the life is over, and
    /// still it speaks. One that is merely new may follow the known one.
    fn is_double(&self, envelope: &Envelope) -> bool {
        self.is_over(envelope.incarnation.life)
    }
}

impl State {
    /// Whether a node in this state can bear witness about others.
    pub(super) const fn can_observe(self) -> bool {
        !self.degraded && !self.left
    }
}
