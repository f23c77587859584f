//! Echo requests and their replies (RFC 792; RFC 4443, section 4): a host's kernel answers them without any process.
//!
//! ```text
//! +------------+----------+--------------+
//! | type (1)   | code (1) | checksum (2) |   8 = request, 0 = reply; 128 and 129 in IPv6; 0
//! +------------+----------+--------------+
//! | identifier (2) | sequence (2)        |
//! +----------------+---------------------+
//! ```

use crate::ethernet::{self, DecodeError, Mac};
use pnet_packet::ethernet::{EtherType, EthernetPacket};
use pnet_packet::icmp::IcmpPacket;
use pnet_packet::icmpv6::Icmpv6Packet;
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv4::{Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet_packet::{icmp, icmpv6, ipv4};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const REQUEST: u8 = 8;
const REPLY: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;

/// Bytes of an echo message without data.
const LENGTH: usize = 8;
const IPV4_HEADER_LENGTH: usize = 20;
const IPV6_HEADER_LENGTH: usize = 40;
/// What hosts usually send with. The one who is asked is on the same segment.
const HOP_LIMIT: u8 = 64;

/// An echo message with the packet and frame it travels in. We write requests and read replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source.
    pub source: Mac,
    /// IP source.
    pub from: IpAddr,
    /// IP destination.
    pub to: IpAddr,
    /// Tells the one who asks whose request is answered.
    pub identifier: u16,
    /// Counts the requests.
    pub sequence: u16,
}

/// Whether a frame is for [`Echo::decode`]: what the filter lets through of IPv4, and of IPv6 what is an echo reply.
pub fn is_echo(frame: &[u8]) -> bool {
    let payload = frame.get(ethernet::HEADER_LENGTH..).unwrap_or_default();
    match EthernetPacket::new(frame).map(|packet| packet.get_ethertype()) {
        Some(EtherType(ethernet::IPV4)) => true,
        Some(EtherType(ethernet::IPV6)) => {
            let is_icmp = |ip: &Ipv6Packet<'_>| ip.get_next_header() == IpNextHeaderProtocols::Icmpv6;
            Ipv6Packet::new(payload).is_some_and(|ip| is_icmp(&ip))
                && payload.get(IPV6_HEADER_LENGTH) == Some(&REPLY_V6)
        }
        _ => false,
    }
}

impl Echo {
    /// The whole frame of a request. `None`: the two addresses are of different families.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (ether_type, packet) = match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => (ethernet::IPV4, packet_v4(from, to, self.message(REQUEST))),
            (IpAddr::V6(from), IpAddr::V6(to)) => (ethernet::IPV6, packet_v6(from, to, self.message(REQUEST_V6))),
            _ => return None,
        };
        Some(ethernet::seal(self.destination, self.source, ether_type, &packet))
    }

    /// A message whose checksum is still to be written.
    fn message(&self, kind: u8) -> [u8; LENGTH] {
        let ([a, b], [c, d]) = (self.identifier.to_be_bytes(), self.sequence.to_be_bytes());
        [kind, 0, 0, 0, a, b, c, d]
    }

    /// Reads the whole frame of a reply.
    ///
    /// # Errors
    /// When it is no well-formed echo reply, or only a fragment of one.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        match EthernetPacket::new(frame).ok_or(DecodeError::Truncated)?.get_ethertype() {
            EtherType(ethernet::IPV4) => Self::decode_v4(frame),
            EtherType(ethernet::IPV6) => Self::decode_v6(frame),
            EtherType(other) => Err(DecodeError::EtherType(other)),
        }
    }

    fn decode_v4(frame: &[u8]) -> Result<Self, DecodeError> {
        let (destination, source, payload) = ethernet::open(frame, ethernet::IPV4)?;
        let ip = Ipv4Packet::new(payload).ok_or(DecodeError::Truncated)?;
        if ip.get_version() != 4 {
            return Err(DecodeError::IpVersion(ip.get_version()));
        }
        let IpNextHeaderProtocol(protocol) = ip.get_next_level_protocol();
        if protocol != IpNextHeaderProtocols::Icmp.0 {
            return Err(DecodeError::NextHeader(protocol));
        }
        if ip.get_flags() & Ipv4Flags::MoreFragments != 0 || ip.get_fragment_offset() != 0 {
            return Err(DecodeError::Fragment);
        }
        let header = usize::from(ip.get_header_length()).saturating_mul(4);
        let total = usize::from(ip.get_total_length());
        if header < IPV4_HEADER_LENGTH || payload.len() < header {
            return Err(DecodeError::Truncated);
        }
        if ip.get_checksum() != ipv4::checksum(&ip) {
            return Err(DecodeError::Checksum);
        }
        let body = payload.get(header..total).ok_or(DecodeError::Truncated)?;
        let sum = IcmpPacket::new(body).map(|packet| icmp::checksum(&packet));
        let (from, to) = (IpAddr::V4(ip.get_source()), IpAddr::V4(ip.get_destination()));
        Self { destination, source, from, to, identifier: 0, sequence: 0 }.read(body, REPLY, sum)
    }

    fn decode_v6(frame: &[u8]) -> Result<Self, DecodeError> {
        let (destination, source, payload) = ethernet::open(frame, ethernet::IPV6)?;
        let ip = Ipv6Packet::new(payload).ok_or(DecodeError::Truncated)?;
        if ip.get_version() != 6 {
            return Err(DecodeError::IpVersion(ip.get_version()));
        }
        let IpNextHeaderProtocol(next) = ip.get_next_header();
        if next != IpNextHeaderProtocols::Icmpv6.0 {
            return Err(DecodeError::NextHeader(next));
        }
        let body = payload.get(IPV6_HEADER_LENGTH..).ok_or(DecodeError::Truncated)?;
        let body = body.get(..usize::from(ip.get_payload_length())).ok_or(DecodeError::Truncated)?;
        let (from, to) = (ip.get_source(), ip.get_destination());
        let sum = Icmpv6Packet::new(body).map(|packet| icmpv6::checksum(&packet, &from, &to));
        let (from, to) = (IpAddr::V6(from), IpAddr::V6(to));
        Self { destination, source, from, to, identifier: 0, sequence: 0 }.read(body, REPLY_V6, sum)
    }

    /// Reads the message itself, which must be of this type and have this checksum.
    fn read(self, body: &[u8], reply: u8, sum: Option<u16>) -> Result<Self, DecodeError> {
        if self.from.is_multicast() {
            return Err(DecodeError::Source);
        }
        let [kind, code, sum_high, sum_low, identifier @ .., sequence_high, sequence_low]: [u8; 8] =
            *body.first_chunk().ok_or(DecodeError::Truncated)?;
        if kind != reply {
            return Err(DecodeError::NoReply(kind));
        }
        if code != 0 {
            return Err(DecodeError::Code(code));
        }
        if sum != Some(u16::from_be_bytes([sum_high, sum_low])) {
            return Err(DecodeError::Checksum);
        }
        Ok(Self {
            identifier: u16::from_be_bytes(identifier),
            sequence: u16::from_be_bytes([sequence_high, sequence_low]),
            ..self
        })
    }
}

fn packet_v4(from: Ipv4Addr, to: Ipv4Addr, mut message: [u8; LENGTH]) -> Vec<u8> {
    let sum = IcmpPacket::new(&message).map_or(0, |packet| icmp::checksum(&packet));
    message = with_checksum(message, sum);
    let mut packet = vec![0; IPV4_HEADER_LENGTH];
    if let Some(mut ip) = MutableIpv4Packet::new(&mut packet) {
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_total_length(28);
        ip.set_flags(Ipv4Flags::DontFragment);
        ip.set_ttl(HOP_LIMIT);
        ip.set_next_level_protocol(IpNextHeaderProtocols::Icmp);
        ip.set_source(from);
        ip.set_destination(to);
        let sum = ipv4::checksum(&ip.to_immutable());
        ip.set_checksum(sum);
    }
    packet.extend_from_slice(&message);
    packet
}

fn packet_v6(from: Ipv6Addr, to: Ipv6Addr, mut message: [u8; LENGTH]) -> Vec<u8> {
    let sum = Icmpv6Packet::new(&message).map_or(0, |packet| icmpv6::checksum(&packet, &from, &to));
    message = with_checksum(message, sum);
    let mut packet = vec![0; IPV6_HEADER_LENGTH];
    if let Some(mut ip) = MutableIpv6Packet::new(&mut packet) {
        ip.set_version(6);
        ip.set_payload_length(8);
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(HOP_LIMIT);
        ip.set_source(from);
        ip.set_destination(to);
    }
    packet.extend_from_slice(&message);
    packet
}

fn with_checksum(message: [u8; LENGTH], sum: u16) -> [u8; LENGTH] {
    let [kind, code, _, _, rest @ ..] = message;
    let ([high, low], [e, f, g, h]) = (sum.to_be_bytes(), rest);
    [kind, code, high, low, e, f, g, h]
}

#[cfg(test)]
mod tests;
