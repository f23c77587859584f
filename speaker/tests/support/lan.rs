//! A switch with hosts on it.

use super::namespace::Namespace;
use std::cell::Cell;

/// A bridge in a namespace of its own. Every port is named after its host.
pub(crate) struct Lan {
    /// The switch's namespace; its bridge is `br0`.
    pub(crate) switch: Namespace,
    attached: Cell<u8>,
}

/// A namespace with an interface `eth0` on the switch.
pub(crate) struct Host {
    /// Where it lives.
    pub(crate) namespace: Namespace,
    /// The MAC address of `eth0`: `02:00:00:00:00:NN` in the order of attaching, from 01.
    pub(crate) mac: String,
    /// The kernel's number of `eth0`.
    pub(crate) index: u32,
}

impl Lan {
    /// A switch without ports. It floods multicast, as switches without snooping do.
    pub(crate) fn new() -> Self {
        let switch = Namespace::new("switch");
        switch.run("ip link add br0 type bridge mcast_snooping 0");
        switch.run("ip link set dev br0 up");
        Self { switch, attached: Cell::new(0) }
    }

    /// Connects a host with these addresses (`192.0.2.1/24`, `2001:db8::1/64`) on its `eth0`.
    pub(crate) fn attach(&self, name: &str, addresses: &[&str]) -> Host {
        let namespace = Namespace::new(name);
        let mac = self.connect(&namespace, "eth0", name);
        for address in addresses {
            namespace.run(&format!("ip address add {address} dev eth0"));
        }
        let index = namespace.within(|| nix::net::if_::if_nametoindex("eth0")).expect("the number of eth0");
        Host { namespace, mac, index }
    }

    /// Connects one more interface of a namespace to a port of the switch, and returns the interface's MAC address.
    pub(crate) fn connect(&self, namespace: &Namespace, device: &str, port: &str) -> String {
        let number = self.attached.get() + 1;
        self.attached.set(number);
        let mac = format!("02:00:00:00:00:{number:02x}");
        let (here, there) = (namespace.path(), self.switch.path());
        namespace
            .run(&format!("ip link add {device} address {mac} netns {here} type veth peer name {port} netns {there}"));
        self.switch.run(&format!("ip link set dev {port} master br0 up"));
        namespace.run(&format!("ip link set dev {device} up"));
        mac
    }

    /// Pulls the cable of a port, or plugs it in again: the host loses or gets its carrier.
    pub(crate) fn plug(&self, port: &str, plugged: bool) {
        self.switch.run(&format!("ip link set dev {port} {}", if plugged { "up" } else { "down" }));
    }
}
