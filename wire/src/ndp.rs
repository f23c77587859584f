//! Neighbour solicitation and advertisement of IPv6 (RFC 4861), with the checks its section 7.1 asks for.
//!
//! ```text
//! +------------+-----------+------------+
//! | type (1)   | code (1)  | checksum(2)|   135 = solicitation, 136 = advertisement; 0
//! +------------+-----------+------------+
//! | flags (4): router, solicited, override, only in advertisements |
//! | target (16)                         |
//! | options: type (1), length in units of 8 bytes (1), content     |
//! +-------------------------------------+
//! ```

use crate::ethernet::{self, DecodeError, Mac};
use pnet_packet::icmpv6::{Icmpv6Packet, checksum};
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use std::net::Ipv6Addr;

/// All nodes on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Every neighbour discovery packet is sent with it, and a router would have lowered it.
const HOP_LIMIT: u8 = 255;
const IPV6_HEADER_LENGTH: usize = 40;
/// Type, code, checksum, flags and target.
const FIXED_LENGTH: usize = 24;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// A neighbour discovery message with the packet and frame it travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source.
    pub source: Mac,
    /// IPv6 source; unspecified in duplicate address detection (RFC 4862).
    pub from: Ipv6Addr,
    /// IPv6 destination.
    pub to: Ipv6Addr,
    /// What it says.
    pub message: Message,
}

/// What a neighbour says. Options other than link-layer addresses (a nonce, RFC 7527) are read over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// "Who has the target?"
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// The asker's link-layer address, if it says so.
        source_link: Option<Mac>,
    },
    /// "The target is here."
    Advertisement {
        /// The address spoken of.
        target: Ipv6Addr,
        /// The sender is a router.
        router: bool,
        /// It answers a solicitation.
        solicited: bool,
        /// It replaces what the receiver knew.
        overriding: bool,
        /// The target's link-layer address.
        target_link: Option<Mac>,
    },
}

/// The multicast group that a node listens to for solicitations of an address (RFC 4291, 2.7.1). Addresses whose last
/// three bytes are the same share a group.
pub fn solicited_node_group(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464, 7).
pub fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

impl Packet {
    /// Reads a whole frame. What follows the packet (padding) is ignored.
    ///
    /// # Errors
    /// When it is no neighbour solicitation or advertisement, or RFC 4861 section 7.1 says to discard it.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let (destination, source, payload) = ethernet::open(frame, ethernet::IPV6)?;
        let ip = Ipv6Packet::new(payload).ok_or(DecodeError::Truncated)?;
        if ip.get_version() != 6 {
            return Err(DecodeError::IpVersion(ip.get_version()));
        }
        let IpNextHeaderProtocol(next) = ip.get_next_header();
        if next != IpNextHeaderProtocols::Icmpv6.0 {
            return Err(DecodeError::NextHeader(next));
        }
        if ip.get_hop_limit() != HOP_LIMIT {
            return Err(DecodeError::HopLimit(ip.get_hop_limit()));
        }
        let (from, to) = (ip.get_source(), ip.get_destination());
        if from.is_multicast() {
            return Err(DecodeError::Source);
        }
        let body = payload.get(IPV6_HEADER_LENGTH..).ok_or(DecodeError::Truncated)?;
        let body = body.get(..usize::from(ip.get_payload_length())).ok_or(DecodeError::Truncated)?;
        let icmp = Icmpv6Packet::new(body).ok_or(DecodeError::Truncated)?;
        if icmp.get_checksum() != checksum(&icmp, &from, &to) {
            return Err(DecodeError::Checksum);
        }
        let message = Message::decode(body)?;
        message.check_addresses(from, to)?;
        Ok(Self { destination, source, from, to, message })
    }

    /// The whole frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = self.message.encode();
        let sum = Icmpv6Packet::new(&body).map_or(0, |icmp| checksum(&icmp, &self.from, &self.to));
        if let Some(field) = body.get_mut(2..4) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        let mut payload = vec![0; IPV6_HEADER_LENGTH];
        if let Some(mut ip) = MutableIpv6Packet::new(&mut payload) {
            ip.set_version(6);
            // At most 32 bytes, so the conversion can't fail.
            ip.set_payload_length(u16::try_from(body.len()).unwrap_or(u16::MAX));
            ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
            ip.set_hop_limit(HOP_LIMIT);
            ip.set_source(self.from);
            ip.set_destination(self.to);
        }
        payload.extend_from_slice(&body);
        ethernet::seal(self.destination, self.source, ethernet::IPV6, &payload)
    }
}

impl Message {
    /// The address that is asked for or spoken of.
    pub const fn target(&self) -> Ipv6Addr {
        match *self {
            Self::Solicitation { target, .. } | Self::Advertisement { target, .. } => target,
        }
    }

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (fixed, options) = body.split_first_chunk::<FIXED_LENGTH>().ok_or(DecodeError::Truncated)?;
        let [kind, code, _, _, flags, _, _, _, target @ ..] = *fixed;
        if kind != SOLICITATION && kind != ADVERTISEMENT {
            return Err(DecodeError::MessageType(kind));
        }
        if code != 0 {
            return Err(DecodeError::Code(code));
        }
        let target = Ipv6Addr::from_octets(target);
        if target.is_multicast() {
            return Err(DecodeError::Target);
        }
        let (source_link, target_link) = link_layer_options(options)?;
        Ok(if kind == SOLICITATION {
            Self::Solicitation { target, source_link }
        } else {
            Self::Advertisement {
                target,
                router: flags & ROUTER != 0,
                solicited: flags & SOLICITED != 0,
                overriding: flags & OVERRIDE != 0,
                target_link,
            }
        })
    }

    fn check_addresses(&self, from: Ipv6Addr, to: Ipv6Addr) -> Result<(), DecodeError> {
        match *self {
            Self::Solicitation { source_link, .. } if from.is_unspecified() => {
                if source_link.is_some() {
                    return Err(DecodeError::LinkLayerOption);
                }
                if to == solicited_node_group(to) { Ok(()) } else { Err(DecodeError::ProbeDestination(to)) }
            }
            Self::Advertisement { solicited: true, .. } if to.is_multicast() => Err(DecodeError::SolicitedMulticast),
            _ => Ok(()),
        }
    }

    /// The message with a checksum of zero.
    fn encode(&self) -> Vec<u8> {
        let (kind, flags, option, link) = match *self {
            Self::Solicitation { source_link, .. } => (SOLICITATION, 0, SOURCE_LINK_LAYER, source_link),
            Self::Advertisement { router, solicited, overriding, target_link, .. } => {
                let flag = |set, bit| if set { bit } else { 0 };
                let flags = flag(router, ROUTER) | flag(solicited, SOLICITED) | flag(overriding, OVERRIDE);
                (ADVERTISEMENT, flags, TARGET_LINK_LAYER, target_link)
            }
        };
        let mut body = vec![kind, 0, 0, 0, flags, 0, 0, 0];
        body.extend_from_slice(&self.target().octets());
        if let Some(mac) = link {
            body.extend_from_slice(&[option, 1]);
            body.extend_from_slice(&mac);
        }
        body
    }
}

/// The source's and the target's link-layer address among the options.
fn link_layer_options(mut options: &[u8]) -> Result<(Option<Mac>, Option<Mac>), DecodeError> {
    let (mut source, mut target) = (None, None);
    while let Some((&[kind, units], _)) = options.split_first_chunk::<2>() {
        let length = usize::from(units).saturating_mul(8);
        if length == 0 {
            return Err(DecodeError::OptionLength);
        }
        let (option, rest) = options.split_at_checked(length).ok_or(DecodeError::OptionLength)?;
        options = rest;
        if kind != SOURCE_LINK_LAYER && kind != TARGET_LINK_LAYER {
            continue;
        }
        let mac = option.get(2..).and_then(|content| Mac::try_from(content).ok()).ok_or(DecodeError::OptionLength)?;
        if !ethernet::is_station(mac) {
            return Err(DecodeError::LinkLayerOption);
        }
        if kind == SOURCE_LINK_LAYER { source = Some(mac) } else { target = Some(mac) }
    }
    if options.is_empty() { Ok((source, target)) } else { Err(DecodeError::OptionLength) }
}

#[cfg(test)]
mod tests;
