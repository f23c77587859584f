//! One speaker among others on the wire: who is alive, who claims what, what this node announces. The whole fast path,
//! from a peer's silence to the first frame of its addresses' new owner, is in here.
//!
//! Owns how the parts meet: [`crate::liveness`] (one detector for each interface), [`crate::claims`], [`crate::ownership`],
//! the states of each address and [`crate::announce`]. Knows neither sockets nor clocks nor keys: inputs are `set_*` and
//! `handle_*` with the time as an argument, outputs are [`Effect`]s to be polled until there is none, and
//! [`Member::next_deadline`] says when to call [`Member::handle_timeout`].
//!
//! | what | module |
//! |---|---|
//! | what goes in and out | `outlook`, `event` |
//! | which peers there are, and how they stand | `neighbourhood` |
//! | what should become of an address | `decision` |
//! | what is done about it | `conduct` |
//! | what comes from others | `hearing` |
//! | what peers' changes mean, and what leaves | `consequences` |
//! | asking the wire in the background | `inquiries` |

mod conduct;
mod consequences;
mod decision;
mod event;
mod hearing;
mod inquiries;
mod neighbourhood;
mod outlook;
#[cfg(test)]
mod tests;

pub use event::{About, Came, Cause, Conflict, Effect, Event, Tenure, VipState};
pub use outlook::{Condition, Outlook};

use crate::address::Vip;
use crate::announce::schedule::after;
use crate::announce::{self, Announcer, Frame, Heard, Verdict};
use crate::claims::Claims;
use crate::link::Links;
use crate::liveness::{Body, Counts, Envelope, Life, Profile, State};
use crate::mac::MacAddr;
use crate::names::{IfIndex, NodeName};
use crate::ownership::{Segment, View};
use crate::tenure::Charge;
use consequences::Outbox;
use inquiries::Inquiries;
use neighbourhood::Neighbourhood;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many addresses are looked at in one go where none of them is in a hurry, so that beats and answers don't wait.
const SLICE: usize = 256;
/// A question that waited longer than that in the kernel is not answered: whoever asked has asked again.
const STALE: Duration = Duration::from_millis(500);
/// A node later than that looks at the time before it answers anybody.
const LATE: Duration = Duration::from_millis(100);

/// Who a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub node: NodeName,
    /// This run of its speaker.
    pub life: Life,
    /// How fast silence is noticed.
    pub profile: Profile,
    /// How to speak about addresses.
    pub announce: announce::Config,
}

/// One speaker among others.
#[derive(Debug)]
pub struct Member {
    config: Config,
    outlook: Arc<Outlook>,
    /// The outlook's, with this node's interfaces as they are.
    view: View,
    /// This node's interfaces as they are.
    interfaces: Links,
    /// The same without gateways that are other nodes.
    links: Links,
    hood: Neighbourhood,
    claims: Claims,
    charges: BTreeMap<Vip, Charge>,
    timers: BTreeSet<(Instant, Vip)>,
    /// Addresses to be looked at soon.
    agenda: BTreeSet<Vip>,
    /// Addresses about which anybody's change may matter.
    unsettled: BTreeSet<Vip>,
    /// Addresses that are answered here.
    held: BTreeSet<Vip>,
    /// Nothing is announced before, so that others can say what they know.
    grace_until: Option<Instant>,
    begun: bool,
    /// How late this node was, until that has been acted on.
    woke: Option<Duration>,
    /// Nodes whose kernels have refused a message, with the time of the first one of late.
    refused: BTreeMap<NodeName, Instant>,
    state: State,
    inquiries: Inquiries,
    outbox: Outbox,
    /// The announcer has been told something that it has not acted on.
    placed: bool,
    /// Addresses whose state may have to be reported.
    dirty: BTreeSet<Vip>,
    /// Reports on addresses that are gone.
    says: Vec<(Vip, VipState)>,
    turn: usize,
    announcer: Announcer,
    effects: VecDeque<Effect>,
}

impl Member {
    /// One that knows nothing yet and is silent.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            announcer: Announcer::new(config.announce),
            config,
            outlook: Arc::default(),
            view: View::default(),
            interfaces: Links::new(),
            links: Links::new(),
            hood: Neighbourhood::default(),
            claims: Claims::default(),
            charges: BTreeMap::new(),
            timers: BTreeSet::new(),
            agenda: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            held: BTreeSet::new(),
            grace_until: None,
            begun: false,
            woke: None,
            refused: BTreeMap::new(),
            state: State::default(),
            inquiries: Inquiries::new(now),
            outbox: Outbox::default(),
            placed: false,
            dirty: BTreeSet::new(),
            says: Vec::new(),
            turn: 0,
            effects: VecDeque::new(),
        }
    }

    /// Takes note of what the API server and this node say. Only what differs is looked at.
    pub fn set_outlook(&mut self, outlook: Arc<Outlook>, now: Instant) {
        self.be_awake(now);
        let before = std::mem::replace(&mut self.outlook, outlook);
        let is_other_view = !Arc::ptr_eq(&before.view, &self.outlook.view) && before.view != self.outlook.view;
        if is_other_view || before.namesakes != self.outlook.namesakes {
            self.set_view(now);
        } else if before.me != self.outlook.me {
            self.agenda.extend(self.claims.of(&self.config.node));
            self.agenda.extend(&self.unsettled);
        }
        self.compare_subjects(&before, now);
        self.agenda.extend(before.unprepared.symmetric_difference(&self.outlook.unprepared));
        if before.probes != self.outlook.probes {
            self.inquiries.set_free(&self.outlook.probes, now);
        }
        if !self.begun {
            self.begun = true;
            self.begin_grace(now);
        }
        self.work(now);
    }

    fn compare_subjects(&mut self, before: &Outlook, now: Instant) {
        let after = Arc::clone(&self.outlook);
        let gone = before.subjects.keys().filter(|vip| !after.subjects.contains_key(vip));
        self.agenda.extend(gone);
        for (vip, subject) in &after.subjects {
            let was = before.subjects.get(vip);
            if was.is_some_and(|was| Arc::ptr_eq(was, subject) || was == subject) {
                continue;
            }
            self.agenda.insert(*vip);
            if let Some(claim) = &subject.claim
                && was.is_none_or(|was| was.claim != subject.claim)
            {
                self.learn_recorded(*vip, claim.clone(), now);
            }
        }
    }

    /// Follows a change of nodes, advertisements or this node's interfaces.
    fn set_view(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.view, View::clone(&self.outlook.view));
        if let Some(node) = self.view.nodes.get_mut(&self.config.node) {
            node.segments = self.interfaces.values().map(Segment::from).collect();
        }
        let links = neighbourhood::without_peers(&self.interfaces, &self.view, &self.outlook.namesakes);
        if self.links != links {
            self.links = links;
            self.announcer.set_links(&self.links, now);
        }
        self.hood.set(&self.config, &self.links, &self.view, now);
        self.announcer.set_members(self.hood.macs());
        let mine = |view: &View| view.nodes.get(&self.config.node).cloned();
        if before.advertisements != self.view.advertisements || mine(&before) != mine(&self.view) {
            self.agenda.extend(self.outlook.subjects.keys());
            return;
        }
        for name in crate::diff::changes(&before.nodes, &self.view.nodes).into_keys() {
            self.agenda.extend(self.claims.of(name));
        }
        self.agenda.extend(&self.unsettled);
        // Among the wishes for addresses held here one may have become possible, and a cordon may have been lifted elsewhere.
        self.agenda.extend(&self.held);
    }

    /// Takes note of the node's interfaces.
    pub fn set_links(&mut self, links: &Links, now: Instant) {
        self.be_awake(now);
        let had = |index: &IfIndex| self.links.get(index).is_some_and(|link| link.carrier);
        let returned = links.iter().any(|(index, link)| link.carrier && !had(index));
        self.interfaces.clone_from(links);
        self.set_view(now);
        if returned && self.begun {
            self.begin_grace(now);
        }
        self.work(now);
    }

    /// Takes note of how fast silence is to be noticed.
    pub fn set_profile(&mut self, profile: Profile, now: Instant) {
        self.config.profile = profile;
        self.hood.set_profile(profile, now);
        self.finish(now);
    }

    /// Announces everything on an interface again: its neighbours should relearn where it is.
    pub fn handle_relearn(&mut self, link: IfIndex, now: Instant) {
        self.be_awake(now);
        self.announcer.handle_relearn(link, now);
        self.finish(now);
    }

    /// Takes a message that was opened with one of the cluster's keys. `received` is when the kernel got it.
    pub fn handle_envelope(
        &mut self,
        link: IfIndex,
        source: IpAddr,
        envelope: Envelope,
        received: Instant,
        now: Instant,
    ) {
        let from = envelope.from.clone();
        let hurry = self.is_in_grace(now);
        let digest = self.claims.digest();
        let Some(segment) = self.hood.segments.get_mut(&link) else { return };
        segment.note_received(received);
        let body = segment.detector.handle_envelope(source, envelope, received, now);
        if segment.compares(&from, digest, hurry, now) {
            segment.detector.send(&from, Body::Digests(self.claims.buckets().to_vec()), now);
        }
        // What a node that was late was asked to take, others have been asked to take since.
        let late = segment.detector.late_at(now).is_some_and(|late| received < late);
        if let Some(body) = body.filter(|body| !(late && matches!(body, Body::Handover { .. }))) {
            self.heed(link, &from, body, now);
        }
        self.finish(now);
    }

    /// Takes note that a peer's kernel has refused a message (ICMP port unreachable).
    pub fn handle_refused(&mut self, link: IfIndex, node: &NodeName, now: Instant) {
        if let Some(segment) = self.hood.segments.get_mut(&link) {
            segment.detector.handle_refused(node, now);
        }
        self.note_refusal(node, now);
        self.finish(now);
    }

    /// Takes an ARP message or a neighbour's. `received` is when the kernel got it.
    pub fn handle_frame(&mut self, link: IfIndex, heard: &Heard, received: Instant, now: Instant) -> Verdict {
        self.be_awake(now);
        if now.saturating_duration_since(received) > STALE {
            return Verdict::Stale;
        }
        if let Some(claim) = heard.claim {
            if heard.directed
                && !claim.unasked
                && let Some(segment) = self.hood.segments.get_mut(&link)
            {
                segment.detector.handle_answer(claim.address, claim.mac, received, now);
            }
            self.watch(link, claim, now);
        }
        if let Some(question) = heard.question.filter(|question| question.asker.is_none()) {
            self.note_probe(link, question, now);
        }
        let verdict = self.announcer.handle_frame(link, heard, now);
        self.finish(now);
        verdict
    }

    /// Takes the reply to an echo request.
    pub fn handle_echo(&mut self, link: IfIndex, from: IpAddr, mac: MacAddr, received: Instant, now: Instant) {
        if let Some(segment) = self.hood.segments.get_mut(&link) {
            segment.detector.handle_answer(from, mac, received, now);
        }
        self.finish(now);
    }

    /// Takes note that a frame of [`Effect::Send`] has left.
    pub fn handle_sent(&mut self, link: IfIndex, mac: MacAddr, frame: &Frame, now: Instant) {
        self.announcer.handle_sent(link, mac, frame, now);
        self.finish(now);
    }

    /// Does what has become due. To be called at [`Member::next_deadline`]; any other time does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for segment in self.hood.segments.values_mut() {
            if segment.detector.next_deadline().is_some_and(|due| due <= now) {
                segment.detector.handle_timeout(now);
            }
        }
        self.take_detectors(now);
        self.wake(now);
        self.announcer.handle_timeout(now);
        self.inquire(now);
        self.work(now);
    }

    /// Whoever has slept looks first whether it still has what it is asked for, or would announce again.
    fn be_awake(&mut self, now: Instant) {
        let is_late = |due| now.saturating_duration_since(due) > LATE;
        if self.woke.is_some() || self.next_deadline(now).is_some_and(is_late) {
            self.handle_timeout(now);
        }
    }

    /// When [`Member::handle_timeout`] must be called next, unless something else happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let detectors = self.hood.segments.values().filter_map(|segment| segment.detector.next_deadline()).min();
        let timer = self.timers.first().map(|(due, _)| *due);
        let agenda = (!self.agenda.is_empty()).then_some(now);
        let others = [self.announcer.next_deadline(now), self.inquiries.next_deadline()];
        [detectors, timer, agenda].into_iter().chain(others).flatten().min()
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What the detector of an interface has counted.
    pub fn counts(&self, link: IfIndex) -> Option<&Counts> {
        self.hood.segments.get(&link).map(|segment| segment.detector.counts())
    }

    /// Looks at what is due, at most a slice of it, and lets what follows out.
    fn work(&mut self, now: Instant) {
        self.end_grace(now);
        let mut due = Vec::new();
        while due.len() < SLICE
            && let Some(&(_, vip)) = self.timers.first().filter(|(time, _)| *time <= now)
        {
            self.set_timer(vip, None);
            due.push(vip);
        }
        while due.len() < SLICE
            && let Some(vip) = self.agenda.pop_first()
        {
            due.push(vip);
        }
        for vip in due {
            self.review(vip, now);
        }
        self.finish(now);
    }

    fn is_in_grace(&self, now: Instant) -> bool {
        self.grace_until.is_some_and(|until| now < until)
    }

    /// Waits for what others know: as long as it takes to notice that somebody is not there.
    fn begin_grace(&mut self, now: Instant) {
        let profile = self.config.profile;
        let grace = profile.patience().saturating_add(profile.confirm);
        self.grace_until = (!self.hood.is_alone()).then(|| after(now, grace));
    }

    fn end_grace(&mut self, now: Instant) {
        if self.grace_until.is_some_and(|until| now >= until || self.hood.agrees(self.claims.digest())) {
            self.grace_until = None;
            self.agenda.extend(self.charges.keys());
        }
    }
}
