//! The announcer's loop: waits for one event, feeds it to the core, carries out what the core says.

use super::groups::Groups;
use super::metrics::Metrics;
use super::socket::{Batch, PacketSocket, raise_priority, wall_clock};
use super::{Announcements, Config, Event, frames};
use crate::links::Notices;
use herald_core::announce::{Announcer, Effect, Event as WireEvent, Frame, Verdict};
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use herald_core::names::IfIndex;
use herald_wire::ethernet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// Beyond this, events that wait for the speaker make room by what they make obsolete.
const BACKLOG: usize = 1024;

/// What moves the announcer besides frames and time.
pub(super) struct Inputs {
    pub(super) announcements: watch::Receiver<Announcements>,
    pub(super) links: watch::Receiver<Links>,
    pub(super) notices: watch::Receiver<Notices>,
    pub(super) stop: CancellationToken,
}

pub(super) struct Driver {
    core: Announcer,
    links: Links,
    notices: Notices,
    /// Interfaces on which some VIP is owned or might be.
    wanted: BTreeSet<IfIndex>,
    sockets: BTreeMap<IfIndex, PacketSocket>,
    groups: Groups,
    batch: Batch,
    /// Whose turn it is to be read first, so that a flood on one interface leaves the others alone.
    turn: usize,
    backlog: VecDeque<Event>,
    metrics: Metrics,
}

#[expect(clippy::disallowed_methods, reason = "the driver tells the core the time")]
fn now() -> Instant {
    Instant::now()
}

impl Driver {
    pub(super) fn new(config: Config, metrics: Metrics) -> Self {
        Self {
            core: Announcer::new(config),
            links: Links::new(),
            notices: Notices::new(),
            wanted: BTreeSet::new(),
            sockets: BTreeMap::new(),
            groups: Groups::default(),
            batch: Batch::new(),
            turn: 0,
            backlog: VecDeque::new(),
            metrics,
        }
    }

    /// Runs until it is told to stop or nobody is left to say what to announce. Every wait can be given up without loss:
    /// channels keep what was not taken, and frames stay in the kernel until they are read.
    pub(super) async fn run(mut self, mut inputs: Inputs, events: mpsc::Sender<Event>) {
        if let Err(error) = raise_priority() {
            tracing::info!(%error, "no real-time priority (capability SYS_NICE): answers may come late on a busy node");
        }
        let links = inputs.links.borrow_and_update().clone();
        self.take_links(links);
        loop {
            let deadline = self.core.next_deadline(now());
            tokio::select! {
                biased;
                () = inputs.stop.cancelled() => return,
                Ok(()) = inputs.announcements.changed() => {
                    let announcements = inputs.announcements.borrow_and_update().clone();
                    self.take_announcements(announcements);
                }
                Ok(()) = inputs.links.changed() => {
                    let links = inputs.links.borrow_and_update().clone();
                    self.take_links(links);
                }
                Ok(()) = inputs.notices.changed() => {
                    let notices = inputs.notices.borrow_and_update().clone();
                    self.take_notices(notices);
                }
                () = reached(deadline) => self.core.handle_timeout(now()),
                permit = events.reserve(), if !self.backlog.is_empty() => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    // Nobody listens any more.
                    _ => self.backlog.clear(),
                },
                (link, read) = readable(&self.sockets, &mut self.batch, self.turn) => self.take_frames(link, read),
            }
            self.carry_out();
        }
    }

    fn take_announcements(&mut self, announcements: Announcements) {
        self.wanted = [&announcements.owned, &announcements.candidates]
            .into_iter()
            .flat_map(BTreeMap::values)
            .flatten()
            .copied()
            .collect();
        self.place_sockets();
        self.core.set_announcements(announcements, now());
    }

    fn take_links(&mut self, links: Links) {
        self.links = links;
        self.groups.keep_only(|link| self.links.contains_key(&link));
        self.place_sockets();
        self.groups.retry();
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

    /// Listens on all interfaces that are wanted and there, and only on them.
    fn place_sockets(&mut self) {
        let Self { wanted, links, sockets, .. } = self;
        sockets.retain(|link, _| wanted.contains(link) && links.contains_key(link));
        for link in wanted.iter().filter(|link| links.contains_key(link)) {
            if sockets.contains_key(link) {
                continue;
            }
            match PacketSocket::open(*link) {
                Ok(socket) => {
                    sockets.insert(*link, socket);
                }
                Err(error) => {
                    let hindrance = format!("no packet socket on {}: {error}", name(links, *link));
                    report(&mut self.backlog, Event::Hindered { link: *link, hindrance });
                }
            }
        }
    }

    fn take_frames(&mut self, link: IfIndex, read: io::Result<()>) {
        self.turn = self.turn.wrapping_add(1);
        if let Err(error) = read {
            // The interface went down; what comes after it came up again is heard.
            tracing::debug!(link = link.0, %error, "reading frames");
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        for (frame, received) in batch.frames() {
            self.take_frame(link, frame, received);
        }
        self.batch = batch;
    }

    fn take_frame(&mut self, link: IfIndex, frame: &[u8], received: Option<Duration>) {
        let heard = match ethernet::Frame::decode(frame) {
            Ok(frame) => frames::heard(&frame),
            Err(error) => {
                tracing::trace!(link = link.0, %error, "dropped");
                self.metrics.malformed(error.reason());
                return;
            }
        };
        if heard.is_translated() {
            self.metrics.translated();
        }
        let verdict = self.core.handle_frame(link, &heard, now());
        self.metrics.received(verdict);
        if verdict == Verdict::Answered {
            self.carry_out();
            if let Some(received) = received {
                self.metrics.answered_after(wall_clock().saturating_sub(received));
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send { link, mac, frame } => self.send(link, mac, &frame),
                Effect::Join { link, group } => {
                    if let Err(error) = self.groups.join(link, group) {
                        let name = name(&self.links, link);
                        let hindrance = format!(
                            "{name} can't join the solicited-node group {group}: {error}; is IPv6 disabled there \
                             (net.ipv6.conf.{name}.disable_ipv6)?"
                        );
                        report(&mut self.backlog, Event::Hindered { link, hindrance });
                    }
                }
                Effect::Leave { link, group } => self.groups.leave(link, group),
                Effect::Report(event) => {
                    let event = self.describe(&event);
                    report(&mut self.backlog, event);
                }
            }
        }
    }

    fn send(&mut self, link: IfIndex, mac: MacAddr, frame: &Frame) {
        let kind = frames::kind(frame);
        let Some(socket) = self.sockets.get(&link) else { return self.metrics.unsent(kind) };
        match socket.send(&frames::encode(frame, mac)) {
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

    fn describe(&self, event: &WireEvent) -> Event {
        match *event {
            WireEvent::Announced { vip, link, mac, at } => Event::Announced { vip, link, mac, at },
            WireEvent::Withdrawn { vip } => Event::Withdrawn { vip },
            WireEvent::Rival { vip, link, mac } => Event::Rival { vip, link, mac },
            WireEvent::NoLinkLocal { link } => {
                let name = name(&self.links, link);
                let hindrance = format!(
                    "{name} has no IPv6 link-local address, so IPv6 addresses are not announced there: enable IPv6 \
                     (net.ipv6.conf.{name}.disable_ipv6=0) and address generation (ip link set {name} addrgenmode eui64)"
                );
                Event::Hindered { link, hindrance }
            }
        }
    }
}

fn name(links: &Links, link: IfIndex) -> String {
    links.get(&link).map_or_else(|| format!("interface {link}"), |link| link.name.to_string())
}

/// Queues an event. With many waiting, it replaces those it makes obsolete, so that no more wait than there are VIPs on
/// interfaces, some of each kind.
fn report(backlog: &mut VecDeque<Event>, event: Event) {
    if backlog.len() >= BACKLOG {
        backlog.retain(|waiting| !is_obsolete(waiting, &event));
    }
    backlog.push_back(event);
}

fn is_obsolete(waiting: &Event, next: &Event) -> bool {
    match (waiting, next) {
        (
            Event::Announced { vip, .. } | Event::Withdrawn { vip } | Event::Rival { vip, .. },
            Event::Withdrawn { vip: gone },
        ) => vip == gone,
        (Event::Announced { vip, link, .. }, Event::Announced { vip: again, link: there, .. })
        | (Event::Rival { vip, link, .. }, Event::Rival { vip: again, link: there, .. }) => {
            (vip, link) == (again, there)
        }
        (Event::Hindered { link, .. }, Event::Hindered { link: there, .. }) => link == there,
        _ => false,
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Waits for frames on any interface, and reads them.
fn readable<'a>(
    sockets: &'a BTreeMap<IfIndex, PacketSocket>,
    batch: &'a mut Batch,
    turn: usize,
) -> impl Future<Output = (IfIndex, io::Result<()>)> + 'a {
    poll_fn(move |context| {
        let first = turn.checked_rem(sockets.len()).unwrap_or(0);
        for (link, socket) in sockets.iter().skip(first).chain(sockets.iter().take(first)) {
            if let Poll::Ready(read) = socket.poll_receive(context, batch) {
                return Poll::Ready((*link, read));
            }
        }
        Poll::Pending
    })
}
