//! The member's loop: waits for one thing, feeds it to the core, carries out what the core says.

use super::clocks::now;
use super::groups::Groups;
use super::metrics::Metrics;
use super::outbox::Outbox;
use super::questions::{self, Questions};
use super::sockets::{Arrival, Attempt, Inbox, Sockets};
use super::{Event, Feeds, Task, frames, hindrance, priority};
use crate::links::Notices;
use herald_core::announce::{Frame, Verdict};
use herald_core::link::Links;
use herald_core::liveness::{Counts, Envelope, Inquiry};
use herald_core::mac::MacAddr;
use herald_core::member::{self, Config, Effect, Member, Outlook};
use herald_core::names::{IfIndex, NodeName};
use herald_wire::heartbeat::Keyring;
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// The pause before a socket that could not be opened is tried again: the port may belong to the speaker before this one,
/// which is about to end.
const RETRY: Duration = Duration::from_millis(500);

/// So many batches hold all datagrams that the kernel keeps for one socket; under a flood there is always one more.
const BATCHES_WAITING: usize = 64;

/// What moves the member besides frames, heartbeats and time.
pub(super) struct Inputs {
    pub(super) outlook: watch::Receiver<Arc<Outlook>>,
    pub(super) feeds: Feeds,
    pub(super) stop: CancellationToken,
}

pub(super) struct Driver {
    core: Member,
    node: NodeName,
    port: u16,
    keys: Arc<Keyring>,
    links: Links,
    notices: Notices,
    sockets: Sockets,
    inbox: Inbox,
    /// For what is read before time is told.
    drained: Inbox,
    /// When to try again to open sockets.
    retry: Option<Instant>,
    /// Which node was last sent something at an address, for whom a refusal comes from there.
    peers: BTreeMap<(IfIndex, IpAddr), NodeName>,
    questions: Questions,
    groups: Groups,
    hindrances: BTreeMap<(IfIndex, Task), String>,
    outbox: Outbox,
    metrics: Metrics,
    /// What of the core's counts is in the metrics.
    counted: BTreeMap<IfIndex, Counts>,
}

impl Driver {
    pub(super) fn new(config: Config, port: u16, metrics: Metrics) -> Self {
        let node = config.node.clone();
        let questions = Questions::new(config.life);
        Self {
            core: Member::new(config, now()),
            node,
            port,
            keys: Arc::default(),
            links: Links::new(),
            notices: Notices::new(),
            sockets: Sockets::new(questions.identifier(), port),
            inbox: Inbox::new(),
            drained: Inbox::new(),
            retry: None,
            peers: BTreeMap::new(),
            questions,
            groups: Groups::default(),
            hindrances: BTreeMap::new(),
            outbox: Outbox::default(),
            metrics,
            counted: BTreeMap::new(),
        }
    }

    /// Runs until it is told to stop. Every wait can be given up without loss: channels keep what was not taken, and what
    /// arrives stays in the kernel until it is read.
    pub(super) async fn run(mut self, mut inputs: Inputs, events: mpsc::Sender<Event>) {
        if let Err(error) = priority::raise() {
            tracing::info!(%error, "no real-time priority (capability SYS_NICE): answers may come late on a busy node");
        }
        self.take_feeds(&mut inputs.feeds);
        loop {
            self.keep_time();
            self.carry_out();
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                () = inputs.stop.cancelled() => return,
                Ok(()) = inputs.outlook.changed() => {
                    let outlook = inputs.outlook.borrow_and_update().clone();
                    self.take_outlook(outlook);
                }
                () = changed(&mut inputs.feeds) => self.take_feeds(&mut inputs.feeds),
                permit = events.reserve(), if !self.outbox.is_empty() => match (permit, self.outbox.pop()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    // Nobody listens any more.
                    _ => self.outbox.clear(),
                },
                arrival = poll_fn(|context| self.sockets.poll_arrival(context, &mut self.inbox)) => self.take(arrival),
                () = reached(deadline) => {}
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.core.next_deadline(now()), self.retry].into_iter().flatten().min()
    }

    /// Does what has become due, after taking in every heartbeat that has arrived, whether or not the event loop knows of it
    /// yet: only then does silence mean something.
    fn keep_time(&mut self) {
        if self.retry.is_some_and(|retry| retry <= now()) {
            self.place_sockets();
        }
        let Some(due) = self.core.next_deadline(now()).filter(|due| *due <= now()) else { return };
        let mut inbox = std::mem::take(&mut self.drained);
        for socket in self.sockets.beats() {
            for _ in 0..BATCHES_WAITING {
                if !self.sockets.receive_beats(socket, &mut inbox) {
                    break;
                }
                self.take_beats(socket.0, &inbox);
            }
        }
        self.drained = inbox;
        let now = now();
        self.metrics.beats().late(now.saturating_duration_since(due));
        self.core.handle_timeout(now);
        self.count();
    }

    /// Shows what the core has counted since the last time.
    fn count(&mut self) {
        for link in self.links.keys() {
            let Some(counts) = self.core.counts(*link) else { continue };
            let before = self.counted.entry(*link).or_default();
            if before != counts {
                self.metrics.beats().follow(before, counts);
                *before = *counts;
            }
        }
    }

    fn take_outlook(&mut self, outlook: Arc<Outlook>) {
        // Addresses may have changed hands; whoever is still there is sent to again soon.
        self.peers.clear();
        self.core.set_outlook(outlook, now());
    }

    fn take_feeds(&mut self, feeds: &mut Feeds) {
        let Feeds { links, notices, keys, profile } = feeds;
        self.keys = keys.borrow_and_update().clone();
        self.core.set_profile(*profile.borrow_and_update(), now());
        let links = links.borrow_and_update().clone();
        if links != self.links {
            self.take_links(links);
        }
        let notices = notices.borrow_and_update().clone();
        self.take_notices(notices);
    }

    fn take_links(&mut self, links: Links) {
        self.links = links;
        let Self { links, groups, peers, hindrances, counted, .. } = self;
        groups.keep_only(|link| links.contains_key(&link));
        peers.retain(|(link, _), _| links.contains_key(link));
        hindrances.retain(|(link, _), _| links.contains_key(link));
        counted.retain(|link, _| links.contains_key(link));
        groups.retry();
        self.place_sockets();
        self.lift_hindrances();
        self.core.set_links(&self.links, now());
    }

    /// Tells of what hinders no more since the interfaces have changed.
    fn lift_hindrances(&mut self) {
        let is_lifted = |(link, task): &(IfIndex, Task)| match task {
            Task::Groups => !self.groups.is_refused(*link),
            Task::Advertisements => self.links.get(link).is_some_and(|link| link.link_local.is_some()),
            Task::Frames | Task::Beats => false,
        };
        let lifted: Vec<_> = self.hindrances.keys().filter(|key| is_lifted(key)).copied().collect();
        for (link, task) in lifted {
            self.hinder(link, task, None);
        }
    }

    fn take_notices(&mut self, notices: Notices) {
        for (link, count) in &notices {
            if self.notices.get(link) != Some(count) {
                tracing::info!(link = link.0, "the kernel wants neighbours to relearn: VIPs are announced again");
                self.core.handle_relearn(*link, now());
            }
        }
        self.notices = notices;
    }

    fn take(&mut self, arrival: Arrival) {
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

    fn take_beats(&mut self, link: IfIndex, inbox: &Inbox) {
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
            frames::Sound::Resolution(heard) => {
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
            frames::Sound::Echo { from, mac } => {
                self.metrics.beats().echoed();
                self.core.handle_echo(link, from, mac, received, now());
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send { link, mac, frame } => self.send(link, mac, &frame),
                Effect::Ask { link, mac, from, inquiry } => self.ask(link, mac, from, &inquiry),
                Effect::Datagram { link, to, address, envelope } => self.send_beat(link, to, address, &envelope),
                Effect::Join { link, group } => self.join(link, group),
                Effect::Leave { link, group } => self.groups.leave(link, group),
                Effect::Report(member::Event::NoLinkLocal { link }) => {
                    let hindrance = hindrance::no_link_local(&self.name(link));
                    self.hinder(link, Task::Advertisements, Some(hindrance));
                }
                Effect::Report(event) => self.outbox.push(Event::Member(event)),
            }
        }
    }

    fn send(&mut self, link: IfIndex, mac: MacAddr, frame: &Frame) {
        let kind = frames::kind(frame);
        match self.sockets.send_frame(link, &frames::encode(frame, mac)) {
            Ok(()) => {
                self.metrics.sent(kind);
                self.core.handle_sent(link, mac, frame, now());
            }
            Err(error) => {
                tracing::debug!(link = link.0, kind, %error, "a frame was not sent");
                self.metrics.unsent(kind);
            }
        }
    }

    fn ask(&mut self, link: IfIndex, mac: MacAddr, from: Option<IpAddr>, inquiry: &Inquiry) {
        let kind = questions::kind(inquiry);
        let Some(frame) = self.questions.encode(inquiry, mac, from) else { return self.metrics.unsent(kind) };
        match self.sockets.send_frame(link, &frame) {
            Ok(()) => self.metrics.sent(kind),
            Err(error) => {
                tracing::debug!(link = link.0, kind, %error, "a question was not sent");
                self.metrics.unsent(kind);
            }
        }
    }

    fn send_beat(&mut self, link: IfIndex, to: NodeName, address: IpAddr, envelope: &Envelope) {
        let Some(datagram) = self.keys.seal(envelope, &to, now()) else { return self.metrics.beats().unsent("no_key") };
        let peer = (link, address);
        if self.peers.get(&peer) != Some(&to) {
            self.peers.insert(peer, to);
        }
        match self.sockets.send_beat(link, &datagram, address) {
            Ok(()) => self.metrics.beats().sent(),
            Err(error) => {
                tracing::debug!(link = link.0, %address, %error, "a heartbeat was not sent");
                self.metrics.beats().unsent("refused_by_kernel");
            }
        }
    }

    fn join(&mut self, link: IfIndex, group: Ipv6Addr) {
        if let Err(error) = self.groups.join(link, group) {
            let hindrance = hindrance::no_group(&self.name(link), group, &error);
            self.hinder(link, Task::Groups, Some(hindrance));
        }
    }

    /// Listens on all interfaces that are there. What doesn't work now may work later.
    fn place_sockets(&mut self) {
        self.retry = None;
        for Attempt { link, task, result } in self.sockets.place(&self.links) {
            let hindrance = result.err().map(|error| {
                self.retry = now().checked_add(RETRY);
                hindrance::no_socket(&self.name(link), task, self.port, &error)
            });
            self.hinder(link, task, hindrance);
        }
    }

    /// Tells what hinders a task on an interface, and once when nothing does any more.
    fn hinder(&mut self, link: IfIndex, task: Task, hindrance: Option<String>) {
        if self.hindrances.get(&(link, task)) == hindrance.as_ref() {
            return;
        }
        match &hindrance {
            Some(text) => self.hindrances.insert((link, task), text.clone()),
            None => self.hindrances.remove(&(link, task)),
        };
        self.outbox.push(Event::Hindered { link, task, hindrance });
    }

    fn name(&self, link: IfIndex) -> String {
        self.links.get(&link).map_or_else(|| format!("interface {link}"), |link| link.name.to_string())
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Waits until one of the feeds has something new.
async fn changed(feeds: &mut Feeds) {
    let Feeds { links, notices, keys, profile } = feeds;
    tokio::select! {
        Ok(()) = links.changed() => {}
        Ok(()) = notices.changed() => {}
        Ok(()) = keys.changed() => {}
        Ok(()) = profile.changed() => {}
        else => pending().await,
    }
}
