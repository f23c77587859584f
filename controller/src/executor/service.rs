//! Writes to Services: all of them patches of the subresource `status`, which takes finalizers too, each with the life
//! and version that was seen.

use super::calls::{Refusal, limited};
use super::{Executor, FIELD_MANAGER, Progress};
use crate::effects::{Publication, Seen};
use crate::intake::Reader;
use crate::records::{Observation, Report};
use herald_api::keys::condition;
use herald_api::slim::Service;
use herald_core::address::Vip;
use herald_core::names::{ServiceKey, Uid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl Executor {
    pub(super) async fn publish(&self, publication: &Publication, progress: &mut Progress) -> Result<(), Refusal> {
        let Publication { service, addresses, conditions } = publication;
        let ingress: Vec<_> = addresses.iter().map(|vip| json!({ "ip": vip.to_string(), "ipMode": "VIP" })).collect();
        let status = json!({ "loadBalancer": { "ingress": ingress }, "conditions": conditions });
        self.patch_status(service, json!({}), status, progress).await
    }

    pub(super) async fn hold_service(
        &self,
        service: &ServiceKey,
        condition: Option<&Condition>,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        let Some(key) = self.reader.finalizer.as_deref() else { return Ok(()) };
        let status = condition.map_or_else(|| json!({}), |condition| json!({ "conditions": [condition] }));
        self.patch_status(service, json!({ "finalizers": [key] }), status, progress).await
    }

    pub(super) async fn let_go(&self, service: &ServiceKey, progress: &mut Progress) -> Result<(), Refusal> {
        if progress.service_gone {
            return Ok(());
        }
        let metadata = match self.reader.finalizer.as_deref() {
            Some(key) => json!({ "$deleteFromPrimitiveList/finalizers": [key] }),
            None => json!({}),
        };
        let conditions = [condition::ALLOCATED, condition::SERVICE_ANNOUNCED];
        let conditions: Vec<_> =
            conditions.iter().map(|condition| json!({ "$patch": "delete", "type": condition })).collect();
        match self.patch_status(service, metadata, json!({ "conditions": conditions }), progress).await {
            Err(refusal) if refusal.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Asks whether the holder may lose the addresses, and clears its status if that is what it takes.
    pub(super) async fn confirm_release(
        &self,
        holder: &ServiceKey,
        uid: &Uid,
        vips: &BTreeSet<Vip>,
        stays_ours: bool,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        let service = limited(self.services(holder).get_opt(holder.name.as_ref())).await?;
        if let Some(service) = service.as_ref().filter(|service| is_life(service, uid)) {
            progress.service = seen(service);
            progress.written.push(self.reader.service(service));
        }
        match release(&self.reader, service.as_ref(), uid, vips, stays_ours) {
            Release::Gone => {
                progress.service_gone = true;
                Ok(())
            }
            Release::Free => Ok(()),
            Release::Clear => {
                let status = json!({ "loadBalancer": { "ingress": [] } });
                self.patch_status(holder, json!({}), status, progress).await
            }
            Release::Refused(why) => Err(Refusal::Overtaken(why)),
        }
    }

    pub(super) async fn refetch_service(&self, key: &ServiceKey, progress: &mut Progress) -> Result<(), Refusal> {
        let found = limited(self.services(key).get_opt(key.name.as_ref())).await?;
        let is = found.as_ref().map(|service| self.reader.service(service));
        let uid = progress.service.as_ref().map(|seen| seen.uid.clone());
        progress.written.push(is.unwrap_or_else(|| Observation::Service(Report::Gone(key.clone(), uid))));
        Ok(())
    }

    /// Patches metadata and status, if the Service is the one that was seen. A strategic merge merges conditions by
    /// type, so those of others stay, and costs the API server less than an apply.
    async fn patch_status(
        &self,
        service: &ServiceKey,
        mut metadata: Value,
        status: Value,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        if let Some(seen) = &progress.service {
            metadata["uid"] = json!(seen.uid.as_str());
            metadata["resourceVersion"] = json!(seen.version);
        }
        let body = json!({ "metadata": metadata, "status": status });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.services(service);
        let patched: Service =
            limited(api.patch_status(service.name.as_ref(), &params, &Patch::Strategic(body))).await?;
        progress.service = seen(&patched);
        progress.written.push(self.reader.service(&patched));
        Ok(())
    }
}

/// Whether a holder may lose addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The Service is gone, or is another one of the same name.
    Gone,
    /// It may.
    Free,
    /// Once its status doesn't show them any more.
    Clear,
    /// It may not, and why.
    Refused(&'static str),
}

/// Decides by what the API server itself says of the Service: it may lose the addresses when it is gone, or no longer
/// ours, or ours without showing them. One that is no longer ours but shows them is cleared first.
pub(crate) fn release(
    reader: &Reader,
    service: Option<&Service>,
    uid: &Uid,
    vips: &BTreeSet<Vip>,
    stays_ours: bool,
) -> Release {
    let Some(service) = service.filter(|service| is_life(service, uid)) else { return Release::Gone };
    let shown = shown(service);
    if reader.wants_address(service) {
        return if !stays_ours {
            Release::Refused("the Service is ours again")
        } else if shown.iter().flatten().any(|vip| vips.contains(vip)) {
            Release::Refused("the Service's status shows the address again")
        } else {
            Release::Free
        };
    }
    // Anything else in its status is another controller's.
    let all_ours = !shown.is_empty() && shown.iter().all(|shown| shown.is_some_and(|vip| vips.contains(&vip)));
    if all_ours { Release::Clear } else { Release::Free }
}

fn is_life(service: &Service, uid: &Uid) -> bool {
    service.metadata.uid.as_deref() == Some(uid.as_str())
}

fn seen(service: &Service) -> Option<Seen> {
    let metadata = &service.metadata;
    Some(Seen { uid: Uid::new(metadata.uid.as_deref()?), version: metadata.resource_version.clone()? })
}

/// The addresses in its status; `None` for an entry that is no address of ours by its form.
fn shown(service: &Service) -> Vec<Option<Vip>> {
    let ingress = service.status.load_balancer.ingress.iter();
    ingress.map(|entry| Vip::new(entry.ip.as_deref()?.parse().ok()?).ok()).collect()
}
