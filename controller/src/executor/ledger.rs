//! Writes to the ledger. Each is refused by the API server if the record is not what was seen: creation by the name,
//! which is the address; update and deletion by life and version.

use super::calls::{Refusal, limited};
use super::{Executor, FIELD_MANAGER, Progress};
use crate::effects::Seen;
use crate::records::{Observation, Report};
use herald_api::VirtualIP;
use herald_api::convert::ledger;
use herald_core::address::Vip;
use herald_core::allocation::LedgerEntry;
use herald_core::names::NodeName;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

impl Executor {
    fn vips(&self) -> Api<VirtualIP> {
        Api::all(self.client.clone())
    }

    pub(super) async fn create_vip(
        &self,
        vip: Vip,
        entry: &LedgerEntry,
        preferred: Option<&NodeName>,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        let mut object = ledger::object(vip, entry);
        object.spec.preferred_node = preferred.map(ToString::to_string);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = limited(self.vips().create(&params, &object)).await?;
        progress.written.extend(self.reader.virtual_ip(created));
        Ok(())
    }

    /// Fields that an entry doesn't speak of stay as they are.
    pub(super) async fn update_vip(
        &self,
        vip: Vip,
        entry: &LedgerEntry,
        seen: &Seen,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        self.merge_spec(vip, json!(ledger::spec(vip, entry)), seen, progress).await
    }

    pub(super) async fn prefer_node(
        &self,
        vip: Vip,
        node: &NodeName,
        seen: &Seen,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        self.merge_spec(vip, json!({ "preferredNode": node.as_str() }), seen, progress).await
    }

    async fn merge_spec(&self, vip: Vip, spec: Value, seen: &Seen, progress: &mut Progress) -> Result<(), Refusal> {
        let body = json!({
            "metadata": { "uid": seen.uid.as_str(), "resourceVersion": seen.version },
            "spec": spec,
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let updated = limited(self.vips().patch(&vip.object_name(), &params, &Patch::Merge(body))).await?;
        progress.written.extend(self.reader.virtual_ip(updated));
        Ok(())
    }

    pub(super) async fn delete_vip(&self, vip: Vip, seen: &Seen, progress: &mut Progress) -> Result<(), Refusal> {
        let preconditions =
            Preconditions { uid: Some(seen.uid.to_string()), resource_version: Some(seen.version.clone()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match limited(self.vips().delete(&vip.object_name(), &params)).await {
            // The object itself comes back if somebody's finalizer holds it; its watch goes on showing it then.
            Ok(answer) if answer.is_left() => Ok(()),
            Ok(_) => {
                progress.written.push(Observation::Vip(Report::Gone(vip, Some(seen.uid.clone()))));
                Ok(())
            }
            Err(refusal) if refusal.is_not_found() => {
                progress.written.push(Observation::Vip(Report::Gone(vip, Some(seen.uid.clone()))));
                Ok(())
            }
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) async fn refetch_vip(&self, vip: Vip, progress: &mut Progress) -> Result<(), Refusal> {
        match limited(self.vips().get_opt(&vip.object_name())).await? {
            Some(object) => progress.written.extend(self.reader.virtual_ip(object)),
            None => progress.written.push(Observation::Vip(Report::Gone(vip, None))),
        }
        Ok(())
    }
}
