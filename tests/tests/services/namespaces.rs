//! Several namespaces, and quotas that the API server keeps.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use herald_tests::lab::topology::CLIENT;
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::{Server, Stage, service};
use k8s_openapi::api::core::v1::{ResourceQuota, Service};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::on_stage;

#[tokio::test]
async fn services_of_the_same_name_in_two_namespaces_have_addresses_of_their_own() -> Result<()> {
    on_stage(async |one| {
        let other = Stage::set(one.lab(), "two-of-two").await?;
        let mut given = BTreeSet::new();
        for stage in [one, &other] {
            let pods = stage.deploy(&Server::named("web")).await?;
            let names: Vec<_> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
            for address in stage.offer(service("web", json!({}))).await? {
                ensure!(given.insert(address), "{address} was given twice");
                let answer = stage.caller(CLIENT)?.reaches(SocketAddr::new(address, 80)).await?;
                ensure!(names.contains(&answer), "{address} of {} was answered by {answer}", stage.name());
            }
        }
        ensure!(given.len() == 4, "the two Services have {given:?}");
        other.strike().await
    })
    .await
}

#[tokio::test]
async fn a_resource_quota_bounds_the_services_and_is_freed_by_a_deletion() -> Result<()> {
    on_stage(async |stage| {
        let quota: ResourceQuota = serde_json::from_value(json!({
            "metadata": {"name": "balancers"},
            "spec": {"hard": {"services.loadbalancers": "1"}},
        }))?;
        stage.create(&quota).await?;
        eventually(SOON, "the quota counts", async || {
            let status = stage.api::<ResourceQuota>().get("balancers").await?.status;
            let counts = status.as_ref().is_some_and(|status| status.used.is_some());
            Ok(Seen::when(counts, (), status))
        })
        .await?;
        stage.offer(service("first", json!({}))).await?;
        let services = stage.api::<Service>();
        let refused = services.create(&PostParams::default(), &service("second", json!({}))).await;
        let words = refused.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(words.contains("exceeded quota"), "the second Service should be refused: {words:?}");

        services.delete("first", &DeleteParams::default()).await?;
        eventually(SOON, "the quota has room again", async || {
            let created = services.create(&PostParams::default(), &service("second", json!({}))).await;
            Ok(Seen::when(created.is_ok(), (), created.err()))
        })
        .await?;
        stage.addresses("second", 2).await?;
        Ok(())
    })
    .await
}
