//! Moves that somebody wants: nobody notices.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_api::VirtualIP;
use herald_api::keys::DRAIN_NODE_LABEL;
use herald_api::virtual_ip::AnnouncementCause;
use herald_core::address::Family;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::scene::scene;

/// Within this time of what asks for it, a move counts as asked for.
const PROMPT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_drained_node_hands_over_and_gets_nothing_back() -> Result<()> {
    scene(Family::V4, async |scene| {
        let owner = scene.owner().to_owned();
        let nodes: Api<Node> = scene.stage.cluster();
        let label = |value| Patch::Merge(json!({"metadata": {"labels": {DRAIN_NODE_LABEL: value}}}));
        scene.trial.planned(Some(&owner), PROMPT);
        nodes.patch(&owner, &PatchParams::default(), &label(json!("true"))).await?;
        let heir = scene.moved(AnnouncementCause::Handover).await;
        nodes.patch(&owner, &PatchParams::default(), &label(json!(null))).await?;
        scene.stays(&heir?.node, Duration::from_secs(5)).await
    })
    .await
}

#[tokio::test]
async fn a_pinned_address_moves_to_the_named_node() -> Result<()> {
    scene(Family::V6, async |scene| {
        let target = scene.served.third(&scene.stage)?;
        let ledger: Api<VirtualIP> = scene.stage.cluster();
        scene.trial.planned(None, PROMPT);
        let pin = Patch::Merge(json!({"spec": {"preferredNode": target, "pinned": true}}));
        ledger.patch(&scene.served.vip.object_name(), &PatchParams::default(), &pin).await?;
        let announcer = scene.moved(AnnouncementCause::Moved).await?;
        ensure!(announcer.node == target, "pinned to {target}: {announcer:?}");
        scene.stays(&target, Duration::from_secs(3)).await
    })
    .await
}
