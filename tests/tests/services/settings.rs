//! What holds for all speakers and is changed while they run: how fast silence is noticed, and the keys of heartbeats. Both
//! show in the heartbeats that pass the switch, and neither moves an address.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use herald_api::convert::heartbeat;
use herald_api::keys::{GROUP, HEARTBEAT_SECRET};
use herald_api::virtual_ip::Announcer;
use herald_api::{HeraldConfig, herald_config};
use herald_core::mac::MacAddr;
use herald_tests::lab::{Act, Frame, HERALD_NAMESPACE, Seen, eventually};
use herald_tests::scenario::calm::calm;
use herald_tests::scenario::{Stage, service};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::LAB;

/// Where speakers hear heartbeats unless told otherwise.
const PORT: u16 = 7948;

/// How long heartbeats are counted: several of the slowest.
const WINDOW: Duration = Duration::from_secs(4);

/// Until speakers and frames show what was changed. A new key rests for half a minute.
const NOTICED: Duration = Duration::from_secs(90);

/// The datagram of a heartbeat.
fn beat(frame: &Frame) -> Option<&[u8]> {
    let ports = match (frame.kind()?, frame.bytes.get(20), frame.bytes.get(23)) {
        (0x0800, _, Some(17)) => 34,
        (0x86dd, Some(17), _) => 54,
        _ => return None,
    };
    let to = u16::from_be_bytes(frame.bytes.get(ports + 2..ports + 4)?.try_into().ok()?);
    (to == PORT).then_some(frame.bytes.get(ports + 8..)?)
}

/// Heartbeats from one node to another in the last seconds, in milliseconds between two.
fn pace(act: &Act<'_>, from: &str, to: &str) -> Result<Option<f64>> {
    let mac = |node: &str| -> Result<MacAddr> { act.node(node)?.addresses().mac().parse().context("a MAC address") };
    let (MacAddr(from), MacAddr(to)) = (mac(from)?, mac(to)?);
    let frames = act.frames()?;
    let Some(end) = frames.last().map(|frame| frame.at) else { return Ok(None) };
    let recent = |frame: &&Frame| frame.at + WINDOW >= end;
    let beats = frames.iter().filter(recent).filter(|frame| beat(frame).is_some());
    let beats = beats.filter(|frame| frame.source() == Some(from) && frame.bytes.get(..6) == Some(to.as_slice()));
    let times: Vec<SystemTime> = beats.map(|frame| frame.at).collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(None) };
    let gaps = u32::try_from(times.len().saturating_sub(1))?;
    Ok((gaps > 0).then(|| last.duration_since(*first).unwrap_or_default().as_secs_f64() * 1e3 / f64::from(gaps)))
}

/// The ids of the keys that heartbeats have been sealed with since a moment.
fn key_ids(act: &Act<'_>, since: SystemTime) -> Result<BTreeSet<[u8; 4]>> {
    let frames = act.frames()?;
    let id = |frame: &Frame| beat(frame)?.get(1..5)?.try_into().ok();
    Ok(frames.iter().filter(|frame| frame.at > since).filter_map(id).collect())
}

/// What must not change: where the addresses of a scenario are, and how often containers of speakers were started.
async fn unmoved(stage: &Stage, addresses: &[std::net::IpAddr]) -> Result<(Vec<Announcer>, BTreeMap<String, i32>)> {
    let mut announcers = Vec::new();
    for address in addresses {
        announcers.push(stage.announcer(*address).await?);
    }
    let pods: Api<Pod> = Api::namespaced(stage.client(), HERALD_NAMESPACE);
    let starts = |pod: &Pod| {
        pod.status.iter().flat_map(|it| it.container_statuses.iter().flatten()).map(|it| it.restart_count).sum()
    };
    let pods = pods.list(&ListParams::default()).await?.iter().map(|pod| (pod.name_any(), starts(pod))).collect();
    Ok((announcers, pods))
}

/// Plays a scenario with two addresses that are announced, and checks that they stay where they are.
async fn without_a_move(scenario: impl AsyncFnOnce(&Act<'_>, &Stage) -> Result<()>) -> Result<()> {
    LAB.run_alone(async |act| {
        calm(act).await?;
        Stage::for_test(act)
            .await?
            .play(async |stage| {
                let addresses = stage.offer(service("web", json!({}))).await?;
                let before = unmoved(stage, &addresses).await?;
                scenario(act, stage).await?;
                let after = unmoved(stage, &addresses).await?;
                ensure!(before == after, "something moved or was restarted: {before:#?}, then {after:#?}");
                Ok(())
            })
            .await
    })
    .await
}

/// Writes the cluster's HeraldConfig.
async fn configure(stage: &Stage, spec: Value) -> kube::Result<HeraldConfig> {
    let configs: Api<HeraldConfig> = stage.cluster();
    let object = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "HeraldConfig",
        "metadata": { "name": herald_config::NAME }, "spec": spec,
    });
    configs.patch(herald_config::NAME, &PatchParams::apply("herald-tests").force(), &Patch::Apply(&object)).await
}

/// Waits until speakers beat at this pace.
async fn beats_every(act: &Act<'_>, milliseconds: f64) -> Result<()> {
    eventually(NOTICED, &format!("node-1 sends node-2 a heartbeat every {milliseconds} ms"), async || {
        let pace = pace(act, "node-1", "node-2")?;
        let fits = pace.is_some_and(|pace| (0.8..1.2).contains(&(pace / milliseconds)));
        Ok(Seen::when(fits, (), pace))
    })
    .await
}

#[tokio::test]
async fn another_profile_holds_at_once_without_a_restart_and_one_that_is_none_is_refused() -> Result<()> {
    without_a_move(async |act, stage| {
        beats_every(act, 100.0).await?;
        for (liveness, milliseconds) in [("virtual", 500.0), ("fast", 50.0)] {
            configure(stage, json!({ "liveness": liveness })).await?;
            beats_every(act, milliseconds).await?;
        }
        let refused = configure(stage, json!({ "liveness": "faster" })).await.err().context("it was accepted")?;
        ensure!(refused.to_string().contains("spec.liveness"), "{refused}");
        beats_every(act, 50.0).await?;
        stage.cluster::<HeraldConfig>().delete(herald_config::NAME, &DeleteParams::default()).await?;
        beats_every(act, 100.0).await
    })
    .await
}

#[tokio::test]
async fn deleted_keys_are_made_anew_and_speakers_change_over_without_a_gap() -> Result<()> {
    without_a_move(async |act, stage| {
        let secrets: Api<Secret> = Api::namespaced(stage.client(), HERALD_NAMESPACE);
        let start = act.frames()?.last().map(|frame| frame.at).context("no frames")?;
        let old = eventually(NOTICED, "heartbeats are sealed with one key", async || {
            let ids = key_ids(act, start)?;
            Ok(Seen::when(ids.len() == 1, ids.clone(), ids))
        })
        .await?;
        let before = secrets.get(HEARTBEAT_SECRET).await?;
        secrets.delete(HEARTBEAT_SECRET, &DeleteParams::default()).await?;
        let made = eventually(NOTICED, "the controller makes another Secret", async || {
            let found = secrets.get_opt(HEARTBEAT_SECRET).await?.filter(|found| found.uid() != before.uid());
            let read = found.as_ref().map(heartbeat::read);
            let whole = read.as_ref().is_some_and(|read| read.keys.len() == 1 && read.garbled.is_empty());
            Ok(Seen::when(whole, found.clone(), read))
        })
        .await?
        .context("no Secret")?;
        ensure!(made.data != before.data, "the same key was made again");
        eventually(NOTICED, "heartbeats are sealed with the new key alone", async || {
            let end = act.frames()?.last().map(|frame| frame.at).context("no frames")?;
            let ids = key_ids(act, end - Duration::from_secs(2))?;
            let new = !ids.is_empty() && ids.is_disjoint(&old);
            Ok(Seen::when(new, (), ids))
        })
        .await?;
        // Nobody was without heartbeats that it can read, or it would be slower than it is.
        beats_every(act, 100.0).await
    })
    .await
}
