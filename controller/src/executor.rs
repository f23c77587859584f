//! Carries lanes of effects out: one call to the API server each, with a time limit, its failure classified, counted.
//! Decides nothing but whether a holder may lose an address, which only the API server itself can say.

mod calls;
mod ledger;
mod secret;
mod service;

#[cfg(test)]
pub(crate) use service::{Release, release};

use crate::effects::{Effect, Lane, Seen};
use crate::intake::Reader;
use crate::metrics::Metrics;
use crate::records::Observation;
use crate::state::{Completion, Failure};
use calls::Refusal;
use herald_api::slim::Service;
use herald_api::{AddressPool, L2Advertisement, VirtualIP};
use herald_core::names::ServiceKey;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;

/// Our name in objects' managed fields.
pub const FIELD_MANAGER: &str = "herald-controller";

/// Carries out lanes.
#[derive(Clone)]
pub struct Executor {
    /// Talks to the API server.
    pub client: Client,
    /// Reads answers as watches are read.
    pub reader: Reader,
    /// Counts.
    pub metrics: Metrics,
    /// The namespace that Herald runs in.
    pub namespace: Arc<str>,
}

/// What one lane has come to know so far.
struct Progress {
    /// The Service as the last write or read left it.
    service: Option<Seen>,
    /// Its Service turned out to be gone.
    service_gone: bool,
    written: Vec<Observation>,
}

impl Executor {
    /// Carries out the effects in order, up to the first failure.
    pub async fn run(self, lane: Lane) -> (Lane, Completion) {
        let span = tracing::debug_span!("lane", key = ?lane.key);
        let mut progress = Progress { service: lane.service.clone(), service_gone: false, written: Vec::new() };
        let outcome = async {
            for effect in &lane.effects {
                self.effect(effect, &mut progress).await?;
            }
            Ok(())
        };
        let outcome = outcome.instrument(span).await;
        let completion = Completion { lane: lane.key.clone(), written: progress.written, outcome };
        (lane, completion)
    }

    async fn effect(&self, effect: &Effect, progress: &mut Progress) -> Result<(), Failure> {
        let kind = effect.kind();
        tracing::debug!(effect = ?effect, "carry out");
        let begun = Instant::now();
        let result = self.call(effect, progress).await;
        let outcome = result.as_ref().map_or_else(|refusal| refusal.class().name(), |()| "ok");
        self.metrics.effected(kind, outcome, begun.elapsed());
        let Err(refusal) = result else { return Ok(()) };
        self.look_again(effect, &refusal, progress).await;
        Err(Failure { effect: kind, class: refusal.class(), message: refusal.to_string() })
    }

    async fn call(&self, effect: &Effect, progress: &mut Progress) -> Result<(), Refusal> {
        match effect {
            Effect::HoldService { service, condition } => {
                self.hold_service(service, condition.as_ref(), progress).await
            }
            Effect::CreateVip { vip, entry, preferred } => {
                self.create_vip(*vip, entry, preferred.as_ref(), progress).await
            }
            Effect::UpdateVip { vip, entry, seen } => self.update_vip(*vip, entry, seen, progress).await,
            Effect::PreferNode { vip, node, seen } => self.prefer_node(*vip, node, seen, progress).await,
            Effect::MakeHeartbeatKey { seen, key, cluster } => {
                self.make_heartbeat_key(seen.as_ref(), *key, *cluster, progress).await
            }
            Effect::PublishStatus(publication) => self.publish(publication, progress).await,
            Effect::ConfirmRelease { holder, uid, vips, stays_ours } => {
                self.confirm_release(holder, uid, vips, *stays_ours, progress).await
            }
            Effect::DeleteVip { vip, seen } => self.delete_vip(*vip, seen, progress).await,
            Effect::LetGo { service, .. } => self.let_go(service, progress).await,
            Effect::RefetchVip { vip } => self.refetch_vip(*vip, progress).await,
            Effect::PoolStatus { pool, status } => {
                let api = Api::<AddressPool>::all(self.client.clone());
                self.merge_status(&api, pool.as_str(), json!(status)).await
            }
            Effect::AdvertisementStatus { name, conditions } => {
                let api = Api::<L2Advertisement>::all(self.client.clone());
                self.merge_status(&api, name, json!({ "conditions": conditions })).await
            }
            // Applied, because speakers have a condition of their own in the same list.
            Effect::VipStatus { vip, condition } => {
                let api = Api::<VirtualIP>::all(self.client.clone());
                let body = json!({
                    "apiVersion": "herald-lb.io/v1alpha1", "kind": "VirtualIP",
                    "status": { "conditions": [condition] },
                });
                let params = PatchParams::apply(FIELD_MANAGER).force();
                let name = vip.object_name();
                let object = calls::limited(api.patch_status(&name, &params, &Patch::Apply(body))).await?;
                progress.written.extend(self.reader.virtual_ip(object));
                Ok(())
            }
        }
    }

    /// Writes a status that is ours alone. A watch shows it; nothing is built on it before.
    async fn merge_status<K>(&self, api: &Api<K>, name: &str, status: Value) -> Result<(), Refusal>
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let body = json!({ "status": status });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        calls::limited(api.patch_status(name, &params, &Patch::Merge(body))).await?;
        Ok(())
    }

    /// After a conflict, reads what the object is now, so that the next pass doesn't meet the same conflict.
    async fn look_again(&self, effect: &Effect, refusal: &Refusal, progress: &mut Progress) {
        if !refusal.says_that_it_changed() {
            return;
        }
        let again = match effect {
            Effect::CreateVip { vip, .. }
            | Effect::UpdateVip { vip, .. }
            | Effect::PreferNode { vip, .. }
            | Effect::DeleteVip { vip, .. } => self.refetch_vip(*vip, progress).await,
            Effect::HoldService { service, .. } | Effect::LetGo { service, .. } => {
                self.refetch_service(service, progress).await
            }
            Effect::PublishStatus(publication) => self.refetch_service(&publication.service, progress).await,
            _ => Ok(()),
        };
        if let Err(refusal) = again {
            tracing::debug!(error = %refusal, "can't read anew what had changed; its watch will show it");
        }
    }

    fn services(&self, key: &ServiceKey) -> Api<Service> {
        Api::namespaced(self.client.clone(), key.namespace.as_str())
    }
}
