//! One speaker among others on the wire: who is alive, who claims what, what this node announces. The whole fast path,
//! from a peer's silence to the first frame of its addresses' new owner, is in here.
//!
//! Owns how the parts meet: [`crate::liveness`] (one detector for each interface), [`crate::claims`], [`crate::ownership`],
//! [`crate::tenure`] and [`crate::announce`]. Knows neither sockets nor clocks nor keys: inputs are `set_*` and `handle_*`
//! with the time as an argument, outputs are [`Effect`]s to be polled until there is none, and [`Member::next_deadline`]
//! says when to call [`Member::handle_timeout`].

mod event;
mod outlook;

pub use event::{About, Came, Cause, Conflict, Effect, Event, Tenure, VipState};
pub use outlook::{Condition, Outlook};

use crate::address::Vip;
use crate::announce::{self, Announcements, Announcer, Frame, Heard, Verdict};
use crate::link::Links;
use crate::liveness::{Envelope, Life, Profile};
use crate::mac::MacAddr;
use crate::names::{IfIndex, NodeName};
use crate::ownership;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

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
    links: Links,
    announcer: Announcer,
    announced: BTreeMap<Vip, BTreeMap<IfIndex, MacAddr>>,
    effects: VecDeque<Effect>,
}

impl Member {
    /// One that knows nothing yet and is silent.
    pub fn new(config: Config, _now: Instant) -> Self {
        Self {
            announcer: Announcer::new(config.announce),
            config,
            outlook: Arc::default(),
            links: Links::new(),
            announced: BTreeMap::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes note of what the API server and this node say.
    pub fn set_outlook(&mut self, outlook: Arc<Outlook>, now: Instant) {
        self.outlook = outlook;
        self.review(now);
    }

    /// Takes note of the node's interfaces.
    pub fn set_links(&mut self, links: &Links, now: Instant) {
        self.links.clone_from(links);
        self.announcer.set_links(links, now);
        self.review(now);
    }

    /// Takes note of how fast silence is to be noticed.
    pub fn set_profile(&mut self, profile: Profile, _now: Instant) {
        self.config.profile = profile;
    }

    /// Announces everything on an interface again: its neighbours should relearn where it is.
    pub fn handle_relearn(&mut self, link: IfIndex, now: Instant) {
        self.announcer.handle_relearn(link, now);
        self.collect();
    }

    /// Takes a message that was opened with one of the cluster's keys. `received` is when the kernel got it.
    pub fn handle_envelope(
        &mut self,
        _link: IfIndex,
        _source: IpAddr,
        _envelope: Envelope,
        _received: Instant,
        _now: Instant,
    ) {
    }

    /// Takes note that a peer's kernel has refused a message (ICMP port unreachable).
    pub fn handle_refused(&mut self, _link: IfIndex, _node: &NodeName, _now: Instant) {}

    /// Takes an ARP message or a neighbour's. `received` is when the kernel got it.
    pub fn handle_frame(&mut self, link: IfIndex, heard: &Heard, _received: Instant, now: Instant) -> Verdict {
        let verdict = self.announcer.handle_frame(link, heard, now);
        self.collect();
        verdict
    }

    /// Takes the reply to an echo request.
    pub fn handle_echo(&mut self, _link: IfIndex, _from: IpAddr, _mac: MacAddr, _received: Instant, _now: Instant) {}

    /// Takes note that a frame of [`Effect::Send`] has left.
    pub fn handle_sent(&mut self, link: IfIndex, mac: MacAddr, frame: &Frame, now: Instant) {
        self.announcer.handle_sent(link, mac, frame, now);
        self.collect();
    }

    /// Does what has become due. To be called at [`Member::next_deadline`]; any other time does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.announcer.handle_timeout(now);
        self.collect();
    }

    /// When [`Member::handle_timeout`] must be called next, unless something else happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.announcer.next_deadline(now)
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn review(&mut self, now: Instant) {
        let mut announcements = Announcements::default();
        for (vip, subject) in &self.outlook.subjects {
            let interfaces = ownership::interfaces(subject, &self.outlook.view, &self.config.node);
            let links = self.links.iter().filter(|(_, link)| interfaces.contains(&link.name));
            let links: BTreeSet<_> = links.map(|(index, _)| *index).collect();
            let is_mine = ownership::owner(subject, &self.outlook.view) == Ok(&self.config.node);
            if is_mine && !self.outlook.unprepared.contains(vip) {
                announcements.owned.insert(*vip, links.clone());
            }
            announcements.candidates.insert(*vip, links);
        }
        self.announcer.set_announcements(announcements, now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(effect) = self.announcer.poll_effect() {
            let effect = match effect {
                announce::Effect::Send { link, mac, frame } => Effect::Send { link, mac, frame },
                announce::Effect::Join { link, group } => Effect::Join { link, group },
                announce::Effect::Leave { link, group } => Effect::Leave { link, group },
                announce::Effect::Report(event) => match self.event(event) {
                    Some(event) => Effect::Report(event),
                    None => continue,
                },
            };
            self.effects.push_back(effect);
        }
    }

    fn event(&mut self, event: announce::Event) -> Option<Event> {
        match event {
            announce::Event::Announced { vip, link, mac, at } => {
                self.announced.entry(vip).or_default().insert(link, mac);
                let claim = self.outlook.subjects.get(&vip).and_then(|subject| subject.claim.clone());
                let (cause, epoch, from) = match claim {
                    Some(claim) if claim.node == self.config.node => (Cause::Resumed, claim.epoch, None),
                    Some(claim) => (Cause::Unfit, claim.epoch.saturating_add(1), Some(claim.node)),
                    None => (Cause::Allocated, 1, None),
                };
                let tenure = Tenure::Announcing { epoch, came: Came { cause, from, at: Some(at), gap: None } };
                let announced = self.announced.get(&vip).cloned().unwrap_or_default();
                Some(Event::Vip { vip, state: VipState { tenure, announced, conflict: None } })
            }
            announce::Event::Withdrawn { vip } => {
                self.announced.remove(&vip);
                Some(Event::Vip { vip, state: VipState::default() })
            }
            announce::Event::Rival { .. } => None,
            announce::Event::NoLinkLocal { link } => Some(Event::NoLinkLocal { link }),
        }
    }
}
