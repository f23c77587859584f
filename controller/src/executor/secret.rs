//! Writes to the Secret with the keys of heartbeats. What is in it stays: it may be in use.

use super::calls::{Refusal, limited};
use super::{Executor, FIELD_MANAGER, Progress};
use crate::effects::Seen;
use aws_lc_rs::rand;
use herald_api::convert::heartbeat::{self, KEY_LENGTH, Key};
use herald_api::keys::{CLUSTER_ID_ENTRY, CLUSTER_NAMESPACE, HEARTBEAT_SECRET};
use herald_api::slim::Namespace;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::sync::Arc;

impl Executor {
    pub(super) async fn make_heartbeat_key(
        &self,
        seen: Option<&Seen>,
        key: bool,
        cluster: bool,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        let mut entries = heartbeat::entries(now(), random_key()?, &self.cluster_id().await?);
        entries.retain(|name, _| if name == CLUSTER_ID_ENTRY { cluster } else { key });
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let secret = match seen {
            None => {
                let metadata = ObjectMeta { name: Some(HEARTBEAT_SECRET.to_owned()), ..ObjectMeta::default() };
                let secret = Secret { metadata, data: Some(entries), ..Secret::default() };
                let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
                limited(secrets.create(&params, &secret)).await.map_err(|refusal| {
                    // Nothing else can be missing: the Secret itself is what is made.
                    if refusal.is_not_found() { Refusal::NoNamespace(Arc::clone(&self.namespace)) } else { refusal }
                })?
            }
            Some(Seen { uid, version }) => {
                let body = json!({ "metadata": { "uid": uid.as_str(), "resourceVersion": version }, "data": entries });
                let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
                limited(secrets.patch(HEARTBEAT_SECRET, &params, &Patch::Merge(body))).await?
            }
        };
        progress.written.extend(self.reader.secret(&secret));
        let made: Vec<_> = secret.data.iter().flatten().map(|(name, _)| name.as_str()).collect();
        tracing::info!(secret = HEARTBEAT_SECRET, entries = ?made, "made what the keys of heartbeats lacked");
        Ok(())
    }

    /// A cluster is told from others by the UID of a namespace that each has. Listing needs no right that watching
    /// namespaces doesn't.
    async fn cluster_id(&self) -> Result<String, Refusal> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let this = ListParams::default().fields(&format!("metadata.name={CLUSTER_NAMESPACE}"));
        let found = limited(namespaces.list(&this)).await?.items.into_iter().find_map(|found| found.metadata.uid);
        found.ok_or(Refusal::Missing("namespace kube-system, which names the cluster, is not there"))
    }
}

fn random_key() -> Result<Key, Refusal> {
    let mut bytes = [0; KEY_LENGTH];
    match rand::fill(&mut bytes) {
        Ok(()) => Ok(Key::new(bytes)),
        Err(_) => Err(Refusal::Missing("the system gives no random numbers")),
    }
}

#[expect(clippy::disallowed_methods, reason = "a key is named after the time at which it is made")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
