//! The member's loop: waits for one thing, feeds it to the core, carries out what the core says.
//!
//! What becomes of frames and datagrams is in `arrivals`, what is done about the core's effects in `effects`.

mod arrivals;
mod effects;

use super::clocks::now;
use super::groups::Groups;
use super::metrics::Metrics;
use super::outbox::Outbox;
use super::questions::Questions;
use super::sockets::{Inbox, Sockets};
use super::{Event, Feeds, Task, priority};
use crate::links::Notices;
use herald_core::link::Links;
use herald_core::liveness::Counts;
use herald_core::member::{Config, Member, Outlook};
use herald_core::names::{IfIndex, NodeName};
use herald_wire::heartbeat::Keyring;
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// The pause before a socket that could not be opened is tried again: the port may belong to the speaker before this one,
/// which is about to end.
const RETRY: Duration = Duration::from_millis(500);

/// So many batches hold all datagrams that the kernel keeps for one socket; under a flood there is always one more.
const BATCHES_WAITING: usize = 64;

/// Events told between two looks at the sockets.
const TOLD_AT_ONCE: usize = 32;

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
        priority::raise();
        self.take_feeds(&mut inputs.feeds);
        loop {
            self.keep_time();
            self.carry_out();
            self.tell(&events);
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                () = inputs.stop.cancelled() => return,
                Ok(()) = inputs.outlook.changed() => {
                    let outlook = inputs.outlook.borrow_and_update().clone();
                    self.take_outlook(outlook);
                }
                () = changed(&mut inputs.feeds) => self.take_feeds(&mut inputs.feeds),
                arrival = poll_fn(|context| self.sockets.poll_arrival(context, &mut self.inbox)) => self.take(arrival),
                () = reached(deadline) => {}
                // Room for what could not be told before.
                permit = events.reserve(), if !self.outbox.is_empty() => drop(permit),
            }
        }
    }

    /// Tells what there is room for; no more at once than delays nobody.
    fn tell(&mut self, events: &mpsc::Sender<Event>) {
        for _ in 0..TOLD_AT_ONCE {
            match events.try_reserve() {
                Ok(permit) => match self.outbox.pop() {
                    Some(event) => permit.send(event),
                    None => return,
                },
                Err(TrySendError::Full(())) => return,
                // Nobody listens any more.
                Err(TrySendError::Closed(())) => return self.outbox.clear(),
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
        let Self { links, groups, peers, counted, .. } = self;
        groups.keep_only(|link| links.contains_key(&link));
        peers.retain(|(link, _), _| links.contains_key(link));
        counted.retain(|link, _| links.contains_key(link));
        groups.retry();
        self.place_sockets();
        self.lift_hindrances();
        self.core.set_links(&self.links, now());
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
