//! What travels through the switch.

use std::net::IpAddr;

use herald_core::mac::MacAddr;
use herald_wire::ethernet::Frame;

/// An Ethernet frame, with as much of its content as matters to somebody.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) source: MacAddr,
    pub(super) destination: MacAddr,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// ARP or neighbour discovery, as the codec has read it from the frame's bytes.
    Resolution(Frame),
    /// A sealed heartbeat.
    Datagram {
        from: IpAddr,
        to: IpAddr,
        bytes: Vec<u8>,
    },
    /// ICMP port unreachable, about a datagram to `from`.
    Refusal {
        from: IpAddr,
    },
    EchoRequest {
        to: IpAddr,
    },
    EchoReply {
        from: IpAddr,
    },
}

impl Packet {
    /// The packet of a frame's bytes.
    pub(super) fn resolution(bytes: &[u8]) -> Self {
        let frame = Frame::decode(bytes).expect("what the codec has written it can read");
        let (source, destination) = match &frame {
            Frame::Arp(message) => (message.source, message.destination),
            Frame::Neighbor(packet) => (packet.source, packet.destination),
        };
        Self { source: MacAddr(source), destination: MacAddr(destination), content: Content::Resolution(frame) }
    }
}
