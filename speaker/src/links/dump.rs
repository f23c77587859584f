//! Reads all interfaces, addresses and routes once and makes [`Links`] of them.

use super::LinksError;
use futures::{Stream, TryStreamExt};
use herald_core::link::{Link, Links};
use herald_core::mac::MacAddr;
use herald_core::names::{IfIndex, InterfaceName};
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteVia};
use rtnetlink::RouteMessageBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More next hops than that are no gateways but other nodes, one for each pod range (host routing of a CNI).
const GATEWAYS_AT_MOST: usize = 8;

/// A dump that changes while it is read is refused and read again; so often at most.
const ATTEMPTS: usize = 5;

/// A next hop of a route through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NextHop {
    pub(super) link: IfIndex,
    /// Default routes sort first.
    pub(super) is_of_other_route: bool,
    pub(super) gateway: IpAddr,
}

pub(super) async fn read(
    handle: &rtnetlink::Handle,
    counts: &(dyn Fn(&InterfaceName) -> bool + Send + Sync),
) -> Result<Links, LinksError> {
    let links = dump(|| handle.link().get().execute()).await?;
    let mut links: Links =
        links.iter().filter_map(link).filter(|link| counts(&link.name)).map(|link| (link.index, link)).collect();
    for message in dump(|| handle.address().get().execute()).await? {
        if let Some(link) = links.get_mut(&IfIndex(message.header.index)) {
            add_address(link, &message);
        }
    }
    let routes_of_v4 = dump(|| handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute()).await?;
    let routes_of_v6 = dump(|| handle.route().get(RouteMessageBuilder::<Ipv6Addr>::new().build()).execute()).await?;
    add_gateways(&mut links, routes_of_v4.iter().chain(&routes_of_v6).flat_map(next_hops).collect());
    Ok(links)
}

async fn dump<T, S: Stream<Item = Result<T, rtnetlink::Error>>>(ask: impl Fn() -> S) -> Result<Vec<T>, LinksError> {
    let mut attempt = 1;
    loop {
        match ask().try_collect().await {
            Ok(all) => return Ok(all),
            Err(error) if attempt == ATTEMPTS => return Err(LinksError::Read(error)),
            Err(error) => tracing::debug!(%error, attempt, "a netlink dump is read again"),
        }
        attempt += 1;
    }
}

pub(super) fn name(message: &LinkMessage) -> Option<InterfaceName> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(InterfaceName::new(name)),
        _ => None,
    })
}

/// An interface without addresses yet; `None` for whatever isn't Ethernet.
pub(super) fn link(message: &LinkMessage) -> Option<Link> {
    let flags = message.header.flags;
    if message.header.link_layer_type != LinkLayerType::Ether || flags.contains(LinkFlags::Loopback) {
        return None;
    }
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(address) => <[u8; 6]>::try_from(address.as_slice()).ok(),
        _ => None,
    })?;
    Some(Link {
        index: IfIndex(message.header.index),
        name: name(message)?,
        mac: MacAddr(mac),
        carrier: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        addresses: BTreeSet::new(),
        link_local: None,
        gateways: BTreeSet::new(),
    })
}

fn add_address(link: &mut Link, message: &AddressMessage) {
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut local, mut peer) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => peer = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // With a peer (point to point) the local address is the one that is ours.
    let Some(address) = local.or(peer) else { return };
    if flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed) {
        return;
    }
    match address {
        IpAddr::V6(address) if message.header.scope == AddressScope::Link => link.link_local = Some(address),
        _ => link.addresses.extend(IpNet::new(address, message.header.prefix_len).ok()),
    }
}

/// The next hops of a route of the main table that somebody configured: by hand, by DHCP or by router advertisement, or a
/// default route whoever set it. Routing daemons' other routes lead to pods of other nodes, not to clients.
pub(super) fn next_hops(route: &RouteMessage) -> impl Iterator<Item = NextHop> {
    let is_default = route.header.destination_prefix_length == 0;
    let is_configured = matches!(
        route.header.protocol,
        RouteProtocol::Boot | RouteProtocol::Static | RouteProtocol::Ra | RouteProtocol::Dhcp | RouteProtocol::Kernel
    );
    let table = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let is_main = table.unwrap_or_else(|| u32::from(route.header.table)) == u32::from(RouteHeader::RT_TABLE_MAIN);
    let mut hops = Vec::new();
    if is_main && (is_default || is_configured) {
        let output = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
        hops.extend(output.and_then(|output| Some((output, gateway(&route.attributes)?))));
        for attribute in &route.attributes {
            if let RouteAttribute::MultiPath(paths) = attribute {
                hops.extend(paths.iter().filter_map(|path| Some((path.interface_index, gateway(&path.attributes)?))));
            }
        }
    }
    hops.into_iter().map(move |(link, gateway)| NextHop {
        link: IfIndex(link),
        is_of_other_route: !is_default,
        gateway,
    })
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) | RouteAttribute::Via(RouteVia::Inet(address)) => {
            Some(IpAddr::V4(*address))
        }
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) | RouteAttribute::Via(RouteVia::Inet6(address)) => {
            Some(IpAddr::V6(*address))
        }
        _ => None,
    })
}

fn add_gateways(links: &mut Links, hops: BTreeSet<NextHop>) {
    let mut by_link: BTreeMap<IfIndex, Vec<NextHop>> = BTreeMap::new();
    for hop in hops {
        by_link.entry(hop.link).or_default().push(hop);
    }
    for (index, hops) in by_link {
        if let Some(link) = links.get_mut(&index) {
            link.gateways = hops.into_iter().take(GATEWAYS_AT_MOST).map(|hop| hop.gateway).collect();
        }
    }
}
