//! The Secret with the keys of heartbeats: made where there is none, mended where something is missing, and never
//! overwritten. Each test has a namespace of its own for it.

use crate::alone;
use crate::ground::{Ground, SOON, names};
use crate::program::Controller;
use anyhow::{Context, Result, ensure};
use herald_api::convert::heartbeat::{self, KEY_LENGTH};
use herald_api::keys::{CLUSTER_ID_ENTRY, HEARTBEAT_SECRET, reason};
use herald_tests::lab::{Seen, eventually};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;

type Entries = BTreeMap<String, ByteString>;

fn secrets(ground: &Ground) -> Api<Secret> {
    Api::namespaced(ground.client.clone(), &ground.namespace)
}

async fn start(ground: &Ground) -> Result<Controller> {
    Controller::start(&ground.lab, &["--namespace", &ground.namespace]).await
}

/// Waits until what the Secret holds is as it should be.
async fn secret(ground: &Ground, what: &str, is: impl Fn(&Entries) -> bool) -> Result<Entries> {
    eventually(SOON, &format!("Secret {HEARTBEAT_SECRET} {what}"), async || {
        let entries = secrets(ground).get_opt(HEARTBEAT_SECRET).await?.and_then(|secret| secret.data);
        let entries = entries.unwrap_or_default();
        // Never their bytes: messages end in logs.
        let lengths: Vec<_> = entries.iter().map(|(name, value)| (name.clone(), value.0.len())).collect();
        Ok(Seen::when(is(&entries), entries, lengths))
    })
    .await
}

/// The entries that are keys.
fn keys(entries: &Entries) -> Vec<(&String, &Vec<u8>)> {
    entries.iter().filter(|(name, _)| *name != CLUSTER_ID_ENTRY).map(|(name, value)| (name, &value.0)).collect()
}

/// One key and the name of the cluster, as speakers read them.
fn is_whole(entries: &Entries) -> bool {
    let read = heartbeat::read(&Secret { data: Some(entries.clone()), ..Secret::default() });
    read.garbled.is_empty() && read.keys.len() == 1 && read.cluster_id.is_some()
}

#[tokio::test]
async fn keys_are_made_at_random_and_made_anew_when_the_secret_is_deleted() -> Result<()> {
    alone(async |ground| {
        let controller = start(ground).await?;
        let first = secret(ground, "holds one key", is_whole).await?;
        let [(name, key)] = keys(&first)[..] else { anyhow::bail!("more than one key") };
        ensure!(key.len() == KEY_LENGTH && key.iter().any(|byte| *byte != key[0]), "key {name} is not random");
        let clusters = Api::<Namespace>::all(ground.client.clone()).get("kube-system").await?.metadata.uid;
        let said = String::from_utf8(first[CLUSTER_ID_ENTRY].0.clone())?;
        ensure!(Some(&said) == clusters.as_ref(), "the cluster is called {said}, kube-system has UID {clusters:?}");

        secrets(ground).delete(HEARTBEAT_SECRET, &DeleteParams::default()).await?;
        let second = secret(ground, "holds one key again", is_whole).await?;
        ensure!(keys(&second)[0].1 != key, "the same key was made again");
        ensure!(second[CLUSTER_ID_ENTRY] == first[CLUSTER_ID_ENTRY], "it is another cluster now");
        controller.stop().await?;

        // Another process finds all there is to find.
        let controller = start(ground).await?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1"] })).await?;
        ground.service("web", json!({}), json!({})).await?;
        ground.addresses("web", 1).await?;
        let third = secret(ground, "is there", |_| true).await?;
        ensure!(third == second, "what was there was changed");
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn what_a_secret_lacks_is_added_and_what_is_in_it_stays() -> Result<()> {
    alone(async |ground| {
        let key = |byte: &str| byte.repeat(KEY_LENGTH);
        let secret_of_mine: Secret = serde_json::from_value(json!({
            "metadata": { "name": HEARTBEAT_SECRET }, "stringData": { "2026-01-01T00-00-00Z": key("1") },
        }))?;
        secrets(ground).create(&PostParams::default(), &secret_of_mine).await?;
        let controller = start(ground).await?;
        let entries = secret(ground, "names the cluster", |entries| entries.contains_key(CLUSTER_ID_ENTRY)).await?;
        ensure!(keys(&entries).len() == 1 && is_whole(&entries), "a key was added beside a good one");

        // A second key, for a rotation by hand.
        let next = Patch::Merge(json!({ "stringData": { "2026-02-01T00-00-00Z": key("2") } }));
        secrets(ground).patch(HEARTBEAT_SECRET, &PatchParams::default(), &next).await?;
        // Then none at all that can be read.
        let (gone, short) = (json!({ "2026-01-01T00-00-00Z": null }), json!({ "2026-02-01T00-00-00Z": "short" }));
        let spoilt = json!({ "data": gone, "stringData": short });
        secrets(ground).patch(HEARTBEAT_SECRET, &PatchParams::default(), &Patch::Merge(spoilt)).await?;
        let entries =
            secret(ground, "holds a new key", |entries| keys(entries).iter().any(|(_, key)| key.len() == KEY_LENGTH))
                .await?;
        let left = entries.get("2026-02-01T00-00-00Z").context("the garbled entry was removed")?;
        ensure!(left.0 == b"short", "the garbled entry was changed");
        let message = "entry 2026-02-01T00-00-00Z of Secret herald-heartbeat-key has 5 bytes, and a key has 32";
        let events: Api<Event> = Api::namespaced(ground.client.clone(), &ground.namespace);
        let said = eventually(SOON, "there are events about the Secret", async || {
            let about = |event: &Event| event.regarding.as_ref().is_some_and(|it| it.kind.as_deref() == Some("Secret"));
            let said: Vec<_> = events.list(&ListParams::default()).await?.into_iter().filter(about).collect();
            Ok(Seen::when(!said.is_empty(), said, "no event"))
        })
        .await?;
        let [event] = &said[..] else { anyhow::bail!("one entry is garbled; events are about more: {said:?}") };
        ensure!(event.reason.as_deref() == Some(reason::HEARTBEAT_KEY_UNREADABLE), "{event:?}");
        names(event.note.as_deref().unwrap_or_default(), &[message, "remove it"])?;
        names(&controller.log()?, &[message])?;
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_named_and_addresses_are_given_all_the_same() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &["--namespace", "nowhere"]).await?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1"] })).await?;
        ground.service("web", json!({}), json!({})).await?;
        ground.addresses("web", 1).await?;
        eventually(SOON, "the log names the namespace", async || {
            let log = controller.log()?;
            let said = |line: &str| line.contains("WARN") && line.contains("nowhere") && line.contains("--namespace");
            Ok(Seen::when(log.lines().any(said), (), log))
        })
        .await?;
        controller.stop().await
    })
    .await
}
