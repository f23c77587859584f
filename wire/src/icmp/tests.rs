//! Requests as the RFCs have them, replies as a kernel makes them.

use super::*;
use proptest::prelude::*;

const ME: Mac = [2, 0, 0, 0, 0, 1];
const OTHER: Mac = [2, 0, 0, 0, 0, 2];

fn request(from: &str, to: &str) -> Echo {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    Echo { destination: OTHER, source: ME, from, to, identifier: 0xbeef, sequence: 7 }
}

/// What the asked kernel makes of a request: everything turned round, type and checksum changed.
fn answered(request: &Echo) -> Vec<u8> {
    let back = Echo {
        destination: request.source,
        source: request.destination,
        from: request.to,
        to: request.from,
        ..*request
    };
    let (ether_type, packet) = match (back.from, back.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (ethernet::IPV4, packet_v4(from, to, back.message(REPLY))),
        (IpAddr::V6(from), IpAddr::V6(to)) => (ethernet::IPV6, packet_v6(from, to, back.message(REPLY_V6))),
        _ => panic!("different families"),
    };
    ethernet::seal(back.destination, back.source, ether_type, &packet)
}

fn echo() -> impl Strategy<Value = Echo> {
    let v4 = any::<(u32, u32)>().prop_map(|(from, to)| {
        (IpAddr::V4(Ipv4Addr::from_bits(from & 0xdfff_ffff)), IpAddr::V4(Ipv4Addr::from_bits(to & 0xdfff_ffff)))
    });
    let v6 = any::<(u128, u128)>()
        .prop_map(|(from, to)| (IpAddr::V6(Ipv6Addr::from_bits(from >> 1)), IpAddr::V6(Ipv6Addr::from_bits(to >> 1))));
    (prop_oneof![v4, v6], any::<(u16, u16)>()).prop_map(|((from, to), (identifier, sequence))| Echo {
        destination: OTHER,
        source: ME,
        from,
        to,
        identifier,
        sequence,
    })
}

proptest! {
    #[test]
    fn a_reply_names_the_request_it_answers(request in echo()) {
        let frame = answered(&request);
        prop_assert!(is_echo(&frame));
        let Echo { destination, source, from, to, .. } = request;
        let expected = Echo { destination: source, source: destination, from: to, to: from, ..request };
        prop_assert_eq!(Echo::decode(&frame), Ok(expected));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _either = (is_echo(&bytes), Echo::decode(&bytes));
    }

    #[test]
    fn no_damaged_reply_makes_it_panic(request in echo(), position in 0..62_usize, byte: u8, length in 0..=62_usize) {
        let mut frame = answered(&request);
        let end = frame.len();
        frame[position.min(end - 1)] = byte;
        let frame = &frame[..length.min(end)];
        let _either = (is_echo(frame), Echo::decode(frame));
    }
}

#[test]
fn an_ipv4_request_has_the_bytes_of_rfc_792() {
    let frame = request("192.0.2.1", "192.0.2.2").encode().unwrap();
    assert_eq!(frame.len(), ethernet::MINIMUM_LENGTH);
    let expected = [
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 1, 0xb6, 0xdd, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
        8, 0, 0x39, 0x09, 0xbe, 0xef, 0, 7, // echo request
    ];
    assert_eq!(frame[..42], expected);
}

#[test]
fn an_ipv6_request_has_the_bytes_of_rfc_4443() {
    let frame = request("2001:db8::1", "2001:db8::2").encode().unwrap();
    assert_eq!(frame[12..22], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 64]);
    let packet = Icmpv6Packet::new(&frame[54..62]).unwrap();
    let sum = icmpv6::checksum(&packet, &"2001:db8::1".parse().unwrap(), &"2001:db8::2".parse().unwrap());
    assert_eq!(frame[54..], [&[128, 0][..], &sum.to_be_bytes(), &[0xbe, 0xef, 0, 7]].concat());
}

#[test]
fn addresses_of_different_families_make_no_request() {
    assert_eq!(request("192.0.2.1", "2001:db8::2").encode(), None);
}

#[test]
fn what_is_no_reply_is_refused_by_name() {
    let good = answered(&request("192.0.2.1", "192.0.2.2"));
    let with = |position: usize, byte: u8| {
        let mut frame = good.clone();
        frame[position] = byte;
        Echo::decode(&frame).unwrap_err()
    };
    assert_eq!(with(14, 0x65), DecodeError::IpVersion(6));
    assert_eq!(with(14, 0x44), DecodeError::Truncated, "a header of 16 bytes");
    assert_eq!(with(23, 17), DecodeError::NextHeader(17));
    assert_eq!(with(20, 0x20), DecodeError::Fragment);
    assert_eq!(with(21, 1), DecodeError::Fragment);
    assert_eq!(with(24, 0xff), DecodeError::Checksum);
    assert_eq!(with(34, 8), DecodeError::NoReply(8));
    assert_eq!(with(35, 1), DecodeError::Code(1));
    assert_eq!(with(38, 0), DecodeError::Checksum);
    assert_eq!(with(6, 1), DecodeError::SenderMac);
    assert_eq!(Echo::decode(&good[..40]), Err(DecodeError::Truncated));

    let good = answered(&request("2001:db8::1", "2001:db8::2"));
    let with = |position: usize, byte: u8| {
        let mut frame = good.clone();
        frame[position] = byte;
        Echo::decode(&frame).unwrap_err()
    };
    assert_eq!(with(14, 0x40), DecodeError::IpVersion(4));
    assert_eq!(with(20, 6), DecodeError::NextHeader(6));
    assert_eq!(with(22, 0xff), DecodeError::Source);
    assert_eq!(with(54, 128), DecodeError::NoReply(128));
    assert_eq!(with(58, 0), DecodeError::Checksum);
    assert_eq!(with(18, 1), DecodeError::Truncated, "a payload of 264 bytes");
}

#[test]
fn a_reply_behind_ipv4_options_is_read() {
    let good = answered(&request("192.0.2.1", "192.0.2.2"));
    let mut packet = good[14..34].to_vec();
    packet[0] = 0x46;
    packet[3] = 32;
    packet.extend([1, 1, 1, 0]);
    let sum = ipv4::checksum(&Ipv4Packet::new(&packet).unwrap());
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(&good[34..42]);
    let frame = ethernet::seal(ME, OTHER, ethernet::IPV4, &packet);
    assert_eq!(Echo::decode(&frame).unwrap().identifier, 0xbeef);
}

#[test]
fn neighbour_discovery_is_not_taken_for_an_echo() {
    let solicitation = crate::ndp::Packet {
        destination: OTHER,
        source: ME,
        from: "2001:db8::1".parse().unwrap(),
        to: "2001:db8::2".parse().unwrap(),
        message: crate::ndp::Message::Solicitation { target: "2001:db8::2".parse().unwrap(), source_link: Some(ME) },
    };
    assert!(!is_echo(&solicitation.encode()));
}
