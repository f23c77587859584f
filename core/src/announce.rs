//! What is said on the wire about owned VIPs, to whom and when: answers and the announcement schedule.
//!
//! Owns who gets an answer, what is announced, how fast, and what counts as a rival's claim. Knows neither sockets nor
//! clocks: inputs are `set_*` and `handle_*` with the time as an argument, outputs are [`Effect`]s to be polled until
//! there is none, and [`Announcer::next_deadline`] says when to call [`Announcer::handle_timeout`]. It doesn't decide which
//! node owns a VIP; that is [`crate::ownership`].
//!
//! | what | module |
//! |---|---|
//! | which frame when (RFC 5227, RFC 4861, RFC 9131) | [`schedule`] |
//! | how many frames a second | [`bucket`], `pace` |
//! | who asked lately | `asker` |
//! | answering rivals | `defence` |
//! | all of it on one interface | `segment` |

mod asker;
pub mod bucket;
mod defence;
mod message;
mod pace;
pub mod schedule;
mod segment;
#[cfg(test)]
pub(crate) mod tests;

pub use message::{Claim, Effect, Event, Frame, Heard, Question, Verdict};
pub use pace::Pacing;

use crate::address::Vip;
use crate::link::{Link, Links};
use crate::mac::MacAddr;
use crate::names::IfIndex;
use defence::Rival;
use segment::{Segment, Standing};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// How to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How many frames a second at most.
    pub pacing: Pacing,
    /// Whether to leave a question unanswered whose frame comes from another Ethernet address than the sender it names.
    /// Bridges that translate addresses (Wi-Fi) make them differ, so this is off unless asked for.
    pub strict_senders: bool,
    /// Makes this node's refreshes fall at other times than its neighbours'.
    pub seed: u64,
}

/// Which VIPs to announce on which interfaces, and which ones to be ready for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// VIPs this node owns: answered and announced.
    pub owned: BTreeMap<Vip, BTreeSet<IfIndex>>,
    /// VIPs this node may own next: their solicited-node groups are joined and their askers remembered.
    pub candidates: BTreeMap<Vip, BTreeSet<IfIndex>>,
}

impl Announcements {
    fn standing(&self, vip: Vip, link: IfIndex) -> Standing {
        let holds = |map: &BTreeMap<Vip, BTreeSet<IfIndex>>| map.get(&vip).is_some_and(|links| links.contains(&link));
        if holds(&self.owned) {
            Standing::Owner
        } else if holds(&self.candidates) {
            Standing::Candidate
        } else {
            Standing::Absent
        }
    }

    /// Every VIP whose interfaces differ between the two.
    fn differences(&self, other: &Self) -> BTreeSet<Vip> {
        let differ = |a: &BTreeMap<Vip, BTreeSet<IfIndex>>, b: &BTreeMap<Vip, BTreeSet<IfIndex>>| {
            crate::diff::changes(a, b).into_keys().copied().collect::<Vec<_>>()
        };
        let changed = [differ(&self.owned, &other.owned), differ(&self.candidates, &other.candidates)];
        changed.into_iter().flatten().collect()
    }

    fn links_of(&self, vip: Vip) -> impl Iterator<Item = IfIndex> {
        [&self.owned, &self.candidates].into_iter().filter_map(move |map| map.get(&vip)).flatten().copied()
    }
}

/// Puts a value in place of another; nothing is as good as no value. Says whether there was one.
fn replace(map: &mut BTreeMap<Vip, BTreeSet<IfIndex>>, vip: Vip, links: BTreeSet<IfIndex>) -> bool {
    if links.is_empty() { map.remove(&vip).is_some() } else { map.insert(vip, links).is_some() }
}

/// Answers for and announces the VIPs of one node on all its interfaces.
#[derive(Debug)]
pub struct Announcer {
    config: Config,
    announcements: Announcements,
    segments: BTreeMap<IfIndex, Segment>,
    members: BTreeSet<MacAddr>,
    effects: VecDeque<Effect>,
}

impl Announcer {
    /// An announcer that has nothing to say yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            announcements: Announcements::default(),
            segments: BTreeMap::new(),
            members: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes note of what to announce. VIPs no longer owned fall silent at once, newly owned ones are announced, others
    /// go on as before: the same value again sends nothing.
    pub fn set_announcements(&mut self, announcements: Announcements, now: Instant) {
        let changed = self.announcements.differences(&announcements);
        let before = std::mem::replace(&mut self.announcements, announcements);
        for &vip in &changed {
            let links: BTreeSet<IfIndex> = before.links_of(vip).chain(self.announcements.links_of(vip)).collect();
            for link in links {
                if let Some(segment) = self.segments.get_mut(&link) {
                    segment.place(vip, self.announcements.standing(vip, link), &mut self.effects);
                }
            }
            let owned =
                |announcements: &Announcements| announcements.owned.get(&vip).is_some_and(|links| !links.is_empty());
            if owned(&before) && !owned(&self.announcements) {
                self.effects.push_back(Effect::Report(Event::Withdrawn { vip }));
            }
        }
        self.go_on(now);
    }

    /// Changes what this node is to one VIP: where it is the owner, and where it may be next. What is to be said because of
    /// that leaves with the next [`Announcer::handle_timeout`], so that of many VIPs the most wanted come first.
    pub fn place(&mut self, vip: Vip, owned: BTreeSet<IfIndex>, candidates: BTreeSet<IfIndex>) {
        let links: BTreeSet<IfIndex> =
            self.announcements.links_of(vip).chain(owned.iter().copied()).chain(candidates.iter().copied()).collect();
        let was_owned = replace(&mut self.announcements.owned, vip, owned);
        replace(&mut self.announcements.candidates, vip, candidates);
        for link in links {
            if let Some(segment) = self.segments.get_mut(&link) {
                segment.place(vip, self.announcements.standing(vip, link), &mut self.effects);
            }
        }
        if was_owned && !self.announcements.owned.contains_key(&vip) {
            self.effects.push_back(Effect::Report(Event::Withdrawn { vip }));
        }
    }

    /// Takes note of the Ethernet addresses of the cluster's other nodes. They settle among themselves whose a VIP is, and
    /// whoever it is may have to say so more than once; anybody else is contradicted once.
    pub fn set_members(&mut self, members: BTreeSet<MacAddr>) {
        self.members = members;
    }

    /// Announces a VIP again where this node is its owner, from the beginning of the schedule.
    pub fn announce_again(&mut self, vip: Vip, now: Instant) {
        for segment in self.segments.values_mut() {
            segment.announce_again(vip);
        }
        self.go_on(now);
    }

    /// Another member has claimed a VIP of this node in vain, and has perhaps announced it: it is announced again, a little
    /// later than its frames can be.
    pub fn contend(&mut self, vip: Vip, now: Instant) {
        for segment in self.segments.values_mut() {
            segment.contend(vip, now);
        }
    }

    /// Has everybody on some interfaces asked for a VIP as soon as the pace allows: [`Effect::Probe`] says when, on each. That
    /// leaves with the next [`Announcer::handle_timeout`] at the earliest.
    pub fn probe(&mut self, vip: Vip, links: &BTreeSet<IfIndex>) {
        for link in links {
            if let Some(segment) = self.segments.get_mut(link) {
                segment.probe(vip);
            }
        }
    }

    /// What [`Announcer::probe`] has asked for need not be asked any more.
    pub fn stop_probing(&mut self, vip: Vip) {
        self.segments.values_mut().for_each(|segment| segment.stop_probing(vip));
    }

    /// Whether the pace allows a question on an interface that can wait; it is then taken for asked.
    pub fn may_ask(&mut self, link: IfIndex, now: Instant) -> bool {
        self.segments.get_mut(&link).is_none_or(|segment| segment.may_ask(now))
    }

    /// Whether it is a gateway that answers for an address which it can route (proxy ARP): that says nothing about who has it.
    pub fn is_by_proxy(&self, link: IfIndex, claim: &Claim) -> bool {
        self.segments.get(&link).is_some_and(|segment| segment.is_by_proxy(claim))
    }

    /// Takes note of the node's interfaces. One that appears, gets its carrier back or changes its MAC address is told
    /// everything again; one that is gone is forgotten until it comes back.
    pub fn set_links(&mut self, links: &Links, now: Instant) {
        self.segments.retain(|index, _| links.contains_key(index));
        for (index, link) in links {
            match self.segments.get_mut(index) {
                Some(segment) => segment.set_link(link),
                None => self.add_segment(link),
            }
        }
        self.go_on(now);
    }

    fn add_segment(&mut self, link: &Link) {
        let mut segment = Segment::new(link.clone(), self.config);
        let maps = [&self.announcements.owned, &self.announcements.candidates];
        for vip in maps.into_iter().flat_map(BTreeMap::keys) {
            segment.place(*vip, self.announcements.standing(*vip, link.index), &mut self.effects);
        }
        self.segments.insert(link.index, segment);
    }

    /// Announces everything on an interface again: the kernel says that its neighbours should relearn where it is (a
    /// bond has changed its active port, a virtual machine has moved).
    pub fn handle_relearn(&mut self, link: IfIndex, now: Instant) {
        if let Some(segment) = self.segments.get_mut(&link) {
            segment.restart();
        }
        self.go_on(now);
    }

    /// Takes a frame that was heard on an interface: answers what it asks, notes who asked, and watches for rivals.
    pub fn handle_frame(&mut self, link: IfIndex, heard: &Heard, now: Instant) -> Verdict {
        if self.config.strict_senders && heard.is_translated() {
            return Verdict::Translated;
        }
        let claimed = heard.claim.map_or(Verdict::Unconcerned, |claim| self.handle_claim(link, claim, now));
        let asked = match (heard.question, self.segments.get_mut(&link)) {
            (Some(question), Some(segment)) => segment.handle_question(question, now, &mut self.effects),
            _ => Verdict::Unconcerned,
        };
        if asked == Verdict::Unconcerned { claimed } else { asked }
    }

    fn handle_claim(&mut self, link: IfIndex, claim: Claim, now: Instant) -> Verdict {
        // Our own frames come back from a switch that reflects them, and from a second interface on the same segment.
        if self.segments.values().any(|segment| segment.mac() == claim.mac) {
            return Verdict::Unconcerned;
        }
        match self.segments.get_mut(&link) {
            Some(segment) => {
                let rival = if self.members.contains(&claim.mac) { Rival::Member } else { Rival::Stranger };
                segment.handle_claim(claim, rival, now, &mut self.effects)
            }
            None => Verdict::Unconcerned,
        }
    }

    /// Takes note that a frame of [`Effect::Send`] has left. The first one that tells of a VIP is reported.
    pub fn handle_sent(&mut self, link: IfIndex, mac: MacAddr, frame: &Frame, now: Instant) {
        let Some(vip) = frame.announced() else { return };
        if let Some(segment) = self.segments.get_mut(&link)
            && segment.note_sent(vip, mac)
        {
            self.effects.push_back(Effect::Report(Event::Announced { vip, link, mac, at: now }));
        }
    }

    /// Sends what has become due. To be called at [`Announcer::next_deadline`]; any other time does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.go_on(now);
    }

    /// When [`Announcer::handle_timeout`] must be called next, unless something else happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.segments.values().filter_map(|segment| segment.next_deadline(now)).min()
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn go_on(&mut self, now: Instant) {
        for segment in self.segments.values_mut() {
            segment.go_on(now, &mut self.effects);
        }
    }
}
