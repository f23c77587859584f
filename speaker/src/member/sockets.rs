//! All sockets of a member: on each interface one for frames, and one for heartbeats of each address family.
//!
//! Owns which of them is read when: heartbeats and frames take turns, and so do interfaces, so that a flood of one kind or on
//! one interface keeps nobody waiting for longer than a batch.

use super::Task;
use super::batch::Batch;
use super::beat::{BeatSocket, Family};
use super::packet::PacketSocket;
use herald_core::link::{Link, Links};
use herald_core::names::IfIndex;
use std::collections::BTreeMap;
use std::collections::btree_map::RangeMut;
use std::io;
use std::net::IpAddr;
use std::ops::Bound;
use std::task::{Context, Poll};

/// The sockets.
pub(super) struct Sockets {
    /// Of echo requests sent, so that their replies are let through.
    echo: u16,
    port: u16,
    packets: BTreeMap<IfIndex, PacketSocket>,
    beats: BTreeMap<(IfIndex, Family), BeatSocket>,
    /// Which kind's turn it is.
    beats_first: bool,
    /// Whose turn it was last; it is the next one's.
    last_beats: (IfIndex, Family),
    last_frames: IfIndex,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Frames on an interface.
    Frames(IfIndex),
    /// Heartbeats on an interface, or refusals of them.
    Beats(IfIndex),
}

/// Where it is put. Empty and without room by default, so that it can be taken out of a struct for a while.
#[derive(Default)]
pub(super) struct Inbox {
    /// Frames or datagrams.
    pub(super) batch: Batch,
    /// Peers that have refused a datagram.
    pub(super) refusals: Vec<IpAddr>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { batch: Batch::new(), refusals: Vec::new() }
    }
}

/// What became of an attempt to listen.
pub(super) struct Attempt {
    pub(super) link: IfIndex,
    pub(super) task: Task,
    pub(super) result: io::Result<()>,
}

impl Sockets {
    pub(super) const fn new(echo: u16, port: u16) -> Self {
        Self {
            echo,
            port,
            packets: BTreeMap::new(),
            beats: BTreeMap::new(),
            beats_first: true,
            last_beats: (IfIndex(0), Family::V4),
            last_frames: IfIndex(0),
        }
    }

    /// Listens on all interfaces that are there, and only on them. Says what became of each new attempt.
    pub(super) fn place(&mut self, links: &Links) -> Vec<Attempt> {
        self.packets.retain(|link, _| links.contains_key(link));
        self.beats.retain(|(link, _), _| links.contains_key(link));
        links.values().flat_map(|link| [self.listen_to_frames(link), self.listen_to_beats(link)]).flatten().collect()
    }

    fn listen_to_frames(&mut self, link: &Link) -> Option<Attempt> {
        if self.packets.contains_key(&link.index) {
            return None;
        }
        let result = PacketSocket::open(link.index, self.echo).map(|socket| {
            self.packets.insert(link.index, socket);
        });
        Some(Attempt { link: link.index, task: Task::Frames, result })
    }

    fn listen_to_beats(&mut self, link: &Link) -> Option<Attempt> {
        let missing = Family::ALL.into_iter().filter(|family| !self.beats.contains_key(&(link.index, *family)));
        let missing: Vec<_> = missing.collect();
        let results = missing.into_iter().map(|family| {
            let opened = BeatSocket::open(link, family, self.port);
            match opened.map(|socket| self.beats.insert((link.index, family), socket)) {
                // This kernel knows the other family only.
                Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
                result => Some(result.map(|_| ())),
            }
        });
        let result = results.flatten().reduce(Result::and)?;
        Some(Attempt { link: link.index, task: Task::Beats, result })
    }

    /// Waits for heartbeats or frames on any interface, and reads them.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>, inbox: &mut Inbox) -> Poll<Arrival> {
        let arrival = if self.beats_first {
            self.poll_beats(context, inbox).or_else(|| self.poll_frames(context, inbox))
        } else {
            self.poll_frames(context, inbox).or_else(|| self.poll_beats(context, inbox))
        };
        let Some(arrival) = arrival else { return Poll::Pending };
        self.beats_first = matches!(arrival, Arrival::Frames(_));
        Poll::Ready(arrival)
    }

    fn poll_beats(&mut self, context: &mut Context<'_>, inbox: &mut Inbox) -> Option<Arrival> {
        let mut poll = |sockets: RangeMut<'_, (IfIndex, Family), BeatSocket>| {
            let mut sockets = sockets.map(|(key, socket)| (*key, socket));
            sockets.find_map(|(key, socket)| {
                let read = socket.poll_receive(context, &mut inbox.batch, &mut inbox.refusals);
                read.is_ready().then_some(key)
            })
        };
        let last = self.last_beats;
        let found = poll(self.beats.range_mut((Bound::Excluded(last), Bound::Unbounded)))
            .or_else(|| poll(self.beats.range_mut(..=last)))?;
        self.last_beats = found;
        Some(Arrival::Beats(found.0))
    }

    fn poll_frames(&mut self, context: &mut Context<'_>, inbox: &mut Inbox) -> Option<Arrival> {
        let mut poll = |sockets: RangeMut<'_, IfIndex, PacketSocket>| {
            let mut sockets = sockets.map(|(link, socket)| (*link, socket));
            sockets.find_map(|(link, socket)| socket.poll_receive(context, &mut inbox.batch).is_ready().then_some(link))
        };
        let last = self.last_frames;
        let found = poll(self.packets.range_mut((Bound::Excluded(last), Bound::Unbounded)))
            .or_else(|| poll(self.packets.range_mut(..=last)))?;
        self.last_frames = found;
        Some(Arrival::Frames(found))
    }

    /// The sockets for heartbeats.
    pub(super) fn beats(&self) -> Vec<(IfIndex, Family)> {
        self.beats.keys().copied().collect()
    }

    /// Reads heartbeats that wait at a socket. Returns whether there may be something in the inbox.
    pub(super) fn receive_beats(&mut self, socket: (IfIndex, Family), inbox: &mut Inbox) -> bool {
        let Some(socket) = self.beats.get_mut(&socket) else { return false };
        let more = socket.receive_now(&mut inbox.batch, &mut inbox.refusals);
        more || !inbox.batch.is_empty() || !inbox.refusals.is_empty()
    }

    /// Sends a frame; fails at once when the interface takes none now or isn't there.
    pub(super) fn send_frame(&self, link: IfIndex, frame: &[u8]) -> io::Result<()> {
        self.packets.get(&link).ok_or(io::ErrorKind::NotConnected)?.send(frame)
    }

    /// Sends a sealed heartbeat to a peer's address.
    pub(super) fn send_beat(&self, link: IfIndex, datagram: &[u8], to: IpAddr) -> io::Result<()> {
        self.beats.get(&(link, Family::of(to))).ok_or(io::ErrorKind::NotConnected)?.send(datagram, to)
    }
}
