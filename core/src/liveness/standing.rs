//! What goes out of the [`Detector`](super::Detector), as values: how each peer stands, what to send, what to ask.

use super::message::{Envelope, State};
use crate::mac::MacAddr;
use crate::names::NodeName;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Where a peer is on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address there, which beats are sent to and its kernel answers for.
    pub address: IpAddr,
    /// Its Ethernet address there.
    pub mac: MacAddr,
}

/// How a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Never heard. It runs or not, as the API server says.
    Unheard,
    /// Its speaker runs, and says this of itself.
    Alive(State),
    /// Its speaker is silent, and is being looked into.
    Suspected,
    /// Its speaker's process has ended: its kernel refuses beats. It still forwards.
    Gone {
        /// Its last sign of life.
        since: Instant,
    },
    /// Its speaker is silent, but its kernel answers: it still forwards.
    Starved {
        /// Its last beat.
        since: Instant,
    },
    /// Its kernel is silent too.
    Dead {
        /// Its last sign of life.
        since: Instant,
        /// Whether another observer or the gateway's answer bears it out. Without, it may be this node that is cut off.
        confirmed: bool,
    },
    /// It has said that it has nothing left and ends.
    Left,
}

impl Standing {
    /// How long a silent speaker whose kernel answers keeps its addresses, counted from its last beat.
    pub const STARVATION: Duration = Duration::from_secs(3);

    /// Whether the peer takes part: its speaker runs, or there is no better knowledge than that.
    pub const fn takes_part(self) -> bool {
        matches!(self, Self::Unheard | Self::Alive(_) | Self::Suspected)
    }

    /// Since when it has fallen out, if it has.
    pub const fn fallen_since(self) -> Option<Instant> {
        match self {
            Self::Gone { since } | Self::Starved { since } | Self::Dead { since, .. } => Some(since),
            Self::Unheard | Self::Alive(_) | Self::Suspected | Self::Left => None,
        }
    }
}

/// Whether a gateway of the segment answers this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gateway {
    /// None is known, or none has ever answered.
    #[default]
    Unknown,
    /// One answers.
    Answers,
    /// One has answered before and doesn't now.
    Silent,
}

/// What speaks for this node being connected to the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Whether, with this node itself, more than half of its neighbours not known to have fallen are heard and hear it.
    pub majority: bool,
    /// What the gateway says.
    pub gateway: Gateway,
    /// Neither speaks for it, for so long that others may act: it must fall silent.
    pub passive: bool,
}

/// A question to somebody's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inquiry {
    /// An ICMP echo request in a frame to a known Ethernet address.
    Echo {
        /// Who is asked.
        to: IpAddr,
        /// Where.
        mac: MacAddr,
    },
    /// An ARP request or a neighbour solicitation.
    Resolve {
        /// Whose Ethernet address is asked for.
        target: IpAddr,
        /// Who is asked: one station, or everybody (broadcast; the solicited-node group).
        mac: Option<MacAddr>,
        /// Without the asker's address (RFC 5227 probe: sender 0.0.0.0; RFC 4862 probe: source `::`).
        probe: bool,
    },
}

/// Something to do, or to take note of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// To this node.
        to: NodeName,
        /// At this address.
        address: IpAddr,
        /// This.
        envelope: Envelope,
    },
    /// Ask a kernel.
    Ask(Inquiry),
    /// A peer stands otherwise than before.
    Changed(NodeName),
    /// A neighbour in a new life was heard, which may know nothing of what was told to all.
    Met(NodeName),
    /// [`Witness`] is another than before.
    Witness,
    /// This node itself was late by so much.
    Woke {
        /// Between when it wanted to act and when it could.
        lateness: Duration,
    },
    /// This node begins, or ceases, to hold its own judgement for clouded after having been late.
    Degraded(bool),
    /// Two processes speak under this name at the same time; perhaps this node's own. The first one counts.
    DuplicateName(NodeName),
    /// A peer's kernel begins, or ceases, to refuse beats although its speaker runs: a packet filter.
    Refusing {
        /// The peer.
        node: NodeName,
        /// Whether it does.
        refuses: bool,
    },
}

/// What has happened so far, each a number that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent.
    pub sent: u64,
    /// Messages taken as signs of life.
    pub heard: u64,
    /// Dropped: from a node that is not known to share the segment.
    pub strangers: u64,
    /// Dropped: under this node's own name.
    pub impostors: u64,
    /// Dropped: their sequence number was there before, or is too old to tell.
    pub replayed: u64,
    /// Dropped: from a life that another one has followed.
    pub superseded: u64,
    /// Not believed yet: a new life that has not shown that it hears this one now.
    pub unproven: u64,
    /// Refusals by a peer's kernel (ICMP port unreachable).
    pub refused: u64,
    /// Questions to kernels.
    pub inquiries: u64,
    /// Peers suspected.
    pub suspected: u64,
    /// Suspicions that ended with a sign of life, or another's word for one.
    pub acquitted: u64,
    /// Suspicions dropped because this node itself was late.
    pub dropped: u64,
    /// Peers found gone.
    pub gone: u64,
    /// Peers found starved.
    pub starved: u64,
    /// Peers found dead with another's consent.
    pub dead: u64,
    /// Peers found dead without.
    pub unconfirmed: u64,
    /// Verdicts taken over from others.
    pub told: u64,
    /// Verdicts of others about this node, which it has refuted.
    pub refuted: u64,
    /// Times this node was late.
    pub late: u64,
    /// Times two processes spoke under one name.
    pub duplicates: u64,
}
