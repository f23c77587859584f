//! What comes out of a member, as values: what to send and ask, and what the rest of the speaker should know.

use crate::address::Vip;
use crate::announce::Frame;
use crate::liveness::{Envelope, Inquiry, Standing, Witness};
use crate::mac::MacAddr;
use crate::names::{IfIndex, NodeName};
use crate::ownership::Unowned;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a frame that answers or announces. What became of it is told by [`super::Member::handle_sent`].
    Send {
        /// On this interface.
        link: IfIndex,
        /// From this address.
        mac: MacAddr,
        /// This.
        frame: Frame,
    },
    /// Ask a kernel, or everybody.
    Ask {
        /// On this interface.
        link: IfIndex,
        /// From this Ethernet address.
        mac: MacAddr,
        /// From this address; `None`: without one (a probe).
        from: Option<IpAddr>,
        /// This.
        inquiry: Inquiry,
    },
    /// Send a sealed message.
    Datagram {
        /// On this interface.
        link: IfIndex,
        /// To this node.
        to: NodeName,
        /// At this address.
        address: IpAddr,
        /// This.
        envelope: Envelope,
    },
    /// Become a member of a multicast group on an interface.
    Join {
        /// The interface.
        link: IfIndex,
        /// The group.
        group: Ipv6Addr,
    },
    /// Be no member any more.
    Leave {
        /// The interface.
        link: IfIndex,
        /// The group.
        group: Ipv6Addr,
    },
    /// Tell the rest of the speaker.
    Report(Event),
}

/// Something that the rest of the speaker should know. Of those about the same thing ([`Event::about`]) only the latest
/// matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What this node does about an address has changed.
    Vip {
        /// The address.
        vip: Vip,
        /// What it does now.
        state: VipState,
    },
    /// A peer stands otherwise than before.
    Peer {
        /// On this interface.
        link: IfIndex,
        /// The peer.
        node: NodeName,
        /// How.
        standing: Standing,
    },
    /// What speaks for this node being connected has changed.
    Witness {
        /// On this interface.
        link: IfIndex,
        /// What it is now.
        witness: Witness,
    },
    /// This node was late, and judges nobody for a while; or it judges again.
    Degraded {
        /// On this interface.
        link: IfIndex,
        /// Whether it holds back.
        degraded: bool,
    },
    /// This node was late by so much.
    Woke {
        /// Between when it wanted to act and when it could.
        lateness: Duration,
    },
    /// A free address was asked for.
    Probed {
        /// The address.
        vip: Vip,
        /// Who answered.
        answer: Option<MacAddr>,
        /// When that was settled.
        at: Instant,
    },
    /// An address that another node announces was asked for.
    Verified {
        /// The address.
        vip: Vip,
        /// The node that announces it.
        node: NodeName,
        /// Who answered.
        answer: Option<MacAddr>,
        /// Whether that is the right one.
        right: bool,
        /// When that was settled.
        at: Instant,
    },
    /// IPv6 addresses can't be announced on an interface that has no link-local address.
    NoLinkLocal {
        /// The interface.
        link: IfIndex,
    },
    /// Two processes speak under this name at the same time; perhaps this node's own.
    DuplicateName {
        /// The name.
        node: NodeName,
    },
    /// A peer's kernel begins, or ceases, to refuse messages although its speaker runs: a packet filter.
    Refusing {
        /// On this interface.
        link: IfIndex,
        /// The peer.
        node: NodeName,
        /// Whether it does.
        refuses: bool,
    },
}

/// What an [`Event`] is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// What this node does about an address.
    Vip(Vip),
    /// A peer on an interface.
    Peer(IfIndex, NodeName),
    /// This node's being connected.
    Witness(IfIndex),
    /// This node's being late.
    Degraded(IfIndex),
    /// How late it was.
    Woke,
    /// A free address.
    Probed(Vip),
    /// Another node's address.
    Verified(Vip),
    /// An interface without link-local address.
    NoLinkLocal(IfIndex),
    /// A name.
    DuplicateName(NodeName),
    /// A peer's packet filter.
    Refusing(IfIndex, NodeName),
}

impl Event {
    /// What it is about.
    pub fn about(&self) -> About {
        match self {
            Self::Vip { vip, .. } => About::Vip(*vip),
            Self::Peer { link, node, .. } => About::Peer(*link, node.clone()),
            Self::Witness { link, .. } => About::Witness(*link),
            Self::Degraded { link, .. } => About::Degraded(*link),
            Self::Woke { .. } => About::Woke,
            Self::Probed { vip, .. } => About::Probed(*vip),
            Self::Verified { vip, .. } => About::Verified(*vip),
            Self::NoLinkLocal { link } => About::NoLinkLocal(*link),
            Self::DuplicateName { node } => About::DuplicateName(node.clone()),
            Self::Refusing { link, node, .. } => About::Refusing(*link, node.clone()),
        }
    }
}

/// What this node does about an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VipState {
    /// What it does.
    pub tenure: Tenure,
    /// Where its first announcement has left, and with which Ethernet address.
    pub announced: BTreeMap<IfIndex, MacAddr>,
    /// Who else has the address.
    pub conflict: Option<Conflict>,
}

/// What this node is to an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tenure {
    /// Nothing: it is another node's, or nobody's and another node says why.
    #[default]
    Idle,
    /// Nobody can announce it, and this node is the one to say so.
    Unowned(Unowned),
    /// It is this node's turn, and the wire is being asked whether the address is free, or shall be asked again: see
    /// [`VipState::conflict`].
    Probing,
    /// It announces it and answers for it.
    Announcing {
        /// The epoch of its claim.
        epoch: u64,
        /// How it came by it.
        came: Came,
    },
    /// It announces it and answers for it until another node does.
    Yielding {
        /// The epoch of its claim.
        epoch: u64,
        /// How it came by it.
        came: Came,
        /// Who shall take it; `None` while nobody is there.
        to: Option<NodeName>,
    },
    /// Its claim holds, but it is silent: cut off from the segment, or just woken and not sure yet.
    Suspended {
        /// The epoch of its claim.
        epoch: u64,
    },
}

impl Tenure {
    /// Whether this node answers for the address.
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Announcing { .. } | Self::Yielding { .. })
    }
}

/// How this node came by an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Came {
    /// Why.
    pub cause: Cause,
    /// Who had it before; `None`: nobody that is known.
    pub from: Option<NodeName>,
    /// When its first announcement left; `None` until then.
    pub at: Option<Instant>,
    /// How long nobody who was alive had announced it: from the last sign of life of the node before to the first
    /// announcement. Zero when the node before went on until then. `None` where that isn't known.
    pub gap: Option<Duration>,
}

/// Why an address changed nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Nobody had it before.
    Allocated,
    /// This node had it before its speaker was started again.
    Resumed,
    /// The node before is dead: its kernel is silent.
    Dead,
    /// The speaker of the node before has ended without handing over.
    Gone,
    /// The speaker of the node before doesn't run any more or doesn't get to run.
    Starved,
    /// The node before has left in order, or is no node any more.
    Left,
    /// The node before can't announce it any more, and didn't hand over.
    Unfit,
    /// The node before has handed it over because it is leaving.
    Handover,
    /// The node before has handed it over because it was wanted here.
    Moved,
}

/// Somebody who is no owner has the address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conflict {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Where it was heard.
    pub link: IfIndex,
    /// The member whose Ethernet address that is: another load balancer runs there.
    pub node: Option<NodeName>,
}
