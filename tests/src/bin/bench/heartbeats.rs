//! What heartbeats cost: real members, each with its thread, sockets and keys, in a network namespace of its own on one
//! switch; no cluster around them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use herald_core::announce;
use herald_core::link::{Link, Links};
use herald_core::liveness::{Life, Profile};
use herald_core::mac::MacAddr;
use herald_core::member::{Condition, Config, Outlook};
use herald_core::names::{IfIndex, InterfaceName, NodeName};
use herald_core::ownership::{Node, Segment, View};
use herald_speaker::member::{Feeds, Member, Metrics};
use herald_tests::artifacts::Progress;
use herald_tests::lab::{Seen, throughout};
use herald_wire::heartbeat::Keyring;
use ipnet::IpNet;
use tokio::sync::watch;

use super::lan::Lan;
use super::now;
use super::report::Figure;

/// So many nodes share a segment.
const NODES: [u16; 3] = [3, 50, 200];
/// Edges are confirmed and digests agree long before this.
const SETTLED: Duration = Duration::from_secs(5);
/// Long enough that single frames don't matter.
const MEASURED: Duration = Duration::from_secs(10);
/// The speakers' own.
const PORT: u16 = 7948;

/// Processor time and frames of each node, with each number of nodes.
pub(crate) async fn cost(progress: Progress) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for count in NODES {
        progress.say(&format!("heartbeats of {count} nodes"));
        let (processor, frames) = measure(count).await?;
        let what = |of: &str| format!("heartbeats of {count} nodes: {of} of one node");
        figures.push(Figure::of(what("processor time"), "% of a core", "", processor)?);
        figures.push(Figure::of(what("frames sent and received"), "1/s", "", frames)?);
    }
    Ok(figures)
}

async fn measure(count: u16) -> Result<(Vec<f64>, Vec<f64>)> {
    let lan = Lan::build(count)?;
    let outlook = Arc::new(Outlook {
        view: Arc::new(View { nodes: (0..count).map(node).collect(), ..View::default() }),
        me: Condition { able: true, ..Condition::default() },
        ..Outlook::default()
    });
    let mut members = Vec::new();
    for number in 0..count {
        let index = lan.index(number)?;
        let member = lan.within(number, || start(number, index))??;
        member.member.outlook().send_replace(Arc::clone(&outlook));
        members.push(member);
    }
    throughout(SETTLED, "members find each other", async || Ok(Seen::Yes(()))).await?;
    let (began, busy, frames) = (now(), processor_time()?, lan.frames()?);
    throughout(MEASURED, "heartbeats go to and fro", async || Ok(Seen::Yes(()))).await?;
    let seconds = began.elapsed().as_secs_f64();
    let (busy_then, frames_then) = (processor_time()?, lan.frames()?);
    let used = busy_then.iter().map(|(thread, then)| then - busy.get(thread).copied().unwrap_or_default());
    let sent = frames_then.iter().zip(&frames).map(|(then, before)| then - before);
    Ok((used.map(|nanoseconds| nanoseconds / seconds / 1e7).collect(), sent.map(|count| count / seconds).collect()))
}

/// A member, and what keeps its feeds open.
struct Running {
    member: Member,
    _links: watch::Sender<Links>,
    _rest: (watch::Sender<herald_speaker::links::Notices>, watch::Sender<Arc<Keyring>>, watch::Sender<Profile>),
}

fn start(number: u16, index: u32) -> Result<Running> {
    let (links, links_feed) = watch::channel(links(number, index));
    let (notices, notices_feed) = watch::channel(BTreeMap::new());
    let keyring = Keyring::default().follow("bench", [("2026-01-01T00-00-00Z", [7; 32])], now());
    let (keys, keys_feed) = watch::channel(Arc::new(keyring));
    let (profile, profile_feed) = watch::channel(Profile::BALANCED);
    let config = Config {
        node: name(number),
        life: Life(u64::from(number) + 1),
        profile: Profile::BALANCED,
        announce: announce::Config::default(),
    };
    let feeds = Feeds { links: links_feed, notices: notices_feed, keys: keys_feed, profile: profile_feed };
    let member = Member::start(config, PORT, feeds, Metrics::default())?;
    Ok(Running { member, _links: links, _rest: (notices, keys, profile) })
}

fn links(number: u16, index: u32) -> Links {
    let link = Link {
        index: IfIndex(index),
        name: interface(),
        mac: mac(number),
        carrier: true,
        addresses: [subnet(number)].into(),
        link_local: None,
        gateways: BTreeSet::new(),
    };
    [(IfIndex(index), link)].into()
}

fn node(number: u16) -> (NodeName, Node) {
    let segment = Segment {
        interface: interface(),
        subnets: [subnet(number).trunc()].into(),
        carrier: true,
        mac: Some(mac(number)),
        addresses: [address(number)].into(),
    };
    let node = Node {
        labels: BTreeMap::new(),
        speaker: true,
        bar: None,
        leaving: false,
        cordoned: false,
        segments: vec![segment],
    };
    (name(number), node)
}

fn name(number: u16) -> NodeName {
    NodeName::new(format!("node-{number}"))
}

fn interface() -> InterfaceName {
    InterfaceName::new("eth0")
}

/// Of the range for benchmarks (RFC 2544).
fn address(number: u16) -> IpAddr {
    let [high, low] = (number + 1).to_be_bytes();
    Ipv4Addr::new(198, 19, high, low).into()
}

fn subnet(number: u16) -> IpNet {
    IpNet::new_assert(address(number), 16)
}

/// The Ethernet address of a node.
pub(crate) fn mac(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr([2, 0, 0x5e, 0x13, high, low])
}

/// The address of a node with the length of its prefix, as `ip` reads it.
pub(crate) fn configured(number: u16) -> String {
    subnet(number).to_string()
}

/// The processor time of each member's thread until now, in nanoseconds.
fn processor_time() -> Result<BTreeMap<String, f64>> {
    let mut times = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let thread = entry?.path();
        if fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "member") {
            let said = fs::read_to_string(thread.join("schedstat")).context("reading a thread's processor time")?;
            let busy = said.split_whitespace().next().and_then(|first| first.parse().ok());
            times.insert(thread.display().to_string(), busy.with_context(|| format!("schedstat said {said:?}"))?);
        }
    }
    Ok(times)
}
