//! Ethernet frames: addresses, lengths, the border between one protocol and the other, and why a frame is refused.

use crate::{arp, ndp};
use pnet_base::MacAddr;
use pnet_packet::FromPacket;
use pnet_packet::ethernet::{EtherType, EthernetPacket, MutableEthernetPacket};

/// An Ethernet address, as the bytes on the wire.
pub type Mac = [u8; 6];

/// Every station on the segment.
pub const BROADCAST: Mac = [0xff; 6];

/// Bytes of an Ethernet header: two addresses and a type.
pub const HEADER_LENGTH: usize = 14;

/// The shortest frame Ethernet allows, without the check sequence that the card adds (IEEE 802.3: 64 - 4).
pub const MINIMUM_LENGTH: usize = 60;

/// EtherType of ARP.
pub const ARP: u16 = 0x0806;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;

/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// A frame that the filter lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// ARP request or reply.
    Arp(arp::Message),
    /// Neighbour solicitation or advertisement.
    Neighbor(ndp::Packet),
}

impl Frame {
    /// Reads a whole frame, from the destination address on.
    ///
    /// # Errors
    /// When it is not a well-formed ARP, neighbour solicitation or neighbour advertisement frame.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        match EthernetPacket::new(frame).ok_or(DecodeError::Truncated)?.get_ethertype() {
            EtherType(ARP) => arp::Message::decode(frame).map(Self::Arp),
            EtherType(IPV6) => ndp::Packet::decode(frame).map(Self::Neighbor),
            EtherType(other) => Err(DecodeError::EtherType(other)),
        }
    }
}

/// Why a frame is not taken. Every variant has a short name of its own for metrics: [`DecodeError::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its headers say.
    #[error("the frame ends before its headers do")]
    Truncated,
    /// Neither ARP nor IP.
    #[error("EtherType {0:#06x} is neither ARP nor IP")]
    EtherType(u16),
    /// The Ethernet source, or the ARP sender's hardware address, is zero, multicast or broadcast.
    #[error("the sender's Ethernet address is not one station's")]
    SenderMac,
    /// ARP hardware type other than Ethernet (1).
    #[error("ARP hardware type {0} is not Ethernet")]
    HardwareType(u16),
    /// ARP protocol type other than IPv4 (0x0800).
    #[error("ARP protocol type {0:#06x} is not IPv4")]
    ProtocolType(u16),
    /// ARP address lengths other than 6 and 4.
    #[error("ARP address lengths {hardware} and {protocol} are not 6 and 4")]
    AddressLengths {
        /// Length of hardware addresses, in bytes.
        hardware: u8,
        /// Length of protocol addresses, in bytes.
        protocol: u8,
    },
    /// ARP operation other than request (1) and reply (2).
    #[error("ARP operation {0} is neither request nor reply")]
    Operation(u16),
    /// An IP version other than the EtherType says.
    #[error("IP version {0} is not that of the EtherType")]
    IpVersion(u8),
    /// ICMP is not what follows the IP header.
    #[error("what follows the IP header is protocol {0} and not ICMP")]
    NextHeader(u8),
    /// A fragment of a packet.
    #[error("a fragment: what we ask for is small")]
    Fragment,
    /// ICMP type other than an echo reply's.
    #[error("ICMP type {0} is no echo reply")]
    NoReply(u8),
    /// Neighbour discovery that a router has forwarded (RFC 4861, 7.1).
    #[error("hop limit {0} is not 255: the packet comes from another network")]
    HopLimit(u8),
    /// The IP source is a multicast address.
    #[error("the IP source is a multicast address")]
    Source,
    /// ICMPv6 type other than 135 and 136.
    #[error("ICMPv6 type {0} is neither neighbour solicitation nor advertisement")]
    MessageType(u8),
    /// ICMP code other than 0.
    #[error("ICMP code {0} is not 0")]
    Code(u8),
    /// Wrong checksum.
    #[error("the checksum is wrong")]
    Checksum,
    /// The target is a multicast address.
    #[error("the target is a multicast address")]
    Target,
    /// An option whose length is zero, too long for the packet, or wrong for its type.
    #[error("an option's length is wrong")]
    OptionLength,
    /// A link-layer option with an address no station has, or in a solicitation from the unspecified address.
    #[error("a link-layer address option that must not be there")]
    LinkLayerOption,
    /// A solicitation from the unspecified address to anything but a solicited-node group (RFC 4861, 7.1.1).
    #[error("a solicitation from the unspecified address to {0}")]
    ProbeDestination(std::net::Ipv6Addr),
    /// An advertisement to a multicast address that claims to be an answer (RFC 4861, 7.1.2).
    #[error("a multicast advertisement with the solicited flag")]
    SolicitedMulticast,
}

impl DecodeError {
    /// The reason in one or two words joined by `_`, as a metric's label. There are few, and none depends on the frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::EtherType(_) => "ether_type",
            Self::SenderMac => "sender_mac",
            Self::HardwareType(_) => "hardware_type",
            Self::ProtocolType(_) => "protocol_type",
            Self::AddressLengths { .. } => "address_lengths",
            Self::Operation(_) => "operation",
            Self::IpVersion(_) => "ip_version",
            Self::NextHeader(_) => "next_header",
            Self::Fragment => "fragment",
            Self::NoReply(_) => "no_reply",
            Self::HopLimit(_) => "hop_limit",
            Self::Source => "ip_source",
            Self::MessageType(_) => "message_type",
            Self::Code(_) => "code",
            Self::Checksum => "checksum",
            Self::Target => "target",
            Self::OptionLength => "option_length",
            Self::LinkLayerOption => "link_layer_option",
            Self::ProbeDestination(_) => "probe_destination",
            Self::SolicitedMulticast => "solicited_multicast",
        }
    }
}

/// Destination, source and what follows the header.
pub(crate) fn open(frame: &[u8], ether_type: u16) -> Result<(Mac, Mac, &[u8]), DecodeError> {
    let packet = EthernetPacket::new(frame).ok_or(DecodeError::Truncated)?;
    let header = packet.from_packet();
    if header.ethertype != EtherType(ether_type) {
        return Err(DecodeError::EtherType(header.ethertype.0));
    }
    let source = header.source.octets();
    if !is_station(source) {
        return Err(DecodeError::SenderMac);
    }
    let payload = frame.get(HEADER_LENGTH..).ok_or(DecodeError::Truncated)?;
    Ok((header.destination.octets(), source, payload))
}

/// Puts a header before what is sent, and zeros after it up to the shortest frame allowed.
pub(crate) fn seal(destination: Mac, source: Mac, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LENGTH];
    if let Some(mut header) = MutableEthernetPacket::new(&mut frame) {
        header.set_destination(MacAddr::from(destination));
        header.set_source(MacAddr::from(source));
        header.set_ethertype(EtherType(ether_type));
    }
    frame.extend_from_slice(payload);
    frame.resize(frame.len().max(MINIMUM_LENGTH), 0);
    frame
}

/// Whether an address can be one station's: neither zero nor a group.
pub(crate) fn is_station(mac: Mac) -> bool {
    let [first, ..] = mac;
    mac != [0; 6] && first & 1 == 0
}
