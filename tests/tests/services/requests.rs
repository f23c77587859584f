//! Requests that can't be met and objects that can't be right: each says why, and names what to change.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use herald_api::keys::{condition, reason};
use herald_api::{AddressPool, L2Advertisement};
use herald_tests::lab::topology::CLIENT;
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::wire::who_has;
use herald_tests::scenario::{Server, Stage, service};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use crate::on_stage;

#[tokio::test]
async fn overlapping_pools_are_told_apart_and_the_other_addresses_are_given() -> Result<()> {
    on_stage(async |stage| {
        let range = stage.range();
        let second = format!("{}-second", stage.name());
        stage.pool(&second, json!({"addresses": [range.v4(2).to_string()], "autoAssign": false})).await?;
        let found = pool_condition(stage, &second, condition::OVERLAP).await?;
        ensure!(found.message.contains(stage.name()), "the message names no pool to change: {:?}", found.message);
        stage.deploy(&Server::named("web")).await?;
        for address in stage.offer(service("web", json!({}))).await? {
            stage.caller(CLIENT)?.reaches(SocketAddr::new(address, 80)).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_family_that_no_pool_has_is_named() -> Result<()> {
    on_stage(async |stage| {
        let addresses = stage.range().addresses();
        stage.cluster::<AddressPool>().delete(stage.name(), &DeleteParams::default()).await?;
        stage.pool(&format!("{}-v4", stage.name()), json!({"addresses": [addresses[0]]})).await?;
        refused(stage, service("web", json!({})), reason::FAMILY_UNAVAILABLE, &["IPv6", stage.name()]).await
    })
    .await
}

#[tokio::test]
async fn without_a_pool_that_admits_it_a_service_waits_for_one() -> Result<()> {
    on_stage(async |stage| {
        let mine = stage.range().addresses();
        stage.cluster::<AddressPool>().delete(stage.name(), &DeleteParams::default()).await?;
        // Another pool must be there, or the reason would be that there is none.
        let beside = Stage::set(stage.lab(), "unadmitting").await?;
        refused(stage, single("web"), reason::NO_MATCHING_POOL, &["web"]).await?;
        stage.pool(stage.name(), json!({"addresses": mine})).await?;
        stage.addresses("web", 1).await?;
        beside.strike().await
    })
    .await
}

#[tokio::test]
async fn an_advertisement_on_an_interface_that_no_node_has_is_a_dead_reference() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let addresses = stage.offer(single("web")).await?;
        stage.reason("web", condition::SERVICE_ANNOUNCED, reason::ANNOUNCED).await?;
        stage.advertisement(json!({"pools": [stage.name()], "interfaces": ["eht0"]})).await?;
        let advertisements: Api<L2Advertisement> = stage.cluster();
        let found = eventually(SOON, "the advertisement says that eht0 is nowhere", async || {
            let status = advertisements.get(stage.name()).await?.status;
            let conditions = status.map(|status| status.conditions).unwrap_or_default();
            Ok(Seen::when(is_true(&conditions, condition::DEAD_REFERENCE), conditions.clone(), conditions))
        })
        .await?;
        ensure!(found.iter().any(|condition| condition.message.contains("eht0")), "no message names it: {found:?}");
        let message = stage.reason("web", condition::SERVICE_ANNOUNCED, reason::NO_SEGMENT).await?;
        ensure!(message.contains("eht0") && message.contains(stage.name()), "names neither: {message:?}");
        for address in &addresses {
            let macs = who_has(stage.lab(), *address).await?;
            ensure!(macs.is_empty(), "{address} is to be announced nowhere, and {macs:?} answered");
        }
        Ok(())
    })
    .await
}

/// A Service with one IPv4 address.
fn single(name: &str) -> Service {
    service(name, json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}))
}

/// Creates a Service and waits until it is refused for this reason, in a sentence with these words.
async fn refused(stage: &Stage, service: Service, reason: &str, words: &[&str]) -> Result<()> {
    let created = stage.create(&service).await?;
    let name = created.metadata.name.context("no name")?;
    let message = stage.reason(&name, condition::ALLOCATED, reason).await?;
    for word in words {
        ensure!(message.contains(word), "{reason} of {name} does not name {word}: {message:?}");
    }
    Ok(())
}

/// Waits until a pool's condition is true and returns it.
async fn pool_condition(stage: &Stage, pool: &str, kind: &str) -> Result<Condition> {
    let pools: Api<AddressPool> = stage.cluster();
    eventually(SOON, &format!("AddressPool {pool} has condition {kind}"), async || {
        let status = pools.get(pool).await?.status;
        let conditions = status.map(|status| status.conditions).unwrap_or_default();
        let found = conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True").cloned();
        Ok(found.map_or_else(|| Seen::NotYet(format!("{conditions:?}")), Seen::Yes))
    })
    .await
}

fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}
