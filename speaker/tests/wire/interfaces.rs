//! What the speaker knows of a node's interfaces.

use crate::support::eventually;
use crate::support::lan::{Host, Lan};
use herald_core::link::{Link, Links};
use herald_core::names::IfIndex;
use herald_speaker::links;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(5);

/// The interfaces of a host as they change, until it is dropped.
struct Watcher {
    links: watch::Receiver<Links>,
    stop: CancellationToken,
}

impl Watcher {
    fn start(host: &Host, counts: fn(&str) -> bool) -> Self {
        let (sender, receiver) = channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        host.namespace.within(|| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async move {
                    let watched = links::watch(move |name| counts(name.as_str())).await.expect("interfaces");
                    sender.send(watched.links.clone()).expect("the test that waits");
                    stopped.cancelled().await;
                });
            })
        });
        Self { links: receiver.recv().expect("a watcher that has started"), stop }
    }

    /// Waits until the host's `eth0` is as wanted.
    fn expect(&self, host: &Host, what: &str, wanted: impl Fn(&Link) -> bool) {
        eventually(what, PATIENCE, || {
            let links = self.links.borrow();
            let link = links.get(&IfIndex(host.index));
            if link.is_some_and(&wanted) { Ok(()) } else { Err(format!("{link:#?}")) }
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[test]
fn changes_of_addresses_gateways_carrier_and_mac_are_seen() {
    let lan = Lan::new();
    let host = lan.attach("host", &["192.0.2.1/24"]);
    let watcher = Watcher::start(&host, |_| true);
    watcher.expect(&host, "the interface as it was", |link| {
        link.carrier
            && link.mac.to_string() == host.mac
            && link.addresses.contains(&"192.0.2.1/24".parse().unwrap())
            && link.gateways.is_empty()
    });
    watcher.expect(&host, "a link-local address", |link| link.link_local.is_some());
    host.namespace.run("ip address add 2001:db8::1/64 dev eth0");
    watcher.expect(&host, "the new address", |link| link.addresses.contains(&"2001:db8::1/64".parse().unwrap()));
    host.namespace.run("ip route add default via 192.0.2.254");
    host.namespace.run("ip route add 198.51.100.0/24 via 192.0.2.253 proto static");
    host.namespace.run("ip route add 203.0.113.0/24 via 192.0.2.2 proto bird");
    let gateways = |link: &Link| link.gateways.iter().map(ToString::to_string).collect::<Vec<_>>();
    watcher
        .expect(&host, "both gateways and not the other node", |link| gateways(link) == ["192.0.2.253", "192.0.2.254"]);
    host.namespace.run("ip route del default");
    watcher.expect(&host, "one gateway less", |link| gateways(link) == ["192.0.2.253"]);
    lan.plug("host", false);
    watcher.expect(&host, "no carrier", |link| !link.carrier);
    lan.plug("host", true);
    watcher.expect(&host, "the carrier again", |link| link.carrier);
    host.namespace.run("ip link set dev eth0 address 02:00:00:00:ee:ee");
    watcher.expect(&host, "the new MAC address", |link| link.mac.to_string() == "02:00:00:00:ee:ee");
    // The kernel takes the addresses and says nothing of the routes that go with them.
    host.namespace.run("ip link set dev eth0 down");
    watcher.expect(&host, "no gateway on an interface that is down", |link| link.gateways.is_empty());
}

#[test]
fn interfaces_that_do_not_count_and_loopback_are_not_there_and_gone_ones_go() {
    let lan = Lan::new();
    let host = lan.attach("host", &[]);
    let watcher = Watcher::start(&host, |name| !name.starts_with("cali"));
    lan.connect(&host.namespace, "cali1", "pod");
    lan.connect(&host.namespace, "eth1", "second");
    eventually("eth0 and eth1", PATIENCE, || {
        let names: Vec<_> = watcher.links.borrow().values().map(|link| link.name.to_string()).collect();
        if names == ["eth0", "eth1"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
    host.namespace.run("ip link del dev eth0");
    eventually("eth1 alone", PATIENCE, || {
        let names: Vec<_> = watcher.links.borrow().values().map(|link| link.name.to_string()).collect();
        if names == ["eth1"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

#[test]
fn a_burst_of_changes_that_overruns_the_socket_ends_with_the_truth() {
    let lan = Lan::new();
    let host = lan.attach("host", &[]);
    let watcher = Watcher::start(&host, |_| true);
    // One batch of some thousand messages, much faster than they are read.
    let lines: Vec<_> = (0..4_000).map(|n| format!("address add 10.{}.{}.1/24 dev eth0", n / 250, n % 250)).collect();
    let batch = std::env::temp_dir().join(format!("herald-addresses-{}", std::process::id()));
    std::fs::write(&batch, lines.join("\n")).expect("a temporary file");
    host.namespace.run(&format!("ip -batch {}", batch.display()));
    std::fs::remove_file(&batch).expect("the temporary file");
    watcher.expect(&host, "all 4,000 addresses", |link| link.addresses.len() == 4_000);
}
