//! Many addresses on a node that dies.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use herald_api::VirtualIP;
use herald_api::keys::EXCLUDE_NODE_LABEL;
use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_tests::lab::{Act, Frame, Node, Seen, eventually};
use herald_tests::scenario::calm::calm;
use herald_tests::scenario::wire::asserted;
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::{self, Service};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::{LAB, TAKEOVER};

/// How many addresses.
const MANY: usize = 200;

/// As many as there may ever be; the lab's own pool has 150.
const POOL: &str = "2001:db8:1::2:0/112";

/// The node that dies.
const OWNER: &str = "node-2";

/// All have been announced, on a machine that runs a cluster.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn two_hundred_addresses_of_a_node_that_dies_are_taken_over_as_fast_as_one() -> Result<()> {
    LAB.run_alone(async |act| {
        calm(act).await?;
        Stage::bare(act, "two-hundred", Range::take(1)?)
            .await?
            .play(async |stage| {
                stage.pool("two-hundred", json!({"addresses": [POOL]})).await?;
                let vips = all_on_one_node(act, stage).await?;
                let before = act.frames()?.last().map(|frame| frame.at).context("no frames")?;
                act.power_off(OWNER).await?;
                let heirs = eventually(PATIENCE, "every address has a new announcer", async || {
                    let found = heirs(&act.frames()?, &vips, act.node(OWNER)?, before)?;
                    Ok(Seen::when(found.len() == vips.len(), found.clone(), found.len()))
                })
                .await?;
                let died = last_sign(&act.frames()?, act.node(OWNER)?).context("the node never said anything")?;
                let mut took: Vec<Duration> = heirs.values().filter_map(|at| at.duration_since(died).ok()).collect();
                took.sort_unstable();
                let (first, last) = (took.first().context("none")?, took.last().context("none")?);
                println!("{MANY} addresses taken over between {first:?} and {last:?} after the last frame of {OWNER}");
                ensure!(
                    *last <= TAKEOVER,
                    "the last address was announced again after {last:?}, the first after {first:?}"
                );
                Ok(())
            })
            .await
    })
    .await
}

/// Makes the Services while only one node may announce, and lets the others join afterwards.
async fn all_on_one_node(act: &Act<'_>, stage: &Stage) -> Result<Vec<Vip>> {
    let nodes: Api<v1::Node> = stage.cluster();
    let others: Vec<&str> = act.nodes().iter().map(Node::name).filter(|node| *node != OWNER).collect();
    let exclude = async |value: serde_json::Value| -> Result<()> {
        for node in &others {
            let label = Patch::Merge(json!({"metadata": {"labels": {EXCLUDE_NODE_LABEL: value}}}));
            nodes.patch(node, &PatchParams::default(), &label).await?;
        }
        Ok(())
    };
    exclude(json!("true")).await?;
    let services: Api<Service> = stage.api();
    let made = stream::iter(0..MANY)
        .map(|number| {
            let services = services.clone();
            let spec = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]});
            async move { services.create(&PostParams::default(), &service(&format!("s{number}"), spec)).await }
        })
        .buffer_unordered(8)
        .try_for_each(async |_| Ok(()));
    made.await?;
    let ledger: Api<VirtualIP> = stage.cluster();
    let vips = eventually(PATIENCE, &format!("{MANY} addresses are announced by {OWNER}"), async || {
        let list = ledger.list(&ListParams::default()).await?.items;
        let announced: Vec<Vip> = list
            .iter()
            .filter(|vip| vip.status.iter().flat_map(|status| &status.announcer).any(|one| one.node == OWNER))
            .filter_map(|vip| Vip::new(vip.spec.address.parse().ok()?).ok())
            .collect();
        Ok(Seen::when(announced.len() == MANY, announced.clone(), (list.len(), announced.len())))
    })
    .await;
    exclude(json!(null)).await?;
    vips
}

/// The first announcement of each address by another node than this one, since a moment.
fn heirs(frames: &[Frame], vips: &[Vip], owner: &Node, since: SystemTime) -> Result<BTreeMap<Vip, SystemTime>> {
    let owner: MacAddr = owner.addresses().mac().parse()?;
    let mut found = BTreeMap::new();
    for frame in frames.iter().filter(|frame| frame.at > since) {
        let Some(said) = asserted(frame).filter(|said| said.mac != owner) else { continue };
        if let Ok(vip) = Vip::new(said.address)
            && vips.contains(&vip)
        {
            found.entry(vip).or_insert(frame.at);
        }
    }
    Ok(found)
}

/// When the last frame of a node entered the switch.
fn last_sign(frames: &[Frame], node: &Node) -> Option<SystemTime> {
    let mac: MacAddr = node.addresses().mac().parse().ok()?;
    frames.iter().rev().find(|frame| frame.source() == Some(mac.0)).map(|frame| frame.at)
}
