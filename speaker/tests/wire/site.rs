//! Members on hosts of a switch that know of nobody else on the wire, and what is asked of them.

use crate::speaker::{self, parse};
use crate::support::lan::{Host, Lan};
use crate::support::namespace::Namespace;
use crate::support::station::Station;
use herald_core::address::Vip;
use herald_core::announce::Config;
use herald_core::liveness::Claim;
use herald_core::member::{Condition, Outlook};
use herald_core::ownership::{Advertisement, InterfacePattern, Node, Segment, Subject, View};
use herald_wire::heartbeat::Keyring;
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// A member that is told what it owns.
///
/// There is one other node as far as it knows, of which nothing is ever heard, and which is the owner of the addresses that
/// this one is only a candidate for.
pub(crate) struct Speaker {
    member: speaker::Speaker,
    /// Of the claims it is told of: each time higher ones.
    epoch: Cell<u64>,
}

impl Deref for Speaker {
    type Target = speaker::Speaker;

    fn deref(&self) -> &Self::Target {
        &self.member
    }
}

const OTHER_NODE: &str = "elsewhere";
const LINKS: [&str; 2] = ["eth0", "eth1"];

impl Speaker {
    /// Starts in a namespace with usual settings.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        Self::start_with(namespace, Config::default())
    }

    pub(crate) fn start_with(namespace: &Namespace, config: Config) -> Self {
        let member = speaker::Speaker::start(namespace, namespace.name(), 1, config, Keyring::default());
        Self { member, epoch: Cell::new(0) }
    }

    /// Owns these VIPs on `eth0`, is a candidate for those.
    pub(crate) fn publish(&self, owned: &[&str], candidates: &[&str]) {
        self.publish_on(&[("eth0", owned, candidates)]);
    }

    /// As [`Speaker::publish`] for several interfaces.
    pub(crate) fn publish_on(&self, links: &[(&str, &[&str], &[&str])]) {
        let subjects = links.iter().flat_map(|(link, owned, candidates)| {
            let candidates = candidates.iter().filter(|vip| !owned.contains(vip)).map(|vip| (vip, OTHER_NODE));
            let owned = owned.iter().map(|vip| (vip, self.member.node()));
            owned.chain(candidates).map(|(vip, owner)| (parse(vip), owner, *link))
        });
        self.tell(subjects);
    }

    /// Owns as many VIPs as there are, given as numbers.
    pub(crate) fn publish_many(&self, vips: impl Iterator<Item = IpAddr>) {
        self.tell(vips.map(|vip| (Vip::new(vip).expect("a VIP"), self.member.node(), "eth0")));
    }

    /// Says which node has each address, on which interface.
    fn tell<'v>(&self, subjects: impl Iterator<Item = (Vip, &'v str, &'v str)>) {
        self.epoch.set(self.epoch.get() + 1);
        let subjects = subjects.map(|(vip, owner, link)| {
            let claim = Some(Claim { epoch: self.epoch.get(), node: owner.into() });
            (vip, Arc::new(Subject { claim, ..Subject::new(vip, link.into()) }))
        });
        // The addresses of an interface come from a pool of its name.
        let advertisements = LINKS.map(|link| {
            let interfaces = vec![InterfacePattern::new(link)];
            (link.to_owned(), Advertisement { pools: [link.into()].into(), interfaces, ..Advertisement::default() })
        });
        let nodes = [self.member.node(), OTHER_NODE].map(|name| (name.into(), node()));
        self.outlook.send_replace(Arc::new(Outlook {
            view: Arc::new(View { nodes: nodes.into(), advertisements: advertisements.into() }),
            subjects: subjects.collect(),
            me: Condition { able: true, ..Condition::default() },
            ..Outlook::default()
        }));
    }

    /// Owns these VIPs on a host's `eth0`, and waits until they are announced.
    pub(crate) fn own(&self, host: &Host, vips: &[&str]) {
        self.publish(vips, vips);
        for vip in vips {
            self.expect_announced(vip, host.index);
        }
    }
}

fn node() -> Node {
    let segments = LINKS.map(|link| Segment {
        interface: link.into(),
        subnets: BTreeSet::new(),
        carrier: true,
        mac: None,
        addresses: BTreeSet::new(),
    });
    Node {
        labels: BTreeMap::new(),
        speaker: true,
        bar: None,
        leaving: false,
        cordoned: false,
        segments: segments.into(),
    }
}

/// One node that announces and one host that asks, in scapy's hands.
pub(crate) struct Site {
    pub(crate) lan: Lan,
    pub(crate) node: Host,
    pub(crate) speaker: Speaker,
    pub(crate) client: Host,
    pub(crate) station: Station,
}

pub(crate) const VIP: &str = "192.0.2.100";
pub(crate) const OTHER_VIP: &str = "192.0.2.101";
pub(crate) const VIP6: &str = "2001:db8::100";
pub(crate) const OTHER_VIP6: &str = "2001:db8::101";
pub(crate) const NODE: &str = "192.0.2.1";
pub(crate) const CLIENT: &str = "192.0.2.50";
pub(crate) const CLIENT6: &str = "2001:db8::50";

impl Site {
    /// A node that owns these VIPs.
    pub(crate) fn owning(vips: &[&str]) -> Self {
        let site = Self::with(Config::default());
        site.speaker.own(&site.node, vips);
        site
    }

    pub(crate) fn with(config: Config) -> Self {
        let lan = Lan::new();
        let node = lan.attach("node", &["192.0.2.1/24", "2001:db8::1/64"]);
        let client = lan.attach("client", &["192.0.2.50/24", "2001:db8::50/64"]);
        let station = Station::listen(&client.namespace, "eth0");
        let speaker = Speaker::start_with(&node.namespace, config);
        Self { lan, node, speaker, client, station }
    }

    /// Asks for an address as a host does that doesn't know it, by ARP or neighbour discovery.
    pub(crate) fn ask(&mut self, address: &str) {
        let question = question(&self.client.mac, address);
        self.station.send(&question);
    }

    /// Everything that arrives before the answer to one more question, for another address that is answered: by then
    /// whatever answers earlier questions has come.
    pub(crate) fn frames_before_answer_for(&mut self, marker: &str) -> Vec<Value> {
        self.ask(marker);
        self.station.until("the answer to the marker", |frame| answers(frame, marker))
    }
}

/// A broadcast ARP request, or a multicast solicitation.
pub(crate) fn question(mac: &str, address: &str) -> String {
    if address.contains(':') {
        let group = format!("in6_getnsma(inet_pton(socket.AF_INET6, '{address}'))");
        return format!(
            "Ether(src='{mac}', dst=in6_getnsmac({group}))/IPv6(src='{CLIENT6}', dst=inet_ntop(socket.AF_INET6, {group}), hlim=255)\
             /ICMPv6ND_NS(tgt='{address}')/ICMPv6NDOptSrcLLAddr(lladdr='{mac}')"
        );
    }
    format!("Ether(src='{mac}', dst='ff:ff:ff:ff:ff:ff')/ARP(op=1, hwsrc='{mac}', psrc='{CLIENT}', pdst='{address}')")
}

/// Whether a frame answers a question for an address: an ARP reply from it, or a solicited advertisement of it.
pub(crate) fn answers(frame: &Value, address: &str) -> bool {
    (frame["arp"]["op"] == 2 && frame["arp"]["spa"] == address && frame["arp"]["tpa"] != address)
        || (frame["na"]["target"] == address && frame["na"]["solicited"] == 1)
}

/// What a host's kernel knows of an address: where it is and how sure that is.
pub(crate) fn neighbour(host: &Host, address: &str) -> Option<(String, String)> {
    let shown = host.namespace.run(&format!("ip neigh show {address} dev eth0"));
    let words: Vec<_> = shown.split_whitespace().collect();
    let mac = words.iter().position(|word| *word == "lladdr").and_then(|position| words.get(position + 1))?;
    Some(((*mac).to_owned(), (*words.last()?).to_owned()))
}
