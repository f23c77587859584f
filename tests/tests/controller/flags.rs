//! What flags change: whose Services are ours, and the finalizer; and what a start without a cluster says.

use crate::alone;
use crate::ground::{SOON, define, shown};
use crate::program::Controller;
use anyhow::{Result, ensure};
use herald_api::VirtualIP;
use herald_tests::lab::{Seen, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use kube::{CustomResourceExt as _, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

#[tokio::test]
async fn services_of_others_stay_byte_for_byte_as_they_are() -> Result<()> {
    alone(async |ground| {
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        let foreign = json!({ "loadBalancerClass": "example.com/other" });
        ground.service("foreign", json!({}), foreign).await?;
        ground.service("classless", json!({}), json!({})).await?;
        ground
            .service("inside", json!({}), json!({ "type": "ClusterIP", "allocateLoadBalancerNodePorts": null }))
            .await?;
        // What another controller wrote into the status stays too.
        let theirs = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "203.0.113.9" }] } } });
        let params = kube::api::PatchParams::default();
        ground.services().patch_status("foreign", &params, &kube::api::Patch::Merge(theirs)).await?;
        let look = async || -> Result<Vec<Value>> {
            let mut all = Vec::new();
            for name in ["foreign", "classless", "inside"] {
                all.push(serde_json::to_value(ground.services().get(name).await?)?);
            }
            Ok(all)
        };
        let before = look().await?;
        let controller = Controller::start(&ground.lab, &["--default-class=off"]).await?;
        // Served later than the others were looked at, so they had their turn.
        ground.service("ours", json!({}), json!({ "loadBalancerClass": "herald-lb.io/herald" })).await?;
        ground.addresses("ours", 1).await?;
        let after = look().await?;
        ensure!(before == after, "before: {before:#?}\nafter: {after:#?}");
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn a_service_given_up_by_a_flag_loses_its_address_and_another_controllers_status_stays() -> Result<()> {
    alone(async |ground| {
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        let controller = Controller::start(&ground.lab, &[]).await?;
        for name in ["plain", "taken"] {
            ground.service(name, json!({}), json!({})).await?;
            ground.addresses(name, 1).await?;
        }
        controller.stop().await?;
        let theirs = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "203.0.113.9" }] } } });
        let params = kube::api::PatchParams::default();
        ground.services().patch_status("taken", &params, &kube::api::Patch::Merge(theirs)).await?;
        let controller = Controller::start(&ground.lab, &["--default-class=off"]).await?;
        ground.ledger(&BTreeMap::new()).await?;
        ground.addresses("plain", 0).await?;
        let taken = shown(&ground.services().get("taken").await?);
        ensure!(taken == ["203.0.113.9"], "another controller's address was cleared: {taken:?}");
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn the_finalizer_is_there_as_long_as_the_address_is_held() -> Result<()> {
    alone(async |ground| {
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        let controller = Controller::start(&ground.lab, &["--service-finalizer", FINALIZER]).await?;
        ground.service("web", json!({}), json!({})).await?;
        for (type_, count) in [("LoadBalancer", 1), ("ClusterIP", 0), ("LoadBalancer", 1)] {
            ground.patch("web", json!({ "spec": { "type": type_ } })).await?;
            ground.addresses("web", count).await?;
            eventually(SOON, &format!("a {type_} Service has {count} finalizers"), async || {
                let finalizers = ground.services().get("web").await?.finalizers().to_vec();
                Ok(Seen::when(finalizers.len() == count, (), finalizers))
            })
            .await?;
        }
        ground.delete("web").await?;
        eventually(SOON, "the deletion comes to its end", async || {
            let left = ground.services().get_opt("web").await?;
            Ok(Seen::when(left.is_none(), (), left.map(|service| service.metadata)))
        })
        .await?;
        ground.ledger(&BTreeMap::new()).await?;
        controller.stop().await
    })
    .await
}

#[tokio::test]
async fn missing_definitions_are_named_and_waited_for() -> Result<()> {
    alone(async |ground| {
        let definitions = Api::<CustomResourceDefinition>::all(ground.client.clone());
        let name = VirtualIP::crd().name_any();
        definitions.delete(&name, &DeleteParams::default()).await?;
        eventually(SOON, "the definition is gone", async || {
            let left = definitions.get_opt(&name).await?;
            Ok(Seen::when(left.is_none(), (), left.map(|left| left.metadata)))
        })
        .await?;
        let controller = Controller::launch(&ground.lab, &[]).await?;
        eventually(SOON, "the log names the missing definition", async || {
            let log = controller.log()?;
            let said =
                log.contains("does not know virtualips.herald-lb.io: install Herald's CustomResourceDefinitions");
            Ok(Seen::when(said, (), log))
        })
        .await?;
        let answer = controller.ask("/readyz").await?;
        ensure!(answer.starts_with("HTTP/1.1 503") && answer.contains("VirtualIPs"), "{answer}");
        ensure!(controller.ask("/healthz").await?.starts_with("HTTP/1.1 200"), "waiting is healthy");
        define(&ground.client).await?;
        controller.ready().await?;
        controller.stop().await
    })
    .await
}
