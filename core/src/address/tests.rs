use super::*;
use proptest::prelude::*;

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

fn range(text: &str) -> AddressRange {
    text.parse().unwrap()
}

#[test]
fn every_form_people_write_is_a_range_of_the_right_addresses() {
    for (text, first, last, size) in [
        ("192.0.2.0/24", "192.0.2.0", "192.0.2.255", 256),
        ("192.0.2.10-192.0.2.20", "192.0.2.10", "192.0.2.20", 11),
        ("192.0.2.10", "192.0.2.10", "192.0.2.10", 1),
        ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", 1 << 24),
        ("2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", u64::MAX),
        ("2001:DB8:0::1-2001:db8::a", "2001:db8::1", "2001:db8::a", 10),
    ] {
        let range = range(text);
        assert_eq!((range.first(), range.last(), range.size()), (vip(first), vip(last), size), "{text}");
    }
}

#[test]
fn what_is_no_range_is_refused_with_what_to_write_instead() {
    for (text, message) in [
        (
            "192.0.2.1/24",
            "192.0.2.1/24 has host bits set: write 192.0.2.0/24 for the whole network or 192.0.2.1 for the one address",
        ),
        (
            "2001:db8::1/64",
            "2001:db8::1/64 has host bits set: write 2001:db8::/64 for the whole network or 2001:db8::1 for the one address",
        ),
        ("192.0.2.9-192.0.2.1", "192.0.2.9-192.0.2.1 runs backwards: write 192.0.2.1-192.0.2.9"),
        ("192.0.2.9-2001:db8::1", "192.0.2.9-2001:db8::1 mixes IPv4 and IPv6: write one range for each family"),
        (
            "126.0.0.0-128.0.0.0",
            "126.0.0.0-128.0.0.0 holds loopback addresses, which no Service can have: leave them out",
        ),
        ("0.0.0.0/0", "0.0.0.0/0 holds the unspecified address, which no Service can have: leave them out"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1 holds IPv4-mapped addresses, which no Service can have: leave them out"),
    ] {
        assert_eq!(text.parse::<AddressRange>().unwrap_err().to_string(), message);
    }
    for text in ["", "-", "192.0.2.1-", "192.0.2", "192.0.2.0/33", "lan", "192.0.2.1 - 192.0.2.2", "fe80::1%eth0"] {
        assert!(matches!(text.parse::<AddressRange>(), Err(RangeError::Garbage { .. })), "{text}");
    }
}

#[test]
fn a_range_is_shown_as_short_as_it_can_be_written() {
    for text in [
        "192.0.2.0/24",
        "192.0.2.10-192.0.2.20",
        "192.0.2.10",
        "2001:db8::/64",
        "2001:db8::1-2001:db8::2",
        "64.0.0.0/3",
    ] {
        assert_eq!(range(text).to_string(), text);
    }
    assert_eq!(range("192.0.2.0-192.0.2.255").to_string(), "192.0.2.0/24");
}

#[test]
fn an_object_name_is_read_back_only_in_its_one_spelling() {
    assert_eq!(vip("192.0.2.10").object_name(), "192.0.2.10");
    assert_eq!(vip("2001:db8::10").object_name(), "2001-0db8-0000-0000-0000-0000-0000-0010");
    for name in
        ["2001-db8--10", "2001-0DB8-0000-0000-0000-0000-0000-0010", "2001:0db8:0000:0000:0000:0000:0000:0010", "lan"]
    {
        assert_eq!(Vip::from_object_name(name), None, "{name}");
    }
}

fn any_vip() -> impl Strategy<Value = Vip> {
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()))
    ];
    address.prop_filter_map("a VIP", |address| Vip::new(address).ok())
}

/// Ranges of up to 40 addresses around 192.0.2.0 and 2001:db8::, so that they meet often.
fn small_range() -> impl Strategy<Value = AddressRange> {
    (any::<bool>(), 0..40_u8, 0..40_u8).prop_map(|(v6, a, b)| {
        let (first, last) = (a.min(b), a.max(b));
        let end = |bits: u8| {
            if v6 {
                IpAddr::V6((0x2001_0db8_u128 << 96 | u128::from(bits)).into())
            } else {
                IpAddr::V4([192, 0, 2, bits].into())
            }
        };
        AddressRange::new(end(first), end(last)).unwrap()
    })
}

fn all(range: AddressRange) -> Vec<Vip> {
    range.addresses_from(range.first()).collect()
}

proptest! {
    #[test]
    fn an_object_name_stands_for_one_address(vip in any_vip()) {
        prop_assert_eq!(Vip::from_object_name(&vip.object_name()), Some(vip));
    }

    #[test]
    fn what_vip_refuses_is_what_ranges_refuse(bits in any::<u128>(), v4 in any::<bool>()) {
        let bits4 = u32::try_from(bits >> 96).unwrap();
        let address = if v4 { IpAddr::V4(bits4.into()) } else { IpAddr::V6((bits >> (bits % 128)).into()) };
        prop_assert_eq!(Vip::new(address).is_ok(), AddressRange::new(address, address).is_ok());
    }

    #[test]
    fn text_never_panics(text in "[0-9a-f:./-]{0,40}") {
        let _ = text.parse::<AddressRange>();
    }

    #[test]
    fn what_is_shown_is_read_back(range in small_range()) {
        prop_assert_eq!(range.to_string().parse(), Ok(range));
    }

    #[test]
    fn taking_one_range_from_another_leaves_exactly_the_rest(a in small_range(), b in small_range()) {
        let rest: Vec<_> = a.without(&b).flat_map(all).collect();
        let expected: Vec<_> = all(a).into_iter().filter(|vip| !b.contains(*vip)).collect();
        prop_assert_eq!(&rest, &expected);
        prop_assert_eq!(a.overlaps(&b), rest.len() < all(a).len());
        prop_assert_eq!(a.size(), all(a).len() as u64);
    }
}
