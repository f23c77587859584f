use super::*;
use crate::service::Protocol;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn vip() -> impl Strategy<Value = Vip> {
    let v4 = (0..6_u8).prop_map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    let v6 = (1..6_u16).prop_map(|last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)));
    prop_oneof![v4, v6].prop_map(|address| Vip::new(address).unwrap())
}

fn port() -> impl Strategy<Value = ServicePort> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    (protocol, 1..5_u16).prop_map(|(protocol, port)| ServicePort { protocol, port })
}

fn table() -> impl Strategy<Value = Table> {
    let ports = prop::collection::btree_set(port(), 0..4);
    prop::collection::btree_map(vip(), ports, 0..6).prop_map(|vips| Table { vips })
}

proptest! {
    #[test]
    fn a_difference_carried_out_makes_the_kernel_equal_to_the_table(is in table(), should in table()) {
        let (mut kernel, should) = (Elements::from(&is), Elements::from(&should));
        let Difference { insert, delete } = Difference::between(&kernel, &should);
        kernel.insert(insert);
        kernel.delete(&delete);
        prop_assert_eq!(&kernel, &should);
        prop_assert!(Difference::between(&kernel, &should).is_empty());
    }

    #[test]
    fn inserting_alone_takes_nothing_from_either_table(is in table(), should in table()) {
        let (is, should) = (Elements::from(&is), Elements::from(&should));
        let mut kernel = is.clone();
        kernel.insert(Difference::between(&is, &should).insert);
        prop_assert!(is.without(&kernel).is_empty());
        prop_assert!(should.without(&kernel).is_empty());
    }

    #[test]
    fn only_what_differs_is_touched(is in table(), should in table()) {
        let (is, should) = (Elements::from(&is), Elements::from(&should));
        let Difference { insert, delete } = Difference::between(&is, &should);
        prop_assert!(insert.vips.is_disjoint(&is.vips) && insert.ports.is_disjoint(&is.ports));
        prop_assert!(delete.vips.is_disjoint(&should.vips) && delete.ports.is_disjoint(&should.ports));
    }
}

#[test]
fn a_vip_without_ports_is_still_guarded() {
    let vip = Vip::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10))).unwrap();
    let elements = Elements::from(&Table { vips: BTreeMap::from([(vip, BTreeSet::new())]) });
    assert_eq!(elements, Elements { vips: BTreeSet::from([vip]), ports: BTreeSet::new() });
}
