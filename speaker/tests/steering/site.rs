//! A node with a pod, its network, and a client behind a router.

use crate::support::lan::{Host, Lan};
use crate::support::namespace::Namespace;
use herald_core::steering::Table;
use herald_speaker::steering::Steering;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// The VIPs of the site, one per family.
pub(crate) const VIPS: [&str; 2] = ["192.0.2.200", "2001:db8::200"];
/// A port that reaches the pod.
pub(crate) const SERVED: u16 = 80;
/// A port that some Service has, but without endpoints: kube-proxy refuses it.
pub(crate) const WITHOUT_ENDPOINTS: u16 = 81;
/// A port that some Service has and kube-proxy knows nothing of yet.
pub(crate) const UNKNOWN_TO_PROXY: u16 = 82;
/// A port that no Service has.
pub(crate) const UNSERVED: u16 = 83;
/// What a client sends to be sent much.
pub(crate) const SEND_MUCH: u8 = b'M';
/// How much that is: many packets of any size.
pub(crate) const MUCH: usize = 600_000;
/// How long a kernel may take for what it does at once; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

const PROXY: &str = include_str!("proxy.nft");

/// ```text
/// far ── router ──┬── client
///                 └── node ── pod
/// ```
pub(crate) struct Site {
    _lan: Lan,
    pub(crate) client: Host,
    pub(crate) node: Host,
    pub(crate) router: Host,
    pub(crate) far: Namespace,
    pub(crate) pod: Namespace,
    pub(crate) steering: Steering,
}

impl Site {
    /// Guarded: the kube-proxy stand-in's ports and no others are served.
    pub(crate) fn new() -> Self {
        let lan = Lan::new();
        let client = lan.attach("client", &["192.0.2.100/24", "2001:db8::100/64"]);
        let node = lan.attach("node", &["192.0.2.11/24", "2001:db8::11/64"]);
        let router = lan.attach("router", &["192.0.2.1/24", "2001:db8::1/64"]);
        let (far, pod) = (Namespace::new("far"), Namespace::new("pod"));
        for forwarder in [&node.namespace, &router.namespace] {
            forwarder.sysctl("net/ipv4/ip_forward", "1");
            forwarder.sysctl("net/ipv6/conf/all/forwarding", "1");
            forwarder.sysctl("net/ipv4/icmp_ratelimit", "0");
            forwarder.sysctl("net/ipv6/icmp/ratelimit", "0");
        }
        router.namespace.cable("south", &far, "eth0");
        node.namespace.cable("pod0", &pod, "eth0");
        addresses(&router.namespace, "south", ["198.51.100.1/24", "2001:db8:f::1/64"]);
        addresses(&far, "eth0", ["198.51.100.2/24", "2001:db8:f::2/64"]);
        addresses(&node.namespace, "pod0", ["10.244.1.1/24", "fd44:1::1/64"]);
        addresses(&pod, "eth0", ["10.244.1.2/24", "fd44:1::2/64"]);
        gateways(&far, ["198.51.100.1", "2001:db8:f::1"]);
        gateways(&pod, ["10.244.1.1", "fd44:1::1"]);
        gateways(&node.namespace, ["192.0.2.1", "2001:db8::1"]);
        gateways(&client.namespace, ["192.0.2.1", "2001:db8::1"]);
        for neighbour in [&client, &router] {
            for vip in VIPS {
                let mac = &node.mac;
                neighbour.namespace.run(&format!("ip neigh add {vip} lladdr {mac} dev eth0 nud permanent"));
            }
        }
        install_proxy(&node.namespace);
        serve(&pod);
        let mut steering = node.namespace.within(Steering::open).expect("steering");
        steering.insert(&served()).expect("the site's table");
        Self { _lan: lan, client, node, router, far, pod, steering }
    }

    /// Everybody who may talk to a VIP, by name.
    pub(crate) fn clients(&self) -> [(&'static str, &Namespace); 4] {
        [
            ("a client on the network", &self.client.namespace),
            ("a client behind the router", &self.far),
            ("the node itself", &self.node.namespace),
            ("a pod on the node", &self.pod),
        ]
    }

    /// The guard's count of a reason, both families together.
    pub(crate) fn counted(&mut self, reason: herald_speaker::steering::Reason) -> u64 {
        let counts = self.steering.counts().expect("counters");
        counts.iter().filter(|((_, counted), _)| *counted == reason).map(|(_, count)| count.packets).sum()
    }
}

/// The table that matches `proxy.nft`.
pub(crate) fn served() -> Table {
    let ports =
        format!("tcp/{SERVED} udp/{SERVED} tcp/{WITHOUT_ENDPOINTS} tcp/{UNKNOWN_TO_PROXY} udp/{UNKNOWN_TO_PROXY}");
    let lines = VIPS.map(|vip| format!("{vip}: {ports}"));
    crate::table::table(&lines.each_ref().map(String::as_str))
}

/// An address of the site with a port.
pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

/// Connects from a namespace.
pub(crate) fn connect(from: &Namespace, to: SocketAddr) -> std::io::Result<TcpStream> {
    from.within(|| {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    })
}

/// Sends something and wants it back.
pub(crate) fn echoes(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut answer = [0; 4];
    stream.write_all(b"ECHO")?;
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"ECHO");
    Ok(())
}

/// A UDP socket in a namespace that talks to one address.
pub(crate) fn datagrams(from: &Namespace, to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    from.within(|| {
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        socket.connect(to).expect("a route");
        socket
    })
}

fn addresses(namespace: &Namespace, device: &str, addresses: [&str; 2]) {
    for address in addresses {
        namespace.run(&format!("ip address add {address} dev {device}"));
    }
}

fn gateways(namespace: &Namespace, gateways: [&str; 2]) {
    for gateway in gateways {
        namespace.run(&format!("ip route add default via {gateway}"));
    }
}

/// Stands in for kube-proxy: the same hooks and priorities, the site's one Service.
fn install_proxy(node: &Namespace) {
    for (family, vip, pod, target) in
        [("ip", VIPS[0], "10.244.1.2", "10.244.1.2:8080"), ("ip6", VIPS[1], "fd44:1::2", "[fd44:1::2]:8080")]
    {
        let rules = PROXY.replace("FAMILY", family).replace("VIP", vip).replace("POD", pod).replace("TARGET", target);
        let output = node.within(|| std::process::Command::new("nft").arg(rules).output());
        let output = output.expect("nft is not there: apt-get install nftables");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// TCP and UDP on port 8080 of both families: echoes, or sends much.
fn serve(pod: &Namespace) {
    for any in ["0.0.0.0", "::"] {
        let address = SocketAddr::new(any.parse::<IpAddr>().expect("an address"), 8080);
        let (listener, socket) = pod.within(|| {
            let only_six = address.is_ipv6().then(|| std::fs::write("/proc/sys/net/ipv6/bindv6only", "1"));
            only_six.unwrap_or(Ok(())).expect("one socket for each family");
            (TcpListener::bind(address).expect("a port"), UdpSocket::bind(address).expect("a port"))
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || answer(stream));
            }
        });
        std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let _lost_as_datagrams_may_be = socket.send_to(&bytes[..length], from);
            }
        });
    }
}

/// Until the client goes away.
fn answer(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        let much = vec![SEND_MUCH; MUCH];
        let answer = if bytes[0] == SEND_MUCH { much.as_slice() } else { &bytes[..length] };
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}
