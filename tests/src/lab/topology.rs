//! The wires: namespaces, the switch, the router, the management network, addresses and routes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::addresses::{
    API_V4, API_V6, CLIENT_MGMT_V4, CLIENT_MGMT_V6, CLIENT_V4, CLIENT_V6, FAR_ROUTER_V4, FAR_ROUTER_V6, HostLink,
    LAN_CLIENT_V4, LAN_CLIENT_V6, NodeAddresses, ROUTER_V4, ROUTER_V6, SERVICES,
};
use super::options::Options;
use super::room::{Room, netns_name};
use super::stranger::STRANGER_MAC;

/// The host that has the switch in it: a bridge, one port per host of the LAN, each port named after its host.
pub const SWITCH: &str = "switch";
/// The host of etcd, the API server, the controller manager and the scheduler.
pub const CONTROL_PLANE: &str = "control-plane";
/// The client behind the router.
pub const CLIENT: &str = "client";
/// The client on the LAN.
pub const LAN_CLIENT: &str = "lan-client";
/// The router between the LAN and the client.
pub const ROUTER: &str = "router";
/// A machine on the LAN that is none of the cluster's, switched off at first.
pub const STRANGER: &str = "stranger";
/// The bridge in the switch.
pub const BRIDGE: &str = "lan";
/// A host's interface on the LAN.
pub const LAN_INTERFACE: &str = "eth0";
/// The router's interface towards the client.
pub const FAR_INTERFACE: &str = "far";
/// A host's interface on the management network.
pub const MANAGEMENT_INTERFACE: &str = "mgmt0";

/// A node's name.
pub fn node_name(number: u8) -> String {
    format!("node-{number}")
}

/// All hosts of a lab.
pub fn hosts(nodes: u8) -> Vec<String> {
    let fixed = [SWITCH, CONTROL_PLANE, ROUTER, CLIENT, LAN_CLIENT, STRANGER].map(str::to_owned);
    fixed.into_iter().chain((1..=nodes).map(node_name)).collect()
}

/// Builds namespaces, links, addresses and routes of a lab.
pub(super) fn build(options: &Options, index: u8, rooms: &[Room]) -> Result<()> {
    let mut names = String::new();
    for room in rooms {
        writeln!(names, "netns add {}", netns_name(&options.name, room.host()))?;
    }
    ip(&[], &names).context("adding network namespaces")?;
    for room in rooms {
        room.wires()
            .within(set_kernel_options)?
            .with_context(|| format!("setting kernel options of {}", room.host()))?;
    }
    ip(&[], &links(options, index)?).context("adding links")?;
    for (host, batch) in configurations(options, index)? {
        let namespace = netns_name(&options.name, &host);
        ip(&["-n", &namespace], &batch).with_context(|| format!("configuring {host}"))?;
    }
    let host = HostLink::of(index);
    ip(&[], &format!("addr add {}/30 dev {}\nlink set {} up\n", host.host(), host.interface(), host.interface()))
        .context("configuring the host's link to the control plane")
}

/// Runs `ip` on a batch of commands.
pub(super) fn ip(arguments: &[&str], batch: &str) -> Result<()> {
    let mut ip = Command::new("ip")
        .args(arguments)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting ip (Debian package iproute2)")?;
    ip.stdin.take().context("ip has no stdin")?.write_all(batch.as_bytes())?;
    let output = ip.wait_with_output()?;
    if !output.status.success() {
        bail!("ip: {}\nthe commands were:\n{batch}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// What the lab wants of a host's kernel, read and written in its namespace: forwarding, addresses usable at once,
/// no router advertisements, and no limits on ICMP errors (tests count them).
fn set_kernel_options() -> Result<()> {
    for (option, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv6/conf/default/forwarding", "1"),
        ("ipv6/conf/all/accept_dad", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/all/accept_ra", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ] {
        let path = format!("/proc/sys/net/{option}");
        fs::write(&path, value).with_context(|| format!("writing {value} to {path}"))?;
    }
    Ok(())
}

fn links(options: &Options, index: u8) -> Result<String> {
    let mut batch = String::new();
    let netns = |host: &str| netns_name(&options.name, host);
    let mut link = |from: &str, port: &str, to: &str, interface: &str, mac: &str| {
        writeln!(
            batch,
            "link add {port} netns {} type veth peer name {interface} netns {}{mac}",
            netns(from),
            netns(to)
        )
    };
    for host in [ROUTER, LAN_CLIENT] {
        link(SWITCH, host, host, LAN_INTERFACE, "")?;
    }
    link(SWITCH, STRANGER, STRANGER, LAN_INTERFACE, &format!(" address {STRANGER_MAC}"))?;
    link(ROUTER, FAR_INTERFACE, CLIENT, LAN_INTERFACE, "")?;
    link(CONTROL_PLANE, CLIENT, CLIENT, MANAGEMENT_INTERFACE, "")?;
    for number in 1..=options.nodes {
        let node = node_name(number);
        let mac = format!(" address {}", NodeAddresses::of(number).mac());
        link(SWITCH, &node, &node, LAN_INTERFACE, &mac)?;
        link(CONTROL_PLANE, &node, &node, MANAGEMENT_INTERFACE, "")?;
    }
    writeln!(
        batch,
        "link add {} type veth peer name host netns {}",
        HostLink::of(index).interface(),
        netns(CONTROL_PLANE)
    )?;
    Ok(batch)
}

fn configurations(options: &Options, index: u8) -> Result<Vec<(String, String)>> {
    let nodes = || (1..=options.nodes).map(|number| (node_name(number), NodeAddresses::of(number)));
    let mut all = vec![
        (SWITCH.to_owned(), switch(options)?),
        (CONTROL_PLANE.to_owned(), control_plane(options, index)?),
        (ROUTER.to_owned(), router(options)?),
        (CLIENT.to_owned(), {
            let mut batch = interface(LAN_INTERFACE, &[(CLIENT_V4.into(), 24), (CLIENT_V6.into(), 64)])?;
            batch += &interface(MANAGEMENT_INTERFACE, &[(CLIENT_MGMT_V4.into(), 24), (CLIENT_MGMT_V6.into(), 64)])?;
            // The administrator's kubeconfig names the address by which the host reaches the API server.
            writeln!(batch, "route add {} via {API_V4}", HostLink::of(index).control_plane())?;
            batch + &default_routes(FAR_ROUTER_V4, FAR_ROUTER_V6)
        }),
        (STRANGER.to_owned(), format!("link set {LAN_INTERFACE} addrgenmode none\nlink set {LAN_INTERFACE} up\n")),
        (LAN_CLIENT.to_owned(), {
            let batch = interface(LAN_INTERFACE, &[(LAN_CLIENT_V4.into(), 24), (LAN_CLIENT_V6.into(), 64)])?;
            batch + &default_routes(ROUTER_V4, ROUTER_V6)
        }),
    ];
    for (name, node) in nodes() {
        let mut batch = interface(LAN_INTERFACE, &[(node.v4().into(), 24), (node.v6().into(), 64)])?;
        batch += &interface(MANAGEMENT_INTERFACE, &[(node.mgmt_v4().into(), 24), (node.mgmt_v6().into(), 64)])?;
        batch += &default_routes(ROUTER_V4, ROUTER_V6);
        for (other, peer) in nodes() {
            if other != name {
                writeln!(batch, "route add {} via {}", peer.pods_v4(), peer.v4())?;
                writeln!(batch, "route add {} via {}", peer.pods_v6(), peer.v6())?;
            }
        }
        all.push((name, batch));
    }
    Ok(all)
}

fn switch(options: &Options) -> Result<String> {
    let snooping = u8::from(options.snooping);
    let mut batch = format!(
        "link set lo up\nlink add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping {snooping}\n\
         link set {BRIDGE} addrgenmode none\nlink set {BRIDGE} up\n"
    );
    let nodes = (1..=options.nodes).map(node_name);
    for port in [ROUTER, LAN_CLIENT, STRANGER].map(str::to_owned).into_iter().chain(nodes) {
        writeln!(batch, "link set {port} addrgenmode none\nlink set {port} master {BRIDGE}\nlink set {port} up")?;
    }
    Ok(batch)
}

/// The management network is a bridge in the control plane's namespace. Nodes' InternalIPs, pods and Services are
/// reached over it, so that a node cut from the LAN still has its kubelet answered, and webhooks work.
fn control_plane(options: &Options, index: u8) -> Result<String> {
    let mut batch = "link add mgmt type bridge stp_state 0 forward_delay 0\n".to_owned();
    for port in [CLIENT.to_owned()].into_iter().chain((1..=options.nodes).map(node_name)) {
        writeln!(batch, "link set {port} addrgenmode none\nlink set {port} master mgmt\nlink set {port} up")?;
    }
    batch += &interface("mgmt", &[(API_V4.into(), 24), (API_V6.into(), 64)])?;
    batch += &interface("host", &[(HostLink::of(index).control_plane().into(), 30)])?;
    for node in (1..=options.nodes).map(NodeAddresses::of) {
        let (v4, v6) = (node.mgmt_v4(), node.mgmt_v6());
        writeln!(batch, "route add {} via {v4}\nroute add {} via {v4}", node.v4(), node.pods_v4())?;
        writeln!(batch, "route add {} via {v6}\nroute add {} via {v6}", node.v6(), node.pods_v6())?;
    }
    let first = NodeAddresses::of(1);
    let (services_v4, services_v6) = SERVICES.split_once(',').context("two service ranges")?;
    writeln!(batch, "route add {services_v4} via {}", first.mgmt_v4())?;
    writeln!(batch, "route add {services_v6} via {}", first.mgmt_v6())?;
    Ok(batch)
}

fn router(options: &Options) -> Result<String> {
    let mut batch = interface(LAN_INTERFACE, &[(ROUTER_V4.into(), 24), (ROUTER_V6.into(), 64)])?;
    batch += &interface(FAR_INTERFACE, &[(FAR_ROUTER_V4.into(), 24), (FAR_ROUTER_V6.into(), 64)])?;
    for node in (1..=options.nodes).map(NodeAddresses::of) {
        writeln!(batch, "route add {} via {}", node.pods_v4(), node.v4())?;
        writeln!(batch, "route add {} via {}", node.pods_v6(), node.v6())?;
    }
    Ok(batch)
}

fn interface(name: &str, addresses: &[(std::net::IpAddr, u8)]) -> Result<String> {
    ensure!(name.len() <= 15, "interface {name}: the kernel takes 15 bytes");
    let mut batch = format!("link set lo up\nlink set {name} up\n");
    for (address, prefix) in addresses {
        let nodad = if address.is_ipv6() { " nodad" } else { "" };
        writeln!(batch, "addr add {address}/{prefix} dev {name}{nodad}")?;
    }
    Ok(batch)
}

fn default_routes(v4: std::net::Ipv4Addr, v6: std::net::Ipv6Addr) -> String {
    format!("route add default via {v4}\nroute add ::/0 via {v6}\n")
}
