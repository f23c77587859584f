//! What follows from what happened: peers' changes reach the addresses they matter for, and what is to be said leaves.

use super::neighbourhood::Connection;
use super::{Effect, Event, Member};
use crate::address::{Family, Vip};
use crate::announce;
use crate::claims::told;
use crate::liveness::{self, Body, Inquiry, Offer, Standing, State};
use crate::names::{IfIndex, NodeName};
use crate::ownership::Fitness;
use crate::tenure::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Before a speaker whose kernel went on is taken for starved by its peers it has so much time to find out that it was.
const MARGIN: Duration = Duration::from_millis(500);

/// Messages that leave together, so that many addresses need few.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// This node's new claims, to everybody on an interface.
    pub(super) claims: BTreeMap<IfIndex, Vec<Offer>>,
    /// Addresses for a node to take; true: because somebody wishes it.
    pub(super) handovers: BTreeMap<(IfIndex, NodeName, bool), Vec<Offer>>,
    /// Claims of a node that another one doesn't know.
    pub(super) answers: BTreeMap<(IfIndex, NodeName, NodeName), Vec<Offer>>,
}

impl Member {
    pub(super) fn report(&mut self, event: Event) {
        self.effects.push_back(Effect::Report(event));
    }

    /// Asks, as long as there is something to ask from.
    pub(super) fn ask(&mut self, link: IfIndex, inquiry: Inquiry) {
        let Some(interface) = self.links.get(&link) else { return };
        let (target, is_probe) = match inquiry {
            Inquiry::Echo { to, .. } => (to, false),
            Inquiry::Resolve { target, probe, .. } => (target, probe),
        };
        let near = interface.addresses.iter().find(|net| net.contains(&target)).map(ipnet::IpNet::addr);
        let own =
            || interface.addresses.iter().map(ipnet::IpNet::addr).find(|own| Family::of(*own) == Family::of(target));
        let link_local = || interface.link_local.map(IpAddr::V6).filter(|_| target.is_ipv6());
        let from = if is_probe { None } else { near.or_else(link_local).or_else(own) };
        let mac = interface.mac;
        self.effects.push_back(Effect::Ask { link, mac, from, inquiry });
    }

    /// Lets out what has come together, until nothing new comes of it.
    pub(super) fn finish(&mut self, now: Instant) {
        self.say_state(now);
        loop {
            let mut again = self.flush(now);
            again |= self.take_detectors(now);
            // Whoever has slept says nothing before it has looked at the time.
            if self.woke.is_none() && std::mem::take(&mut self.placed) {
                self.announcer.handle_timeout(now);
            }
            again |= self.take_announcer(now);
            if !again {
                break;
            }
        }
        self.say_addresses();
    }

    /// What this node says of itself with every beat.
    fn say_state(&mut self, now: Instant) {
        if !self.begun {
            return;
        }
        let me = self.outlook.me;
        let fitness = self.fitness(&self.config.node, &BTreeSet::new());
        let leaving = me.leaving || me.ending || matches!(fitness, Fitness::Leaving | Fitness::Barred(_));
        let left = me.ending && self.held.is_empty();
        let state = State { able: me.able, leaving, left, ..State::default() };
        if self.state != state {
            self.state = state;
            self.hood.set_state(state, now);
        }
    }

    fn flush(&mut self, now: Instant) -> bool {
        self.hood.set_digest(self.claims.digest());
        let outbox = std::mem::take(&mut self.outbox);
        let any = !(outbox.claims.is_empty() && outbox.handovers.is_empty() && outbox.answers.is_empty());
        for (link, offers) in outbox.claims {
            let Some(segment) = self.hood.segments.get_mut(&link) else { continue };
            for page in told(&self.config.node, &offers) {
                segment.detector.tell_all(page, now);
            }
        }
        for ((link, to, elective), offers) in outbox.handovers {
            let Some(segment) = self.hood.segments.get_mut(&link) else { continue };
            for page in offers.chunks(Body::MOST) {
                segment.detector.send(&to, Body::Handover { elective, offers: page.to_vec() }, now);
            }
        }
        for ((link, to, node), offers) in outbox.answers {
            let Some(segment) = self.hood.segments.get_mut(&link) else { continue };
            for page in told(&node, &offers) {
                segment.detector.send(&to, page, now);
            }
        }
        any
    }

    pub(super) fn take_detectors(&mut self, now: Instant) -> bool {
        let mut effects = Vec::new();
        for (link, segment) in &mut self.hood.segments {
            while let Some(effect) = segment.detector.poll_effect() {
                effects.push((*link, effect));
            }
        }
        let mut changed = BTreeSet::new();
        let any = !effects.is_empty();
        for (link, effect) in effects {
            self.take_detector_effect(link, effect, &mut changed, now);
        }
        for node in changed {
            self.review_after(&node, now);
        }
        any
    }

    fn take_detector_effect(
        &mut self,
        link: IfIndex,
        effect: liveness::Effect,
        changed: &mut BTreeSet<NodeName>,
        now: Instant,
    ) {
        match effect {
            liveness::Effect::Send { to, address, envelope } => {
                self.effects.push_back(Effect::Datagram { link, to, address, envelope });
            }
            liveness::Effect::Ask(inquiry) => {
                // It doesn't wait, but what can wait waits for it.
                let _ = self.announcer.may_ask(link, now);
                self.ask(link, inquiry);
            }
            liveness::Effect::Changed(node) => self.note_change(link, node, changed, now),
            liveness::Effect::Met(node) => {
                let digests = Body::Digests(self.claims.buckets().to_vec());
                if let Some(segment) = self.hood.segments.get_mut(&link) {
                    segment.detector.send(&node, digests, now);
                }
            }
            liveness::Effect::Witness => self.take_witness(link, now),
            liveness::Effect::Woke { lateness } => self.woke = self.woke.max(Some(lateness)),
            liveness::Effect::Degraded(degraded) => self.report(Event::Degraded { link, degraded }),
            liveness::Effect::DuplicateName(node) => self.report(Event::DuplicateName { node }),
            liveness::Effect::Refusing { node, refuses } => self.report(Event::Refusing { link, node, refuses }),
        }
    }

    fn note_change(&mut self, link: IfIndex, node: NodeName, changed: &mut BTreeSet<NodeName>, now: Instant) {
        let digest = self.claims.digest();
        let Some(segment) = self.hood.segments.get_mut(&link) else { return };
        let standing = segment.detector.standing(&node);
        if segment.note_standing(&node, standing) && segment.detector.digest(&node) != Some(digest) {
            let digests = Body::Digests(self.claims.buckets().to_vec());
            segment.detector.send(&node, digests, now);
        }
        self.report(Event::Peer { link, node: node.clone(), standing });
        // A worse verdict begins the deputies' turns anew: the first heir goes first again.
        for (vip, charge) in &mut self.charges {
            if self.claims.get(*vip).is_some_and(|claim| claim.node == node) {
                charge.open_since = None;
            }
        }
        changed.insert(node);
    }

    /// A peer stands otherwise: its addresses are looked at now, those of nobody soon.
    fn review_after(&mut self, node: &NodeName, now: Instant) {
        for vip in self.claims.of(node).collect::<Vec<_>>() {
            self.review(vip, now);
        }
        self.agenda.extend(&self.unsettled);
        let wished = |vip: &&Vip| {
            let subject = self.outlook.subjects.get(vip);
            subject.is_some_and(|subject| subject.preferred.as_ref() == Some(node))
        };
        self.agenda.extend(self.held.iter().filter(wished));
    }

    fn take_witness(&mut self, link: IfIndex, now: Instant) {
        let Some(segment) = self.hood.segments.get_mut(&link) else { return };
        let witness = segment.detector.witness(now);
        let connection = Connection::from(witness);
        let before = std::mem::replace(&mut segment.connection, connection);
        self.report(Event::Witness { link, witness });
        if connection == before {
            return;
        }
        let mine: Vec<Vip> = self.claims.of(&self.config.node).collect();
        if connection == Connection::Passive {
            for vip in mine {
                self.review(vip, now);
            }
        } else {
            self.agenda.extend(mine);
        }
        self.agenda.extend(&self.unsettled);
    }

    /// This node was late. If that was long enough for others to take its addresses, it is silent until the wire was asked.
    ///
    /// Messages that its kernel took meanwhile show that only the speaker stood still, and then others wait for longer.
    pub(super) fn wake(&mut self, now: Instant) {
        let Some(lateness) = self.woke.take() else { return };
        self.report(Event::Woke { lateness });
        let profile = self.config.profile;
        let silence = self.hood.take_silence(now);
        let kernel_slept = silence.is_none_or(|silence| silence >= profile.passive_after());
        let enough = if kernel_slept { profile.passive_after() } else { Standing::STARVATION.saturating_sub(MARGIN) };
        if lateness < enough || self.hood.is_alone() {
            return;
        }
        for vip in self.held.clone() {
            self.enter(vip, Phase::Suspended);
            self.agenda.insert(vip);
        }
    }

    fn take_announcer(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(effect) = self.announcer.poll_effect() {
            any = true;
            match effect {
                announce::Effect::Send { link, mac, frame } => {
                    self.effects.push_back(Effect::Send { link, mac, frame });
                }
                announce::Effect::Probe { link, vip } => self.send_probe(vip, link, now),
                announce::Effect::Join { link, group } => self.effects.push_back(Effect::Join { link, group }),
                announce::Effect::Leave { link, group } => self.effects.push_back(Effect::Leave { link, group }),
                announce::Effect::Report(event) => self.take_event(&event, now),
            }
        }
        any
    }

    fn say_addresses(&mut self) {
        for (vip, state) in std::mem::take(&mut self.says) {
            self.report(Event::Vip { vip, state });
        }
        for vip in std::mem::take(&mut self.dirty) {
            let claim = self.claims.get(vip).filter(|claim| claim.node == self.config.node);
            let news = self.charges.get_mut(&vip).and_then(|charge| charge.take_news(claim));
            if let Some(state) = news {
                self.report(Event::Vip { vip, state });
            }
        }
    }
}
