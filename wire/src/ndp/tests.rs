use super::*;
use proptest::prelude::*;

const ASKER: Mac = [2, 0, 0, 0, 0, 1];
const OWNER: Mac = [2, 0, 0, 0, 0, 2];

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn solicitation() -> Packet {
    let target = address("2001:db8::10");
    let to = solicited_node_group(target);
    Packet {
        destination: multicast_mac(to),
        source: ASKER,
        from: address("2001:db8::1"),
        to,
        message: Message::Solicitation { target, source_link: Some(ASKER) },
    }
}

fn advertisement() -> Packet {
    Packet {
        destination: ASKER,
        source: OWNER,
        from: address("fe80::2"),
        to: address("2001:db8::1"),
        message: Message::Advertisement {
            target: address("2001:db8::10"),
            router: false,
            solicited: true,
            overriding: true,
            target_link: Some(OWNER),
        },
    }
}

/// Overwrites a byte and puts the checksum right again, so that the check after the checksum's is reached.
fn with_byte(packet: &Packet, position: usize, byte: u8) -> Vec<u8> {
    let mut frame = packet.encode();
    frame[position] = byte;
    let length = 54 + usize::from(u16::from_be_bytes([frame[18], frame[19]]));
    let ip = Ipv6Packet::new(&frame[14..]).unwrap();
    let (from, to) = (ip.get_source(), ip.get_destination());
    let sum = checksum(&Icmpv6Packet::new(&frame[54..length]).unwrap(), &from, &to);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 16]>().prop_map(|mut octets| {
        octets[0] = 0x20;
        Ipv6Addr::from_octets(octets)
    })
}

fn station() -> impl Strategy<Value = Mac> {
    any::<Mac>().prop_map(|mut mac| {
        mac[0] = mac[0] & 0xfe | 2;
        mac
    })
}

fn packet() -> impl Strategy<Value = Packet> {
    let message = (any::<[bool; 4]>(), unicast(), proptest::option::of(station())).prop_map(|(flags, target, link)| {
        let [advertises, router, solicited, overriding] = flags;
        if advertises {
            Message::Advertisement { target, router, solicited, overriding, target_link: link }
        } else {
            Message::Solicitation { target, source_link: link }
        }
    });
    (any::<Mac>(), station(), unicast(), unicast(), message)
        .prop_map(|(destination, source, from, to, message)| Packet { destination, source, from, to, message })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(packet in packet()) {
        prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _either = Packet::decode(&bytes);
    }

    #[test]
    fn no_options_make_it_panic(options in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _either = link_layer_options(&options);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(packet in packet(), position in 0..78_usize, byte: u8, length in 0..=78_usize) {
        let mut frame = packet.encode();
        frame[position] = byte;
        let _either = Packet::decode(&frame[..length]);
    }
}

#[test]
fn a_solicited_node_group_holds_the_last_three_bytes() {
    assert_eq!(solicited_node_group(address("2001:db8::12ab:cdef")), address("ff02::1:ffab:cdef"));
    assert_eq!(multicast_mac(address("ff02::1:ffab:cdef")), [0x33, 0x33, 0xff, 0xab, 0xcd, 0xef]);
}

#[test]
fn an_advertisement_carries_flags_and_link_layer_address_where_rfc_4861_puts_them() {
    let frame = advertisement().encode();
    assert_eq!(frame.len(), 86);
    assert_eq!(frame[21], 255, "hop limit");
    assert_eq!(frame[54..56], [136, 0], "type and code");
    assert_eq!(frame[58..62], [0x60, 0, 0, 0], "solicited and override");
    assert_eq!(frame[78..86], [2, 1, 2, 0, 0, 0, 0, 2], "target link-layer address");
}

#[test]
fn every_malformation_has_its_reason() {
    let solicitation = solicitation();
    let cases = [
        (14, 0x40, DecodeError::IpVersion(4)),
        (20, 17, DecodeError::NextHeader(17)),
        (21, 254, DecodeError::HopLimit(254)),
        (22, 0xff, DecodeError::Source),
        (54, 134, DecodeError::MessageType(134)),
        (55, 1, DecodeError::Code(1)),
        (62, 0xff, DecodeError::Target),
        (79, 0, DecodeError::OptionLength),
        (79, 2, DecodeError::OptionLength),
        (80, 3, DecodeError::LinkLayerOption),
        (19, 200, DecodeError::Truncated),
        (12, 0x08, DecodeError::EtherType(0x08dd)),
    ];
    for (position, byte, reason) in cases {
        let mut frame = solicitation.encode();
        frame[position] = byte;
        let frame = if position >= 22 { with_byte(&solicitation, position, byte) } else { frame };
        assert_eq!(Packet::decode(&frame), Err(reason), "byte {position} = {byte}");
    }
    let mut frame = solicitation.encode();
    frame[56] ^= 1;
    assert_eq!(Packet::decode(&frame), Err(DecodeError::Checksum));
}

#[test]
fn a_probe_must_go_to_a_solicited_node_group_and_bring_no_link_layer_address() {
    let target = address("2001:db8::10");
    let bare = Message::Solicitation { target, source_link: None };
    let probe = Packet { from: Ipv6Addr::UNSPECIFIED, message: bare, ..solicitation() };
    assert_eq!(Packet::decode(&probe.encode()), Ok(probe));
    let with_option = Packet { message: solicitation().message, ..probe };
    assert_eq!(Packet::decode(&with_option.encode()), Err(DecodeError::LinkLayerOption));
    let elsewhere = Packet { to: target, ..probe };
    assert_eq!(Packet::decode(&elsewhere.encode()), Err(DecodeError::ProbeDestination(target)));
}

#[test]
fn an_answer_is_never_multicast() {
    let shouted = Packet { destination: multicast_mac(ALL_NODES), to: ALL_NODES, ..advertisement() };
    assert_eq!(Packet::decode(&shouted.encode()), Err(DecodeError::SolicitedMulticast));
}

#[test]
fn a_nonce_is_read_over() {
    // RFC 7527: option 14 with six bytes of nonce, in the probe of a host that is careful about loops.
    let probe = Packet {
        from: Ipv6Addr::UNSPECIFIED,
        message: Message::Solicitation { target: address("2001:db8::10"), source_link: None },
        ..solicitation()
    };
    let mut frame = probe.encode();
    frame.extend_from_slice(&[14, 1, 1, 2, 3, 4, 5, 6]);
    frame[19] += 8;
    let sum = checksum(&Icmpv6Packet::new(&frame[54..]).unwrap(), &probe.from, &probe.to);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(Packet::decode(&frame), Ok(probe));
}
