//! What goes in and out of the announcer, as values.

use crate::address::Vip;
use crate::mac::MacAddr;
use crate::names::IfIndex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

/// A frame that was heard: it may claim an address, ask for one, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The Ethernet source of the frame.
    pub source: MacAddr,
    /// Whether it was addressed to this node's interface alone, and not to a group.
    pub directed: bool,
    /// Whose address the sender says it has: the sender of an ARP message or a solicitation, the target of an advertisement.
    pub claim: Option<Claim>,
    /// What it asks.
    pub question: Option<Question>,
}

impl Heard {
    /// Whether the frame comes from another Ethernet address than the sender it names.
    pub fn is_translated(&self) -> bool {
        let differs = |mac| mac != self.source;
        self.claim.is_some_and(|claim| differs(claim.mac)) || self.question.is_some_and(|asked| differs(asked.mac))
    }
}

/// "I have this address."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Where it is said to be.
    pub mac: MacAddr,
    /// Whether it was said without being asked: a gratuitous ARP message, a question with this address as sender, an
    /// unsolicited advertisement that overrides. A router that answers for others (proxy ARP, RFC 1027; proxy
    /// advertisements, RFC 4861, section 7.2.8) says none of these.
    pub unasked: bool,
}

/// "Who has this address?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The address asked for.
    pub target: IpAddr,
    /// Who asks; `None` in a probe (RFC 5227, duplicate address detection), whose sender has no address yet.
    pub asker: Option<IpAddr>,
    /// Where the answer goes.
    pub mac: MacAddr,
}

/// What became of a frame that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It asked for a VIP owned here, and is answered.
    Answered,
    /// It asked for a VIP owned here too often.
    Limited,
    /// It asked for a VIP that another node owns: only the asker is noted.
    Overheard,
    /// It claimed a VIP owned here.
    Rival,
    /// Its frame came from another Ethernet address than its sender's, and that is not allowed.
    Translated,
    /// It waited so long for this node that whoever sent it has sent it again since.
    Stale,
    /// It has nothing to do with a VIP on this interface.
    Unconcerned,
}

/// A frame to send. The Ethernet source, and the sender's or target's link-layer address, are those of [`Effect::Send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frame {
    /// Unicast ARP reply.
    ArpReply {
        /// The address that was asked for.
        vip: Ipv4Addr,
        /// Who asked; 0.0.0.0 in a probe.
        asker: Ipv4Addr,
        /// Where it goes.
        to: MacAddr,
    },
    /// Broadcast ARP request with sender and target the same (RFC 5227, section 3).
    GratuitousRequest {
        /// The address announced.
        vip: Ipv4Addr,
    },
    /// Broadcast ARP reply with sender and target the same, addresses *and* MACs: hosts that want this form want that.
    GratuitousReply {
        /// The address announced.
        vip: Ipv4Addr,
    },
    /// "Who has the target, tell the VIP": every host learns from a request for its own address (RFC 826).
    DirectedRequest {
        /// The address announced.
        vip: Ipv4Addr,
        /// Who shall learn.
        target: Ipv4Addr,
        /// Its MAC address, or broadcast where it isn't known.
        to: MacAddr,
    },
    /// Neighbour advertisement that answers a solicitation: solicited, override.
    Advertisement {
        /// The address that was asked for.
        vip: Ipv6Addr,
        /// The interface's link-local address.
        from: Ipv6Addr,
        /// Who asked.
        asker: Ipv6Addr,
        /// Where it goes.
        to: MacAddr,
    },
    /// Neighbour advertisement to all nodes that answers a probe: override, not solicited (RFC 4861, 7.2.4).
    ProbeAnswer {
        /// The address that was asked for.
        vip: Ipv6Addr,
        /// The interface's link-local address.
        from: Ipv6Addr,
    },
    /// Neighbour advertisement to all nodes that nobody asked for: override (RFC 4861, 7.2.6).
    UnsolicitedAdvertisement {
        /// The address announced.
        vip: Ipv6Addr,
        /// The interface's link-local address.
        from: Ipv6Addr,
    },
    /// Solicitation of the target with the VIP as source: the target learns from it (RFC 4861, 7.2.3).
    DirectedSolicitation {
        /// The address announced.
        vip: Ipv6Addr,
        /// Who shall learn.
        target: Ipv6Addr,
    },
}

impl Frame {
    /// The VIP that the frame announces to all; `None` for answers and for frames directed to one host.
    pub fn announced(&self) -> Option<Vip> {
        let address = match *self {
            Self::GratuitousRequest { vip } | Self::GratuitousReply { vip } => IpAddr::V4(vip),
            Self::UnsolicitedAdvertisement { vip, .. } => IpAddr::V6(vip),
            _ => return None,
        };
        Vip::new(address).ok()
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a frame.
    Send {
        /// On this interface.
        link: IfIndex,
        /// From this address.
        mac: MacAddr,
        /// This.
        frame: Frame,
    },
    /// Ask everybody on an interface whether somebody has an address that this node may take: its turn has come.
    Probe {
        /// The interface.
        link: IfIndex,
        /// The address.
        vip: Vip,
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

/// Something that happened on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first announcement of a VIP on an interface has left: newly owned, with another MAC address than before, or
    /// after the interface had lost its carrier.
    Announced {
        /// The VIP.
        vip: Vip,
        /// The interface.
        link: IfIndex,
        /// The MAC address it was announced with.
        mac: MacAddr,
        /// When.
        at: Instant,
    },
    /// The VIP is silent on all interfaces from now on.
    Withdrawn {
        /// The VIP.
        vip: Vip,
    },
    /// Another station claims a VIP owned here. At most one report a second for each VIP and interface.
    Rival {
        /// The VIP.
        vip: Vip,
        /// The interface it was heard on.
        link: IfIndex,
        /// The rival's MAC address.
        mac: MacAddr,
    },
    /// IPv6 VIPs can't be announced on an interface that has no link-local address (yet): IPv6 is off there, or
    /// duplicate address detection is not done.
    NoLinkLocal {
        /// The interface.
        link: IfIndex,
    },
}
