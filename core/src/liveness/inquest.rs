//! What the [`Detector`] makes of silence: suspicion, questions to the suspect's kernel and to other observers, verdicts.

use super::detector::Detector;
use super::message::{Body, Obituary, Opinion};
use super::record::Record;
use super::{Inquiry, Profile, Standing};
use crate::announce::schedule::after;
use crate::names::NodeName;
use std::time::{Duration, Instant};

/// Questions to a kernel within the time of confirmation.
const QUESTIONS: u32 = 3;

/// After so many rounds without a word from observers that are alive, they count as absent: five times the time of
/// confirmation.
const ROUNDS: u32 = 15;

/// Observers asked in one round.
const OBSERVERS: usize = 3;

/// Nodes that wait for this node's opinion about one peer; more ask again.
const ASKERS: usize = 16;

/// Between two looks at a peer whose standing they didn't change.
pub(super) const REST: Duration = Duration::from_secs(1);

/// An investigation of one peer.
#[derive(Clone, Debug)]
pub(super) struct Inquest {
    pub(super) began: Instant,
    /// This node's own doubt; otherwise it looks only because others ask.
    own: bool,
    rounds: u32,
    next: Instant,
    /// Who asked, about which incarnation.
    askers: Vec<(NodeName, Obituary)>,
    /// Another observer finds the peer silent too.
    seconded: bool,
    /// Another observer has an answer of its kernel.
    answers_others: bool,
    /// Observers that can't tell.
    unable: Vec<NodeName>,
}

impl Inquest {
    fn new(own: bool, now: Instant) -> Self {
        Self {
            began: now,
            own,
            rounds: 0,
            next: now,
            askers: Vec::new(),
            seconded: false,
            answers_others: false,
            unable: Vec::new(),
        }
    }
}

impl Detector {
    /// Looks at everybody whose silence has become too long, and goes on with what was begun.
    pub(super) fn judge(&mut self, now: Instant) {
        self.forgive(now);
        self.doubt(now);
        if self.clouded_until.is_some() || !self.carrier {
            return;
        }
        let due: Vec<NodeName> = self
            .records
            .iter()
            .filter(|(_, record)| self.due(record).is_some_and(|due| due <= now))
            .map(|(node, _)| node.clone())
            .collect();
        for node in &due {
            self.look_at(node, now);
        }
    }

    /// When something about a peer is to be done next.
    fn due(&self, record: &Record) -> Option<Instant> {
        let mine = self.voice.profile;
        let inquest = record.inquest.as_ref().map(|inquest| inquest.next);
        let suspicion =
            self.suspicion_due(record).filter(|_| record.inquest.as_ref().is_none_or(|inquest| !inquest.own));
        let gone = gone_due(record, mine);
        let starved = starvation_due(record);
        [inquest, suspicion, gone, starved].into_iter().flatten().min()
    }

    /// When a peer's silence becomes a reason to look into it.
    fn suspicion_due(&self, record: &Record) -> Option<Instant> {
        let patience = record.profile(self.voice.profile).patience();
        let due = match record.standing {
            Standing::Unheard | Standing::Alive(_) | Standing::Suspected if record.is_watched(self.voice.profile) => {
                let since = record.heard().max(record.on_ring).unwrap_or(self.listening_since);
                after(since.max(self.listening_since), patience)
            }
            Standing::Gone { .. } | Standing::Starved { .. } if record.knocked => self.listening_since,
            _ => return None,
        };
        Some(due.max(record.rest_until))
    }

    pub(super) fn next_judgement(&self) -> Option<Instant> {
        if self.clouded_until.is_some() || !self.carrier {
            return None;
        }
        self.records.values().filter_map(|record| self.due(record)).min()
    }

    fn look_at(&mut self, node: &NodeName, now: Instant) {
        let mine = self.voice.profile;
        let Some(record) = self.records.get_mut(node) else { return };
        if gone_due(record, mine).is_some_and(|due| due <= now) {
            return self.find_gone(node, now);
        }
        if starvation_due(record).is_some_and(|due| due <= now) {
            record.starvation_told = true;
            let incarnation = record.condemned.unwrap_or_else(|| record.incarnation());
            self.tell_all(Body::Starved(vec![Obituary { node: node.clone(), incarnation }]), now);
        }
        self.suspect(node, now);
        if self.records.get(node).and_then(|record| record.inquest.as_ref()).is_some_and(|inquest| inquest.next <= now)
        {
            self.ask_around(node, now);
        }
    }

    fn suspect(&mut self, node: &NodeName, now: Instant) {
        let Some(record) = self.records.get(node) else { return };
        if record.inquest.as_ref().is_some_and(|inquest| inquest.own)
            || self.suspicion_due(record).is_none_or(|due| due > now)
        {
            return;
        }
        let was_alive = matches!(record.standing, Standing::Alive(_));
        if let Some(record) = self.records.get_mut(node) {
            match &mut record.inquest {
                Some(inquest) => inquest.own = true,
                None => record.inquest = Some(Inquest::new(true, now)),
            }
        }
        self.gateways.ask_besides(&mut self.out);
        if was_alive {
            self.out.counts.suspected = self.out.counts.suspected.saturating_add(1);
            self.place(node, Standing::Suspected, now);
        }
    }

    /// One round of questions, or what follows from the answers.
    fn ask_around(&mut self, node: &NodeName, now: Instant) {
        let observers = self.observers(node, now);
        let mine = self.voice.profile;
        let Some(record) = self.records.get_mut(node) else { return };
        let (confirm, incarnation, peer) = (record.profile(mine).confirm, record.incarnation(), record.peer);
        let Some(inquest) = &mut record.inquest else { return };
        let (rounds, own) = (inquest.rounds, inquest.own);
        inquest.rounds = rounds.saturating_add(1);
        inquest.next = after(now, confirm.checked_div(QUESTIONS).unwrap_or(confirm));
        if rounds >= QUESTIONS && self.conclude(node, observers.iter().any(|observer| observer.is_fresh), now) {
            return;
        }
        if rounds < QUESTIONS {
            self.out.ask(Inquiry::Echo { to: peer.address, mac: peer.mac });
            self.out.ask(Inquiry::Resolve { target: peer.address, mac: Some(peer.mac), probe: false });
        }
        if own {
            let query = Body::Query(Obituary { node: node.clone(), incarnation });
            let place = usize::try_from(rounds).unwrap_or_default();
            let turn = place.checked_rem(observers.len()).unwrap_or_default();
            for observer in observers.iter().cycle().skip(turn).take(observers.len().min(OBSERVERS)) {
                self.send(&observer.node, query.clone(), now);
            }
        }
    }

    /// Who can be asked about a peer: first those whose beats pass both ways, else whoever is thought to live.
    fn observers(&self, suspect: &NodeName, now: Instant) -> Vec<Observer> {
        let mine = self.voice.profile;
        let unable = self.records.get(suspect).and_then(|record| record.inquest.as_ref());
        let is_unable = |node: &NodeName| unable.is_some_and(|inquest| inquest.unable.contains(node));
        let able = |node: &NodeName, record: &Record| {
            matches!(record.standing, Standing::Alive(state) if state.can_observe())
                && node != suspect
                && !is_unable(node)
        };
        let observer = |(node, record): (&NodeName, &Record)| Observer {
            node: node.clone(),
            is_fresh: record.is_confirmed(record.profile(mine).patience(), mine, now),
        };
        let mut observers: Vec<_> =
            self.records.iter().filter(|(node, record)| able(node, record)).map(observer).collect();
        let fresh = observers.iter().filter(|observer| observer.is_fresh).count();
        if fresh >= OBSERVERS {
            observers.retain(|observer| observer.is_fresh);
        } else {
            observers.sort_by_key(|observer| !observer.is_fresh);
            observers.truncate(OBSERVERS.saturating_mul(2));
        }
        observers
    }

    /// Comes to a verdict, if there is enough to go by. The kernel was asked as often as it should be.
    fn conclude(&mut self, node: &NodeName, observed: bool, now: Instant) -> bool {
        // Before all else: two that ask each other must not wait for each other.
        self.report(node, now);
        let Some(record) = self.records.get(node) else { return true };
        let Some(inquest) = &record.inquest else { return true };
        if record.answered >= Some(inquest.began) || inquest.answers_others {
            self.find_answering(node, now);
        } else if !inquest.own {
            self.close(node, now);
        } else if inquest.seconded {
            self.find_dead(node, true, now);
        } else if observed && inquest.rounds <= ROUNDS {
            return false;
        } else {
            let confirmed = self.gateways.answered_since(inquest.began);
            self.find_dead(node, confirmed, now);
        }
        true
    }

    fn find_gone(&mut self, node: &NodeName, now: Instant) {
        let Some(record) = self.records.get_mut(node) else { return };
        let since = record.heard().or(record.on_ring).unwrap_or(now);
        let obituary = Obituary { node: node.clone(), incarnation: record.incarnation() };
        record.condemned = Some(obituary.incarnation);
        record.rest_until = after(now, REST);
        self.out.counts.gone = self.out.counts.gone.saturating_add(1);
        self.close(node, now);
        self.place(node, Standing::Gone { since }, now);
        self.tell_all(Body::Gone(vec![obituary]), now);
    }

    fn find_dead(&mut self, node: &NodeName, confirmed: bool, now: Instant) {
        let Some(record) = self.records.get_mut(node) else { return };
        let since = record.last_sign().or(record.on_ring).unwrap_or(now);
        let obituary = Obituary { node: node.clone(), incarnation: record.incarnation() };
        record.condemned = Some(obituary.incarnation);
        record.refused = None;
        let counts = &mut self.out.counts;
        let count = if confirmed { &mut counts.dead } else { &mut counts.unconfirmed };
        *count = count.saturating_add(1);
        self.close(node, now);
        self.place(node, Standing::Dead { since, confirmed }, now);
        if confirmed {
            self.tell_all(Body::Dead(vec![obituary]), now);
        }
    }

    /// The speaker is silent, the kernel isn't.
    fn find_answering(&mut self, node: &NodeName, now: Instant) {
        let mine = self.voice.profile;
        let Some(record) = self.records.get_mut(node) else { return };
        record.rest_until = after(now, REST);
        let standing = record.standing;
        let judged = record.hears_us(mine);
        let incarnation = record.incarnation();
        let Some(presence) = record.presence.as_ref().filter(|_| standing == Standing::Suspected) else {
            return self.close(node, now);
        };
        let (since, state) = (presence.heard, presence.state);
        if judged {
            record.condemned = Some(incarnation);
            record.starvation_told = false;
            self.out.counts.starved = self.out.counts.starved.saturating_add(1);
        }
        self.close(node, now);
        self.place(node, if judged { Standing::Starved { since } } else { Standing::Alive(state) }, now);
    }

    /// Ends a suspicion for the better.
    pub(super) fn acquit(&mut self, node: &NodeName, now: Instant) {
        let Some(record) = self.records.get(node) else { return };
        let state = record.presence.as_ref().map(|presence| presence.state);
        if record.standing == Standing::Suspected {
            self.out.counts.acquitted = self.out.counts.acquitted.saturating_add(1);
        }
        let was_suspected = record.standing == Standing::Suspected;
        self.close(node, now);
        if let Some(state) = state.filter(|_| was_suspected) {
            self.place(node, Standing::Alive(state), now);
        }
    }

    /// Ends an inquest.
    pub(super) fn close(&mut self, node: &NodeName, now: Instant) {
        self.report(node, now);
        if let Some(record) = self.records.get_mut(node) {
            record.inquest = None;
        }
        self.go_on(now);
    }

    /// Tells those who asked what was found.
    fn report(&mut self, node: &NodeName, now: Instant) {
        let mine = self.voice.profile;
        let Some(record) = self.records.get_mut(node) else { return };
        let Some((began, rounds)) = record.inquest.as_ref().map(|inquest| (inquest.began, inquest.rounds)) else {
            return;
        };
        let opinion = if record.was_heard(2, mine, now) {
            Opinion::Heard
        } else if record.answered >= Some(began) {
            Opinion::Answers
        } else if rounds >= QUESTIONS {
            Opinion::Silent
        } else {
            Opinion::Unable
        };
        if opinion != Opinion::Unable {
            record.finding = Some((now, opinion));
        }
        let askers = record.inquest.as_mut().map(|inquest| std::mem::take(&mut inquest.askers));
        for (asker, obituary) in askers.into_iter().flatten() {
            self.send(&asker, Body::Vote(obituary, opinion), now);
        }
    }

    /// Another node wants to know how a peer is.
    pub(super) fn look_into(&mut self, asker: &NodeName, obituary: Obituary, now: Instant) {
        let mine = self.voice.profile;
        let blind = self.clouded_until.is_some() || !self.carrier;
        let node = obituary.node.clone();
        let Some(record) = self.records.get_mut(&node).filter(|_| !blind) else {
            return self.send(asker, Body::Vote(obituary, Opinion::Unable), now);
        };
        let confirm = record.profile(mine).confirm;
        let found = record.finding.filter(|(at, _)| now.saturating_duration_since(*at) < confirm);
        if record.was_heard(2, mine, now) {
            return self.send(asker, Body::Vote(obituary, Opinion::Heard), now);
        }
        if let Some((_, opinion)) = found {
            return self.send(asker, Body::Vote(obituary, opinion), now);
        }
        let inquest = record.inquest.get_or_insert_with(|| Inquest::new(false, now));
        if inquest.askers.len() < ASKERS && inquest.askers.iter().all(|(name, _)| name != asker) {
            inquest.askers.push((asker.clone(), obituary));
        }
        self.hear_kernel(&node, now);
        self.look_at(&node, now);
        self.go_on(now);
    }

    /// A kernel has answered: whoever asked about it need not wait.
    pub(super) fn hear_kernel(&mut self, node: &NodeName, now: Instant) {
        let Some(record) = self.records.get_mut(node) else { return };
        let Some(inquest) = &mut record.inquest else { return };
        if record.answered < Some(inquest.began) {
            return;
        }
        let waiting = std::mem::take(&mut inquest.askers);
        let own = inquest.own;
        for (asker, obituary) in waiting {
            self.send(&asker, Body::Vote(obituary, Opinion::Answers), now);
        }
        if !own {
            self.close(node, now);
        }
    }

    /// What another observer makes of a suspect.
    pub(super) fn hear_vote(&mut self, from: &NodeName, obituary: &Obituary, opinion: Opinion, now: Instant) {
        let Some(record) = self.records.get_mut(&obituary.node) else { return };
        if record.incarnation() != obituary.incarnation {
            return;
        }
        let Some(inquest) = record.inquest.as_mut().filter(|inquest| inquest.own) else { return };
        match opinion {
            Opinion::Heard => {
                record.rest_until = after(now, REST);
                return self.acquit(&obituary.node, now);
            }
            Opinion::Answers => inquest.answers_others = true,
            Opinion::Silent => inquest.seconded = true,
            Opinion::Unable if inquest.unable.contains(from) => {}
            Opinion::Unable => inquest.unable.push(from.clone()),
        }
        // The questions are asked to the end: the suspect's kernel has the last word.
        if inquest.rounds > QUESTIONS {
            inquest.next = now;
            self.look_at(&obituary.node, now);
        }
        self.go_on(now);
    }

    /// This node can't trust its ears: whatever it suspected was its own fault.
    pub(super) fn drop_suspicions(&mut self, now: Instant) {
        let open: Vec<_> =
            self.records.iter().filter(|(_, record)| record.inquest.is_some()).map(|(node, _)| node.clone()).collect();
        self.out.counts.dropped = self.out.counts.dropped.saturating_add(open.len().try_into().unwrap_or_default());
        for node in &open {
            let Some(record) = self.records.get_mut(node) else { continue };
            record.refused = None;
            let state = record.presence.as_ref().map(|presence| presence.state);
            let was_suspected = record.standing == Standing::Suspected;
            let Some(inquest) = record.inquest.take() else { continue };
            for (asker, obituary) in inquest.askers {
                self.send(&asker, Body::Vote(obituary, Opinion::Unable), now);
            }
            if let Some(state) = state.filter(|_| was_suspected) {
                self.place(node, Standing::Alive(state), now);
            }
        }
    }
}

/// A node that can be asked about another.
struct Observer {
    node: NodeName,
    /// Messages pass both ways between it and this node.
    is_fresh: bool,
}

/// When a refusal that nothing has contradicted means that the process is gone.
fn gone_due(record: &Record, mine: Profile) -> Option<Instant> {
    let beat = record.profile(mine).beat;
    let refused = record.refused.filter(|_| !matches!(record.standing, Standing::Gone { .. } | Standing::Left))?;
    Some(after(refused, beat.saturating_add(beat.checked_div(2).unwrap_or_default())))
}

/// When all are to be told that a peer is starved.
fn starvation_due(record: &Record) -> Option<Instant> {
    match record.standing {
        Standing::Starved { since } if !record.starvation_told => Some(after(since, Standing::STARVATION)),
        _ => None,
    }
}
