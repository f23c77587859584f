//! Sends reports to the API server: a bounded number at a time, each with a time limit, none twice.
//!
//! Owns which objects are to be looked at, and what is under way. What a report says is computed when its turn has come, so
//! that it is never older than that.

use super::Report;
use crate::intake::chain;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use herald_api::speaker::SpeakerSpec;
use herald_api::{Speaker, VirtualIP};
use herald_core::address::Vip;
use herald_core::names::NodeName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Writes under way at once: enough to hide the round trip, few enough not to crowd others at the API server; each
/// needs a connection, and those cost memory.
const AT_ONCE: usize = 6;
/// How long one write may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What a report is about. Of a speaker's own object others learn where to find it, so it comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// This node's `Speaker`.
    Speaker,
    /// A `VirtualIP`.
    Vip(Vip),
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written.
    Written,
    /// Somebody else was first, or the object is gone: the watch will show what there is.
    Outrun,
    /// Not written; worth another try.
    Failed,
}

/// The writes under way and the objects that wait.
pub struct Writer {
    client: Client,
    node: NodeName,
    waiting: BTreeSet<Object>,
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// The version each object had when it was last written. While the watch still shows that version it has not
    /// caught up, and the same report would be due again.
    written: BTreeMap<Object, String>,
    /// To be tried again.
    failed: BTreeSet<Object>,
    complained: Option<String>,
}

enum Refusal {
    Outrun,
    Denied(String),
    Failed(String),
}

type Finished = (Object, Result<(), Refusal>);

impl Writer {
    /// With nothing to write.
    pub fn new(client: Client, node: NodeName) -> Self {
        Self {
            client,
            node,
            waiting: BTreeSet::new(),
            running: FuturesUnordered::new(),
            written: BTreeMap::new(),
            failed: BTreeSet::new(),
            complained: None,
        }
    }

    /// Takes note that something about an object has changed.
    pub fn look_at(&mut self, object: Object) {
        self.waiting.insert(object);
    }

    /// Has an object written once more even though the watch has not shown what was written last. For the last word about
    /// it, when nothing about it is under way.
    pub fn insist_on(&mut self, object: Object) {
        self.written.remove(&object);
        self.waiting.insert(object);
    }

    /// Takes note that an object is gone.
    pub fn forget(&mut self, object: Object) {
        self.waiting.remove(&object);
        self.written.remove(&object);
        self.failed.remove(&object);
    }

    /// Looks again at what could not be written.
    pub fn retry(&mut self) {
        self.waiting.append(&mut self.failed);
    }

    /// Begins as many writes as there is room for. `report` says what is due about an object, if anything.
    pub fn start(&mut self, mut report: impl FnMut(Object) -> Option<Report>) {
        while self.running.len() < AT_ONCE
            && let Some(object) = self.waiting.pop_first()
        {
            let Some(report) = report(object) else { continue };
            let version = version(&report);
            if self.written.get(&object) != Some(&version) {
                self.written.insert(object, version);
                self.running.push(send(self.client.clone(), self.node.clone(), object, report).boxed());
            }
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits for the end of a write; for ever while none is under way.
    pub async fn finished(&mut self) -> Outcome {
        let Some((object, result)) = self.running.next().await else { return std::future::pending().await };
        match result {
            Ok(()) => {
                self.complained = None;
                Outcome::Written
            }
            Err(Refusal::Outrun) => Outcome::Outrun,
            Err(Refusal::Denied(why)) => {
                self.fail(object, why, "the speaker's ClusterRole does not allow this write");
                Outcome::Failed
            }
            Err(Refusal::Failed(why)) => {
                self.fail(object, why, "can't write to the API server; trying again");
                Outcome::Failed
            }
        }
    }

    /// Keeps a failure for another try, and says what is wrong, once for all objects that suffer from it.
    fn fail(&mut self, object: Object, error: String, sentence: &str) {
        self.written.remove(&object);
        self.failed.insert(object);
        if self.complained.as_ref() != Some(&error) {
            let name = name(object, &self.node);
            tracing::warn!(object = name, error, "{sentence}");
            self.complained = Some(error);
        }
    }
}

fn version(report: &Report) -> String {
    match report {
        Report::Vip { based_on, .. } | Report::Speaker { based_on, .. } => based_on.clone(),
        Report::CreateSpeaker { node_uid } => format!("absent from {}", node_uid.as_str()),
    }
}

fn name(object: Object, node: &NodeName) -> String {
    match object {
        Object::Vip(vip) => format!("VirtualIP {}", vip.object_name()),
        Object::Speaker => format!("Speaker {node}"),
    }
}

async fn send(client: Client, node: NodeName, object: Object, report: Report) -> Finished {
    let written = match tokio::time::timeout(TIME_LIMIT, write(client, node, report)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Refusal::from(error)),
        Err(_) => Err(Refusal::Failed(format!("no answer within {} s", TIME_LIMIT.as_secs()))),
    };
    (object, written)
}

async fn write(client: Client, node: NodeName, report: Report) -> kube::Result<()> {
    let speakers = || Api::<Speaker>::all(client.clone());
    match report {
        Report::Vip { vip, patch, .. } => {
            let name = vip.object_name();
            let virtual_ips = Api::<VirtualIP>::all(client);
            virtual_ips.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            Ok(())
        }
        Report::CreateSpeaker { node_uid } => {
            let owner = OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: node.to_string(),
                uid: node_uid.as_str().to_owned(),
                ..OwnerReference::default()
            };
            let mut speaker = Speaker::new(node.as_str(), SpeakerSpec {});
            speaker.metadata.owner_references = Some(vec![owner]);
            speakers().create(&PostParams::default(), &speaker).await?;
            Ok(())
        }
        Report::Speaker { patch, .. } => {
            speakers().patch_status(node.as_str(), &PatchParams::default(), &Patch::Merge(patch)).await?;
            Ok(())
        }
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.is_conflict() || status.is_not_found() || status.is_already_exists() => {
                Self::Outrun
            }
            kube::Error::Api(status) if status.is_forbidden() => Self::Denied(status.message.clone()),
            _ => Self::Failed(chain(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
