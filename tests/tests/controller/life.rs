//! A Service's life: addresses come, change, go, and their record with them.

use crate::alone;
use crate::ground::{names, shown};
use crate::program::Controller;
use anyhow::{Result, ensure};
use herald_api::keys::{condition, reason};
use serde_json::json;
use std::collections::BTreeMap;

fn ledger(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(address, holder)| ((*address).to_owned(), (*holder).to_owned())).collect()
}

#[tokio::test]
async fn an_address_comes_with_a_record_and_both_go_with_the_service() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground
            .pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9", "2001:db8:9::1-2001:db8:9::9"] }))
            .await?;
        ground.service("web", json!({}), json!({ "ipFamilyPolicy": "RequireDualStack" })).await?;
        let addresses = ground.addresses("web", 2).await?;
        ensure!(addresses == ["198.51.100.1", "2001:db8:9::1"], "{addresses:?}");
        ground.ledger(&ledger(&[("198.51.100.1", "web"), ("2001:db8:9::1", "web")])).await?;
        let message = ground.says("web", condition::ALLOCATED, reason::ALLOCATED).await?;
        names(&message, &["198.51.100.1 from pool lan", "2001:db8:9::1 from pool lan"])?;
        let status = ground.services().get("web").await?.status.unwrap_or_default();
        let modes = status.load_balancer.unwrap_or_default().ingress.unwrap_or_default();
        ensure!(modes.iter().all(|entry| entry.ip_mode.as_deref() == Some("VIP")), "{modes:?}");
        ground.delete("web").await?;
        ground.ledger(&ledger(&[])).await?;
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn a_type_change_takes_address_and_conditions_away_and_back_again_brings_them() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        ground.service("web", json!({}), json!({})).await?;
        ground.addresses("web", 1).await?;
        ground.patch("web", json!({ "spec": { "type": "ClusterIP" } })).await?;
        ground.ledger(&ledger(&[])).await?;
        herald_tests::lab::eventually(crate::ground::SOON, "no condition of ours is left", async || {
            let conditions = ground.services().get("web").await?.status.and_then(|status| status.conditions);
            let left = conditions.unwrap_or_default();
            Ok(herald_tests::lab::Seen::when(left.is_empty(), (), left))
        })
        .await?;
        ground.patch("web", json!({ "spec": { "type": "LoadBalancer" } })).await?;
        ground.addresses("web", 1).await?;
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn a_request_moves_a_service_and_a_taken_or_strange_address_does_not() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        ground.service("web", json!({}), json!({})).await?;
        ground.service("api", json!({ "herald-lb.io/addresses": "198.51.100.5" }), json!({})).await?;
        ground.addresses("web", 1).await?;
        ensure!(ground.addresses("api", 1).await? == ["198.51.100.5"], "a free address that is asked for is given");
        let ask = |address: &str| json!({ "metadata": { "annotations": { "herald-lb.io/addresses": address } } });
        ground.patch("web", ask("198.51.100.7")).await?;
        ground.ledger(&ledger(&[("198.51.100.7", "web"), ("198.51.100.5", "api")])).await?;
        ground.patch("web", ask("198.51.100.5")).await?;
        let message = ground.says("web", condition::ALLOCATED, reason::ADDRESS_IN_USE).await?;
        names(&message, &["198.51.100.5", "/api", "meanwhile it has 198.51.100.7"])?;
        ground.patch("web", ask("203.0.113.1")).await?;
        let message = ground.says("web", condition::ALLOCATED, reason::ADDRESS_NOT_IN_POOL).await?;
        names(&message, &["203.0.113.1", "AddressPool"])?;
        ensure!(ground.addresses("web", 1).await? == ["198.51.100.7"], "it keeps what it has");
        ground.ledger(&ledger(&[("198.51.100.7", "web"), ("198.51.100.5", "api")])).await?;
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn a_service_that_waits_gets_the_address_that_another_one_frees() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground.service("early", json!({}), json!({})).await?;
        names(&ground.says("early", condition::ALLOCATED, reason::NO_POOL).await?, &["AddressPool"])?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1"] })).await?;
        ground.addresses("early", 1).await?;
        ground.service("late", json!({}), json!({})).await?;
        names(&ground.says("late", condition::ALLOCATED, reason::POOL_EXHAUSTED).await?, &["lan"])?;
        let read = async || Ok(ground.pools().get("lan").await?.status.unwrap_or_default().conditions);
        ground.condition_of("pool lan", reason::POOL_EXHAUSTED, condition::EXHAUSTED, read).await?;
        ground.delete("early").await?;
        ensure!(ground.addresses("late", 1).await? == ["198.51.100.1"], "the freed address is given again");
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn a_pool_edit_moves_no_address_and_says_what_is_outside() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        ground.service("web", json!({}), json!({})).await?;
        let before = ground.addresses("web", 1).await?;
        let api = ground.pools();
        let edit = |addresses: &[&str]| json!({ "spec": { "addresses": addresses } });
        let params = kube::api::PatchParams::default();
        api.patch("lan", &params, &kube::api::Patch::Merge(edit(&["198.51.100.5-198.51.100.9"]))).await?;
        let in_pool = async || Ok(ground.vips().get("198.51.100.1").await?.status.unwrap_or_default().conditions);
        let message = ground.condition_of("VirtualIP", reason::OUTSIDE_POOL, condition::IN_POOL, in_pool).await?;
        names(&message, &["lan", "198.51.100.1", "spec.addresses"])?;
        ensure!(shown(&ground.services().get("web").await?) == before, "the Service keeps its address");
        api.patch("lan", &params, &kube::api::Patch::Merge(edit(&["198.51.100.0/28"]))).await?;
        ground.condition_of("VirtualIP", reason::IN_POOL, condition::IN_POOL, in_pool).await?;
        api.delete("lan", &kube::api::DeleteParams::default()).await?;
        ground.condition_of("VirtualIP", reason::POOL_GONE, condition::IN_POOL, in_pool).await?;
        ensure!(shown(&ground.services().get("web").await?) == before, "the Service keeps its address");
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn overlapping_pools_and_names_that_mean_nothing_are_said_where_they_stand() -> Result<()> {
    alone(async |ground| {
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        ground.pool("dmz", json!({ "addresses": ["198.51.100.5"], "priority": 10 })).await?;
        for (pool, other) in [("lan", "dmz"), ("dmz", "lan")] {
            let read = async || Ok(ground.pools().get(pool).await?.status.unwrap_or_default().conditions);
            let message = ground.condition_of(pool, reason::POOLS_OVERLAP, condition::OVERLAP, read).await?;
            names(&message, &[other, "198.51.100.5"])?;
        }
        let advertisement: herald_api::L2Advertisement = serde_json::from_value(json!({
            "apiVersion": "herald-lb.io/v1alpha1", "kind": "L2Advertisement", "metadata": { "name": "rack" },
            "spec": { "pools": ["lna"], "nodeSelectors": [{ "matchLabels": { "rack": "no" } }] },
        }))?;
        ground.advertisements().create(&kube::api::PostParams::default(), &advertisement).await?;
        let read = async || Ok(ground.advertisements().get("rack").await?.status.unwrap_or_default().conditions);
        let message = ground.condition_of("rack", reason::MATCHES_NOTHING, condition::DEAD_REFERENCE, read).await?;
        names(&message, &["spec.pools names AddressPool lna", "spec.nodeSelectors[0] matches no Node"])?;
        controller.stop().await
    })
    .await
}
