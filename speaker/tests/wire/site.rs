//! Announcers on hosts of a switch, and what is asked of them.

use crate::support::lan::{Host, Lan};
use crate::support::namespace::Namespace;
use crate::support::station::Station;
use crate::support::{eventually, now};
use herald_core::address::Vip;
use herald_core::names::IfIndex;
use herald_speaker::announcer::{Announcements, Announcer, Config, Event, Metrics};
use herald_speaker::links;
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// An announcer with the interfaces of a namespace, run as the speaker runs it.
pub(crate) struct Speaker {
    announcements: watch::Sender<Announcements>,
    events: Receiver<Event>,
    registry: Registry,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    /// Starts in a namespace with usual settings.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        Self::start_with(namespace, Config::default())
    }

    pub(crate) fn start_with(namespace: &Namespace, config: Config) -> Self {
        let stop = CancellationToken::new();
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let (events_sender, events) = channel();
        let (started, announcements) = channel();
        let stopped = stop.clone();
        let live = async move {
            let watched = links::watch(|_| true).await.expect("the interfaces of a namespace");
            let links = (watched.links.clone(), watched.notices.clone());
            let mut announcer = Announcer::start(config, links.0, links.1, metrics).expect("an announcer, as root");
            started.send(announcer.announcements().clone()).expect("the test that waits");
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    event = announcer.events.recv() => match event {
                        // A test that has seen enough may have gone.
                        Some(event) => drop(events_sender.send(event)),
                        None => return,
                    },
                }
            }
        };
        let thread = namespace.within(|| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(live);
            })
        });
        let announcements = announcements.recv().expect("an announcer that has started");
        Self { announcements, events, registry, stop, thread: Some(thread) }
    }

    /// Owns these VIPs on an interface, is a candidate for those.
    pub(crate) fn publish(&self, link: u32, owned: &[&str], candidates: &[&str]) {
        self.publish_on(&[(link, owned, candidates)]);
    }

    /// As [`Speaker::publish`] for several interfaces.
    pub(crate) fn publish_on(&self, links: &[(u32, &[&str], &[&str])]) {
        let mut announcements = Announcements::default();
        for (link, owned, candidates) in links {
            for (map, vips) in [(&mut announcements.owned, owned), (&mut announcements.candidates, candidates)] {
                for vip in *vips {
                    map.entry(parse(vip)).or_insert_with(BTreeSet::new).insert(IfIndex(*link));
                }
            }
        }
        self.announcements.send_replace(announcements);
    }

    /// Owns as many VIPs as there are, given as numbers.
    pub(crate) fn publish_many(&self, link: u32, vips: impl Iterator<Item = std::net::IpAddr>) {
        let own = |address| (Vip::new(address).expect("a VIP"), BTreeSet::from([IfIndex(link)]));
        let owned: BTreeMap<_, _> = vips.map(own).collect();
        self.announcements.send_replace(Announcements { candidates: owned.clone(), owned });
    }

    /// Owns these VIPs on a host's `eth0`, and waits until they are announced.
    pub(crate) fn own(&self, host: &Host, vips: &[&str]) {
        self.publish(host.index, vips, vips);
        for vip in vips {
            self.expect_event(
                "an announcement",
                |event| matches!(event, Event::Announced { vip: announced, .. } if *announced == parse(vip)),
            );
        }
    }

    /// Waits for an event; others are passed over.
    pub(crate) fn expect_event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = now() + Duration::from_secs(5);
        let mut others = Vec::new();
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(event) if wanted(&event) => return event,
                Ok(event) => others.push(event),
                Err(error) => panic!("waited for {what}: {error}; events were {others:#?}"),
            }
        }
    }

    /// Events that have come already.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// A counter's value by its name with labels, such as `frames_malformed_total{reason="truncated"}`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("metrics as text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a number"))
    }

    /// From a question's arrival in the kernel to its answer's departure: the bounds, in seconds, that half and 99 % of
    /// the answers so far kept.
    pub(crate) fn answer_latency(&self) -> (f64, f64) {
        let total = self.counter("answer_latency_seconds_count");
        let bound = |percent: u64| {
            let mut bound = 20e-6;
            while self.counter(&format!("answer_latency_seconds_bucket{{le=\"{bound:?}\"}}")) * 100 < total * percent
                && bound < 1.0
            {
                bound *= 2.0;
            }
            bound
        };
        (bound(50), bound(99))
    }

    /// Waits until a counter has reached a value.
    pub(crate) fn expect_counter(&self, name: &str, value: u64) {
        eventually(&format!("{name} = {value}"), Duration::from_secs(5), || {
            let seen = self.counter(name);
            if seen == value { Ok(()) } else { Err(seen.to_string()) }
        });
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stop.cancel();
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

pub(crate) fn parse(vip: &str) -> Vip {
    Vip::new(vip.parse().expect("an address")).expect("a VIP")
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
