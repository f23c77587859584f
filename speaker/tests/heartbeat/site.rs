//! Members on hosts of a switch that know each other, as the API server would tell them.

use crate::speaker::{Speaker, parse};
use crate::support::lan::{Host, Lan};
use crate::support::station::Station;
use crate::support::{eventually, now};
use herald_core::announce::Config;
use herald_core::liveness::{Claim, Standing};
use herald_core::mac::MacAddr;
use herald_core::member::{Cause, Condition, Outlook, Tenure};
use herald_core::names::NodeName;
use herald_core::ownership::{Node, Segment, Subject, View};
use herald_wire::heartbeat::Keyring;
use ipnet::IpNet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const VIP: &str = "192.0.2.100";
pub(crate) const VIP6: &str = "2001:db8::100";
pub(crate) const CLUSTER: &str = "3f9c2a6e-7d1b-4c55-9d0e-0a1b2c3d4e5f";
pub(crate) const KEY: [u8; 32] = [7; 32];

const PATIENCE: Duration = Duration::from_secs(5);

/// The number of the client among the hosts of a subnet.
const CLIENT: usize = 50;

/// Nodes named `node-1`, `node-2` and so on, each a host with a speaker, and a client, which is also their gateway.
pub(crate) struct Site {
    pub(crate) lan: Lan,
    pub(crate) hosts: Vec<Host>,
    /// `None`: it was killed.
    pub(crate) speakers: Vec<Option<Speaker>>,
    /// What arrives at a client.
    pub(crate) station: Station,
    pub(crate) client: Host,
    family: Family,
}

/// Of the segment's subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// One key, known for long enough to be used at once.
pub(crate) fn keyring() -> Keyring {
    keyring_of(CLUSTER, &[("2026-01-01T00-00-00Z", KEY)])
}

/// These keys, known for long enough to be used at once.
pub(crate) fn keyring_of(cluster: &str, keys: &[(&str, [u8; 32])]) -> Keyring {
    let known = now().checked_sub(Duration::from_mins(1)).expect("a machine that runs for a minute");
    Keyring::default().follow(cluster, keys.iter().copied(), known)
}

impl Site {
    /// So many nodes whose speakers run and know each other.
    pub(crate) fn new(nodes: usize, family: Family) -> Self {
        Self::with(nodes, family, true)
    }

    /// As [`Site::new`], with or without a gateway.
    pub(crate) fn with(nodes: usize, family: Family, gateway: bool) -> Self {
        let lan = Lan::new();
        let hosts = (1..=nodes).map(|number| lan.attach(&format!("node-{number}"), &[&address(family, number)]));
        let hosts: Vec<_> = hosts.collect();
        let client = lan.attach("client", &[&address(family, CLIENT)]);
        for host in hosts.iter().filter(|_| gateway) {
            host.namespace.run(&format!("ip route add default via {} dev eth0", plain(family, CLIENT)));
        }
        let station = Station::listen(&client.namespace, "eth0");
        let mut site = Self { lan, hosts, speakers: Vec::new(), station, client, family };
        site.speakers = (0..nodes).map(|node| Some(site.start(node, node as u64 + 1))).collect();
        site
    }

    /// Starts a node's speaker in a life of this number.
    pub(crate) fn start(&self, node: usize, life: u64) -> Speaker {
        Speaker::start(&self.hosts[node].namespace, name(node).as_str(), life, Config::default(), keyring())
    }

    pub(crate) fn speaker(&self, node: usize) -> &Speaker {
        self.speakers[node].as_ref().expect("a speaker that runs")
    }

    /// The address that a node's speaker is heard at.
    pub(crate) fn address(&self, node: usize) -> String {
        plain(self.family, node + 1)
    }

    /// Ends a speaker as if its process had been killed.
    pub(crate) fn kill(&mut self, node: usize) {
        self.speakers[node].take().expect("a speaker that runs").kill();
    }

    /// Tells all speakers that these addresses are those nodes'.
    pub(crate) fn publish(&self, vips: &[(&str, usize)]) {
        for node in (0..self.hosts.len()).filter(|node| self.speakers[*node].is_some()) {
            let outlook = outlook(self.family, self.hosts.len(), vips);
            self.speaker(node).outlook.send_replace(Arc::new(outlook));
        }
    }

    /// As [`Site::publish`], and waits until they are announced.
    pub(crate) fn announce(&self, vips: &[(&str, usize)]) {
        self.publish(vips);
        for (vip, node) in vips {
            let mac = self.speaker(*node).expect_announced(vip, self.hosts[*node].index);
            assert_eq!(mac.to_string(), self.hosts[*node].mac);
        }
    }

    /// Waits until all speakers that run hear each other.
    pub(crate) fn expect_all_alive(&self) {
        let running = || (0..self.hosts.len()).filter(|node| self.speakers[*node].is_some());
        for (node, peer) in running().flat_map(|node| running().map(move |peer| (node, peer))) {
            if node != peer {
                self.expect_standing(node, peer, |standing| matches!(standing, Standing::Alive(_)));
            }
        }
    }

    /// Waits until a peer stands so with a node.
    pub(crate) fn expect_standing(&self, node: usize, peer: usize, wanted: impl Fn(&Standing) -> bool) {
        let (of, peer) = (name(node), name(peer));
        eventually(&format!("how {peer} stands with {of}"), PATIENCE, || {
            let standing = self.speaker(node).standing(self.hosts[node].index, &peer);
            if wanted(&standing) { Ok(()) } else { Err(format!("{standing:?}")) }
        });
    }

    /// Waits until every speaker has heard so many more messages.
    pub(crate) fn expect_more_beats(&self, count: u64) {
        for speaker in self.speakers.iter().flatten() {
            let heard = || speaker.counter("heartbeats_received_total");
            let wanted = heard() + count;
            eventually(&format!("{wanted} messages"), PATIENCE, || match heard() {
                enough if enough >= wanted => Ok(()),
                fewer => Err(fewer.to_string()),
            });
        }
    }

    /// Waits for the first announcement of an address by another node than this one.
    pub(crate) fn expect_takeover(&self, vip: &str, from: usize) -> Value {
        let before = &self.hosts[from].mac;
        self.station.expect(&format!("an announcement of {vip} by another node than {before}"), |frame| {
            announces(frame, vip) && frame["src"] != *before
        })
    }

    /// Waits until another node holds an address because of what became of this one.
    pub(crate) fn expect_cause(&self, vip: &str, from: usize, cause: Cause) {
        let expected = (cause, Some(name(from)));
        eventually(&format!("{vip} to be taken because of {expected:?}"), PATIENCE, || {
            let states = self.speakers.iter().flatten().map(|speaker| speaker.state(vip).tenure);
            let came: Vec<_> = states
                .filter_map(|tenure| match tenure {
                    Tenure::Announcing { came, .. } => Some((came.cause, came.from)),
                    _ => None,
                })
                .collect();
            if came == [expected.clone()] { Ok(()) } else { Err(format!("{came:?}")) }
        });
    }

    /// An address stays where it is: nobody else has announced it, and nobody else says that it holds it.
    pub(crate) fn expect_unmoved(&mut self, vip: &str, owner: usize) {
        // Its owner answers, and by the time the answer is there all frames before it are.
        let question = question(&self.client.mac, &plain(self.family, CLIENT), vip);
        self.station.send(&question);
        let frames = self.station.until("an answer", |frame| answers(frame, vip));
        let strangers: Vec<_> = frames
            .iter()
            .filter(|frame| (announces(frame, vip) || answers(frame, vip)) && frame["src"] != self.hosts[owner].mac)
            .collect();
        assert!(strangers.is_empty(), "{vip} belongs to {}: {strangers:#?}", name(owner));
        let holders: Vec<_> = (0..self.hosts.len()).filter(|node| self.holds(*node, vip)).collect();
        assert_eq!(holders, [owner], "{vip}");
    }

    /// Whether a node's speaker runs and answers for an address.
    pub(crate) fn holds(&self, node: usize, vip: &str) -> bool {
        self.speakers[node].as_ref().is_some_and(|speaker| speaker.state(vip).tenure.is_held())
    }

    /// Datagrams that a node's speaker has not believed.
    pub(crate) fn dropped(&self, node: usize) -> u64 {
        self.speaker(node).sum("heartbeats_dropped_total")
    }
}

/// The name of a node, counted from 0.
pub(crate) fn name(node: usize) -> NodeName {
    NodeName::new(format!("node-{}", node + 1))
}

/// What speakers of so many nodes know when these addresses were announced by those nodes.
pub(crate) fn outlook(family: Family, nodes: usize, vips: &[(&str, usize)]) -> Outlook {
    let subjects = vips.iter().map(|(vip, node)| {
        let vip = parse(vip);
        let claim = Some(Claim { epoch: 1, node: name(*node) });
        (vip, Arc::new(Subject { claim, ..Subject::new(vip, "lan".into()) }))
    });
    Outlook {
        view: Arc::new(View {
            nodes: (0..nodes).map(|number| (name(number), node(family, number))).collect(),
            advertisements: BTreeMap::new(),
        }),
        subjects: subjects.collect(),
        me: Condition { able: true, ..Condition::default() },
        ..Outlook::default()
    }
}

fn node(family: Family, number: usize) -> Node {
    let subnet: IpNet = address(family, number + 1).parse().expect("a subnet");
    let segment = Segment {
        interface: "eth0".into(),
        subnets: [subnet].into(),
        carrier: true,
        // Hosts are attached to the switch in order.
        mac: Some(MacAddr([2, 0, 0, 0, 0, u8::try_from(number + 1).expect("a small number")])),
        addresses: [subnet.addr()].into(),
    };
    Node { labels: BTreeMap::new(), speaker: true, bar: None, leaving: false, cordoned: false, segments: vec![segment] }
}

/// Seconds since 1970, as frames are stamped.
#[expect(clippy::disallowed_methods, reason = "compared with the times of frames")]
pub(crate) fn wall_clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set").as_secs_f64()
}

/// Whether a frame tells everybody where an address is: a gratuitous ARP message, or an unsolicited advertisement.
pub(crate) fn announces(frame: &Value, vip: &str) -> bool {
    (frame["arp"]["spa"] == vip && frame["arp"]["tpa"] == vip)
        || (frame["na"]["target"] == vip && frame["na"]["solicited"] == 0)
}

/// Whether a frame answers a question for an address.
pub(crate) fn answers(frame: &Value, vip: &str) -> bool {
    (frame["arp"]["op"] == 2 && frame["arp"]["spa"] == vip && frame["arp"]["tpa"] != vip)
        || (frame["na"]["target"] == vip && frame["na"]["solicited"] == 1)
}

/// Asks for an IPv4 address as a host does that doesn't know it.
pub(crate) fn question(mac: &str, from: &str, vip: &str) -> String {
    format!("Ether(src='{mac}', dst='ff:ff:ff:ff:ff:ff')/ARP(op=1, hwsrc='{mac}', psrc='{from}', pdst='{vip}')")
}

fn address(family: Family, host: usize) -> String {
    match family {
        Family::V4 => format!("192.0.2.{host}/24"),
        Family::V6 => format!("2001:db8::{host}/64"),
    }
}

/// Without the length of its prefix.
fn plain(family: Family, host: usize) -> String {
    address(family, host).split('/').next().expect("an address").to_owned()
}
