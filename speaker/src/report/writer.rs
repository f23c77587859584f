//! Sends reports to the API server: a bounded number at a time, each with a time limit, none twice.
//!
//! Owns what is under way. What is due is computed anew on every pass, so a failed report needs no queue: it is due
//! again.

use super::Report;
use crate::intake::chain;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use herald_api::speaker::SpeakerSpec;
use herald_api::virtual_ip::AnnouncementCause;
use herald_api::{Speaker, VirtualIP};
use herald_core::address::Vip;
use herald_core::names::NodeName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Writes under way at once: enough to hide the round trip, few enough not to crowd others at the API server.
const AT_ONCE: usize = 16;
/// How long one write may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Vip(Vip),
    Speaker,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written; a claim with its cause.
    Written(Option<AnnouncementCause>),
    /// Somebody else was first, or the object is gone: the watch will show what there is.
    Outrun,
    /// Not written; worth another try.
    Failed,
}

/// The writes under way and those that wait.
pub struct Writer {
    client: Client,
    node: NodeName,
    waiting: VecDeque<Report>,
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// The version each object had when it was last written. While the watch still shows that version it has not
    /// caught up, and the same report would be due again.
    written: BTreeMap<Object, String>,
    complained: Option<String>,
}

enum Refusal {
    Outrun,
    Denied(String),
    Failed(String),
}

type Finished = (Object, Result<Option<AnnouncementCause>, Refusal>);

impl Writer {
    /// With nothing to write.
    pub fn new(client: Client, node: NodeName) -> Self {
        Self {
            client,
            node,
            waiting: VecDeque::new(),
            running: FuturesUnordered::new(),
            written: BTreeMap::new(),
            complained: None,
        }
    }

    /// Takes what is due now; reports that waited so far and are not among it are due no more.
    pub fn submit(&mut self, due: Vec<Report>) {
        let current: BTreeMap<Object, String> = due.iter().map(|report| (object(report), version(report))).collect();
        self.written.retain(|object, version| current.get(object) == Some(version));
        self.waiting = due.into_iter().filter(|report| !self.written.contains_key(&object(report))).collect();
        self.start();
    }

    /// Whether nothing is under way or waits.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Waits for the end of a write; for ever while none is under way.
    pub async fn finished(&mut self) -> Outcome {
        let Some((object, result)) = self.running.next().await else { return std::future::pending().await };
        self.start();
        match result {
            Ok(claim) => {
                self.complained = None;
                Outcome::Written(claim)
            }
            Err(Refusal::Outrun) => Outcome::Outrun,
            Err(Refusal::Denied(why)) => {
                self.complain(object, why, "the speaker's ClusterRole does not allow this write");
                Outcome::Failed
            }
            Err(Refusal::Failed(why)) => {
                self.complain(object, why, "can't write to the API server; trying again");
                Outcome::Failed
            }
        }
    }

    /// Says what is wrong, once for all objects that suffer from it.
    fn complain(&mut self, object: Object, error: String, sentence: &str) {
        self.written.remove(&object);
        if self.complained.as_ref() != Some(&error) {
            let name = name(object, &self.node);
            tracing::warn!(object = name, error, "{sentence}");
            self.complained = Some(error);
        }
    }

    fn start(&mut self) {
        while self.running.len() < AT_ONCE
            && let Some(report) = self.waiting.pop_front()
        {
            self.written.insert(object(&report), version(&report));
            self.running.push(send(self.client.clone(), self.node.clone(), report).boxed());
        }
    }
}

const fn object(report: &Report) -> Object {
    match report {
        Report::Vip { vip, .. } => Object::Vip(*vip),
        Report::CreateSpeaker { .. } | Report::Speaker { .. } => Object::Speaker,
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

async fn send(client: Client, node: NodeName, report: Report) -> Finished {
    let object = object(&report);
    let written = match tokio::time::timeout(TIME_LIMIT, write(client, node, report)).await {
        Ok(Ok(claim)) => Ok(claim),
        Ok(Err(error)) => Err(Refusal::from(error)),
        Err(_) => Err(Refusal::Failed(format!("no answer within {} s", TIME_LIMIT.as_secs()))),
    };
    (object, written)
}

async fn write(client: Client, node: NodeName, report: Report) -> kube::Result<Option<AnnouncementCause>> {
    let speakers = || Api::<Speaker>::all(client.clone());
    match report {
        Report::Vip { vip, patch, claim, .. } => {
            let name = vip.object_name();
            let virtual_ips = Api::<VirtualIP>::all(client);
            virtual_ips.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            Ok(claim)
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
            Ok(None)
        }
        Report::Speaker { patch, .. } => {
            speakers().patch_status(node.as_str(), &PatchParams::default(), &Patch::Merge(patch)).await?;
            Ok(None)
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
