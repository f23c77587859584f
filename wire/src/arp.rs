//! The Address Resolution Protocol for IPv4 on Ethernet (RFC 826).
//!
//! ```text
//! +---------------+---------------+
//! | hardware type | protocol type |   1, 0x0800
//! +-------+-------+---------------+
//! | hlen  | plen  |   operation   |   6, 4, 1 = request or 2 = reply
//! +-------+-------+---------------+
//! | sender MAC (6), sender IP (4) |
//! | target MAC (6), target IP (4) |
//! +-------------------------------+
//! ```

use crate::ethernet::{self, DecodeError, Mac};
use pnet_base::MacAddr;
use pnet_packet::arp::{ArpHardwareType, ArpOperation, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::EtherType;
use std::net::Ipv4Addr;

/// Bytes of an ARP message behind the Ethernet header.
const LENGTH: usize = 28;
const ETHERNET: u16 = 1;
const IPV4: u16 = 0x0800;
const MAC_LENGTH: u8 = 6;
const IPV4_LENGTH: u8 = 4;

/// Question or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// "Who has the target's address?"
    Request,
    /// "I, the sender, have the sender's address."
    Reply,
}

/// An ARP message with the frame it travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source. Usually the sender's MAC; bridges that translate addresses make them differ.
    pub source: Mac,
    /// Question or answer.
    pub operation: Operation,
    /// Sender hardware address (SHA).
    pub sender_mac: Mac,
    /// Sender protocol address (SPA); 0.0.0.0 in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// Target hardware address (THA).
    pub target_mac: Mac,
    /// Target protocol address (TPA).
    pub target_ip: Ipv4Addr,
}

impl Message {
    /// Reads a whole frame. What follows the message (padding) is ignored.
    ///
    /// # Errors
    /// When types, lengths or the operation are others than IPv4 on Ethernet has, or the sender is no station.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let (destination, source, payload) = ethernet::open(frame, ethernet::ARP)?;
        let packet = ArpPacket::new(payload).ok_or(DecodeError::Truncated)?;
        let ArpHardwareType(hardware_type) = packet.get_hardware_type();
        if hardware_type != ETHERNET {
            return Err(DecodeError::HardwareType(hardware_type));
        }
        let EtherType(protocol_type) = packet.get_protocol_type();
        if protocol_type != IPV4 {
            return Err(DecodeError::ProtocolType(protocol_type));
        }
        let (hardware, protocol) = (packet.get_hw_addr_len(), packet.get_proto_addr_len());
        if (hardware, protocol) != (MAC_LENGTH, IPV4_LENGTH) {
            return Err(DecodeError::AddressLengths { hardware, protocol });
        }
        let operation = match packet.get_operation() {
            ArpOperation(1) => Operation::Request,
            ArpOperation(2) => Operation::Reply,
            ArpOperation(other) => return Err(DecodeError::Operation(other)),
        };
        let sender_mac = packet.get_sender_hw_addr().octets();
        if !ethernet::is_station(sender_mac) {
            return Err(DecodeError::SenderMac);
        }
        Ok(Self {
            destination,
            source,
            operation,
            sender_mac,
            sender_ip: packet.get_sender_proto_addr(),
            target_mac: packet.get_target_hw_addr().octets(),
            target_ip: packet.get_target_proto_addr(),
        })
    }

    /// The whole frame, padded to 60 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = [0; LENGTH];
        if let Some(mut packet) = MutableArpPacket::new(&mut payload) {
            packet.set_hardware_type(ArpHardwareType(ETHERNET));
            packet.set_protocol_type(EtherType(IPV4));
            packet.set_hw_addr_len(MAC_LENGTH);
            packet.set_proto_addr_len(IPV4_LENGTH);
            packet.set_operation(match self.operation {
                Operation::Request => ArpOperation(1),
                Operation::Reply => ArpOperation(2),
            });
            packet.set_sender_hw_addr(MacAddr::from(self.sender_mac));
            packet.set_sender_proto_addr(self.sender_ip);
            packet.set_target_hw_addr(MacAddr::from(self.target_mac));
            packet.set_target_proto_addr(self.target_ip);
        }
        ethernet::seal(self.destination, self.source, ethernet::ARP, &payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENDER: Mac = [2, 0, 0, 0, 0, 1];

    fn request() -> Message {
        Message {
            destination: ethernet::BROADCAST,
            source: SENDER,
            operation: Operation::Request,
            sender_mac: SENDER,
            sender_ip: Ipv4Addr::new(192, 0, 2, 1),
            target_mac: [0; 6],
            target_ip: Ipv4Addr::new(192, 0, 2, 2),
        }
    }

    fn station() -> impl Strategy<Value = Mac> {
        any::<Mac>().prop_map(|mut mac| {
            mac[0] = mac[0] & 0xfe | 2;
            mac
        })
    }

    fn message() -> impl Strategy<Value = Message> {
        let addresses = (any::<Mac>(), station(), station(), any::<Mac>());
        (addresses, any::<(bool, u32, u32)>()).prop_map(|((destination, source, sender_mac, target_mac), rest)| {
            let (reply, sender, target) = rest;
            Message {
                destination,
                source,
                operation: if reply { Operation::Reply } else { Operation::Request },
                sender_mac,
                sender_ip: Ipv4Addr::from_bits(sender),
                target_mac,
                target_ip: Ipv4Addr::from_bits(target),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(message in message()) {
            let frame = message.encode();
            prop_assert_eq!(frame.len(), ethernet::MINIMUM_LENGTH);
            prop_assert_eq!(Message::decode(&frame), Ok(message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _either = Message::decode(&bytes);
        }

        #[test]
        fn no_flipped_byte_makes_it_panic(message in message(), position in 0..60_usize, byte: u8, length in 0..=60_usize) {
            let mut frame = message.encode();
            frame[position] = byte;
            let _either = Message::decode(&frame[..length]);
        }
    }

    #[test]
    fn a_request_has_the_bytes_of_rfc_826() {
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06, // Ethernet
            0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, lengths, request
            2, 0, 0, 0, 0, 1, 192, 0, 2, 1, // sender
            0, 0, 0, 0, 0, 0, 192, 0, 2, 2, // target
        ];
        let frame = request().encode();
        assert_eq!(frame[..42], expected);
        assert_eq!(frame[42..], [0; 18]);
    }

    #[test]
    fn every_malformation_has_its_reason() {
        let cases: [(usize, &[u8], DecodeError); 9] = [
            (14, &[0, 6], DecodeError::HardwareType(6)),
            (16, &[0x86, 0xdd], DecodeError::ProtocolType(0x86dd)),
            (18, &[8, 4], DecodeError::AddressLengths { hardware: 8, protocol: 4 }),
            (18, &[6, 16], DecodeError::AddressLengths { hardware: 6, protocol: 16 }),
            (20, &[0, 3], DecodeError::Operation(3)),
            (22, &[0; 6], DecodeError::SenderMac),
            (22, &[0xff; 6], DecodeError::SenderMac),
            (6, &[1, 0, 0x5e, 0, 0, 1], DecodeError::SenderMac),
            (12, &[0x08, 0x00], DecodeError::EtherType(0x0800)),
        ];
        for (position, bytes, reason) in cases {
            let mut frame = request().encode();
            frame[position..position + bytes.len()].copy_from_slice(bytes);
            assert_eq!(Message::decode(&frame), Err(reason));
        }
        assert_eq!(Message::decode(&request().encode()[..41]), Err(DecodeError::Truncated));
    }

    #[test]
    fn a_frame_source_that_differs_from_the_sender_is_kept() {
        let translated = Message { source: [2, 0, 0, 0, 0, 9], ..request() };
        assert_eq!(Message::decode(&translated.encode()), Ok(translated));
    }
}
