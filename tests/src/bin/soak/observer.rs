//! The observer: sees every published status, and says so when an address is in two of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use anyhow::{Result, anyhow, bail};
use futures::StreamExt as _;
use herald_tests::scenario::service::addresses;
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use tokio::task::JoinHandle;

/// Watches all Services from a task of its own.
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Addresses in status now, by Service.
    now: BTreeMap<String, Vec<IpAddr>>,
    /// How many statuses have been seen.
    count: usize,
    /// The first address seen in two.
    twice: Option<String>,
}

impl Seen {
    fn take(&mut self, event: Event<Service>) {
        match event {
            Event::Apply(service) | Event::InitApply(service) => {
                let name = format!("{}/{}", service.namespace().unwrap_or_default(), service.name_any());
                let held = addresses(&service);
                self.count += 1;
                for (other, theirs) in &self.now {
                    if let Some(address) = held.iter().find(|address| *other != name && theirs.contains(address)) {
                        self.twice
                            .get_or_insert_with(|| format!("{address} is in the status of {other} and of {name}"));
                    }
                }
                self.now.insert(name, held);
            }
            Event::Delete(service) => {
                self.now.remove(&format!("{}/{}", service.namespace().unwrap_or_default(), service.name_any()));
            }
            Event::Init => self.now.clear(),
            Event::InitDone => {}
        }
    }
}

impl Observer {
    pub(crate) fn start(client: Client) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher::watcher(Api::<Service>::all(client), watcher::Config::default()));
            while let Some(event) = events.next().await {
                if let (Ok(event), Ok(mut seen)) = (event, shared.lock()) {
                    seen.take(event);
                }
            }
        });
        Self { seen, task }
    }

    /// # Errors
    /// An address was seen in two statuses.
    pub(crate) fn check(&self) -> Result<usize> {
        let seen = self.seen.lock().map_err(|_| anyhow!("the observer has failed"))?;
        match &seen.twice {
            Some(twice) => bail!("{twice}"),
            None => Ok(seen.count),
        }
    }

    /// Ends it; returns how many statuses it saw.
    pub(crate) fn finish(self) -> Result<usize> {
        self.task.abort();
        self.check()
    }
}
