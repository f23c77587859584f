//! A member with the interfaces of a namespace, run as the speaker runs it.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use crate::support::namespace::Namespace;
use crate::support::{eventually, now};
use herald_core::address::Vip;
use herald_core::announce::Config;
use herald_core::liveness::{Life, Profile, Standing};
use herald_core::mac::MacAddr;
use herald_core::member::{self, About, Outlook, VipState};
use herald_core::names::{IfIndex, NodeName};
use herald_speaker::links;
use herald_speaker::member::{Event, Feeds, Member, Metrics};
use herald_wire::heartbeat::Keyring;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The port heartbeats go to.
pub(crate) const PORT: u16 = 7948;

/// How long an event may take that should come at once.
const PATIENCE: Duration = Duration::from_secs(5);

type Mirror = Arc<Mutex<BTreeMap<About, member::Event>>>;

/// A running member. Ends without a word when it is dropped.
pub(crate) struct Speaker {
    node: String,
    pub(crate) outlook: watch::Sender<Arc<Outlook>>,
    pub(crate) keys: watch::Sender<Arc<Keyring>>,
    pub(crate) profile: watch::Sender<Profile>,
    events: Receiver<Event>,
    /// The latest about each thing.
    mirror: Mirror,
    registry: Registry,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    /// Starts in a namespace as this node, in its life of this number.
    pub(crate) fn start(namespace: &Namespace, node: &str, life: u64, announce: Config, keys: Keyring) -> Self {
        let config =
            member::Config { node: NodeName::new(node), life: Life(life), profile: Profile::BALANCED, announce };
        let stop = CancellationToken::new();
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let (keys, keys_receiver) = watch::channel(Arc::new(keys));
        let (profile, profile_receiver) = watch::channel(config.profile);
        let (events_sender, events) = channel();
        let (started, outlook) = channel();
        let stopped = stop.clone();
        let mirror = Mirror::default();
        let reflection = mirror.clone();
        let live = async move {
            let watched = links::watch(|_| true).await.expect("the interfaces of a namespace");
            let feeds = Feeds {
                links: watched.links.clone(),
                notices: watched.notices.clone(),
                keys: keys_receiver,
                profile: profile_receiver,
            };
            let mut member = Member::start(config, PORT, feeds, metrics).expect("a member, as root");
            started.send(member.outlook().clone()).expect("the test that waits");
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    event = member.events.recv() => match event {
                        // A test that has seen enough may have gone.
                        Some(event) => {
                            if let Event::Member(event) = &event {
                                lock(&reflection).insert(event.about(), event.clone());
                            }
                            drop(events_sender.send(event));
                        }
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
        let outlook = outlook.recv().expect("a member that has started");
        Self { node: node.to_owned(), outlook, keys, profile, events, mirror, registry, stop, thread: Some(thread) }
    }

    /// The name of its node.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Waits for an event; others are passed over.
    pub(crate) fn expect_event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(event) if wanted(&event) => return event,
                Ok(event) => others.push(event),
                Err(error) => panic!("waited for {what}: {error}; events were {others:#?}"),
            }
        }
    }

    /// What it does about an address.
    pub(crate) fn state(&self, vip: &str) -> VipState {
        match lock(&self.mirror).get(&About::Vip(parse(vip))) {
            Some(member::Event::Vip { state, .. }) => state.clone(),
            _ => VipState::default(),
        }
    }

    /// How a peer stands on an interface.
    pub(crate) fn standing(&self, link: u32, peer: &NodeName) -> Standing {
        match lock(&self.mirror).get(&About::Peer(IfIndex(link), peer.clone())) {
            Some(member::Event::Peer { standing, .. }) => *standing,
            _ => Standing::Unheard,
        }
    }

    /// Waits until what it does about an address is as wanted.
    pub(crate) fn expect_state(&self, vip: &str, what: &str, wanted: impl Fn(&VipState) -> bool) -> VipState {
        eventually(&format!("{vip}: {what}"), PATIENCE, || {
            let state = self.state(vip);
            if wanted(&state) { Ok(state) } else { Err(format!("{state:?}")) }
        })
    }

    /// Waits until an address is announced on an interface, and returns the Ethernet address it is announced with.
    pub(crate) fn expect_announced(&self, vip: &str, link: u32) -> MacAddr {
        let link = IfIndex(link);
        let state = self.expect_state(vip, "an announcement", |state| state.announced.contains_key(&link));
        state.announced[&link]
    }

    /// Waits until an address is not answered for.
    pub(crate) fn expect_withdrawn(&self, vip: &str) {
        self.expect_state(vip, "silence", |state| !state.tenure.is_held() && state.announced.is_empty());
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

    /// The sum of a counter over all its labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("metrics as text");
        let of_name = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        of_name.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
    }

    /// Waits until a counter has reached a value.
    pub(crate) fn expect_counter(&self, name: &str, value: u64) {
        eventually(&format!("{name} = {value}"), PATIENCE, || {
            let seen = self.counter(name);
            if seen == value { Ok(()) } else { Err(seen.to_string()) }
        });
    }

    /// Ends it as if its process had been killed.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stop.cancel();
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

fn lock(mirror: &Mirror) -> std::sync::MutexGuard<'_, BTreeMap<About, member::Event>> {
    mirror.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn parse(vip: &str) -> Vip {
    Vip::new(vip.parse().expect("an address")).expect("a VIP")
}
