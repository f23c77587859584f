use super::*;
use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::link::{LinkFlags, LinkLayerType};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol};
use std::net::Ipv4Addr;

fn link_message(attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = 7;
    message.header.link_layer_type = LinkLayerType::Ether;
    message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
    message.attributes = attributes;
    message
}

/// The message as the kernel's bytes, read again: bonds and migrating machines can't be had in a test.
fn through_bytes(message: &LinkMessage) -> LinkMessage {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    LinkMessage::parse(&bytes[..]).unwrap()
}

#[test]
fn item_18_a_bonds_failover_and_notified_peers_are_wishes_to_be_announced_again() {
    for event in [LinkEvent::NotifyPeers, LinkEvent::BondingFailover] {
        let message = link_message(vec![LinkAttribute::IfName("bond0".into()), LinkAttribute::Event(event)]);
        assert_eq!(relearn_wish(&through_bytes(&message)), Some(IfIndex(7)));
    }
    let other = link_message(vec![LinkAttribute::IfName("bond0".into()), LinkAttribute::Event(LinkEvent::Features)]);
    assert_eq!(relearn_wish(&through_bytes(&other)), None);
}

#[test]
fn only_ethernet_interfaces_count() {
    let mac = LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]);
    let named = |name: &str| LinkAttribute::IfName(name.into());
    let ethernet = link_message(vec![named("eth0"), mac.clone()]);
    assert!(dump::link(&ethernet).unwrap().carrier);
    let mut tunnel = link_message(vec![named("tun0")]);
    tunnel.header.link_layer_type = LinkLayerType::None;
    assert_eq!(dump::link(&tunnel), None);
    let mut loopback = link_message(vec![named("lo"), mac]);
    loopback.header.flags |= LinkFlags::Loopback;
    assert_eq!(dump::link(&loopback), None);
}

fn route(prefix: u8, protocol: RouteProtocol) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.destination_prefix_length = prefix;
    message.header.protocol = protocol;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.attributes =
        vec![RouteAttribute::Oif(7), RouteAttribute::Gateway(RouteAddress::Inet(Ipv4Addr::new(192, 0, 2, 254)))];
    message
}

#[test]
fn gateways_are_next_hops_of_default_and_configured_routes() {
    let counts = |prefix, protocol| dump::next_hops(&route(prefix, protocol)).count();
    assert_eq!(counts(0, RouteProtocol::Bird), 1, "a default route, whoever set it");
    assert_eq!(counts(24, RouteProtocol::Static), 1);
    assert_eq!(counts(26, RouteProtocol::Bird), 0, "a route to another node's pods");
    let mut local = route(0, RouteProtocol::Static);
    local.header.table = 255;
    assert_eq!(dump::next_hops(&local).count(), 0);
}
