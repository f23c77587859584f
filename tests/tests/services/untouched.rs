//! Services that are not Herald's stay as they are, to the byte.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use herald_tests::scenario::{Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::on_stage;

/// How often Herald gives and takes addresses in the meantime.
const ROUNDS: usize = 3;

#[tokio::test]
async fn services_of_others_are_untouched_to_the_byte() -> Result<()> {
    on_stage(async |stage| {
        for (name, spec) in [
            ("cluster-ip", json!({"type": "ClusterIP"})),
            ("node-port", json!({"type": "NodePort"})),
            ("headless", json!({"type": "ClusterIP", "clusterIP": "None"})),
            (
                "external-name",
                json!({"type": "ExternalName", "externalName": "example.com", "selector": null, "ipFamilyPolicy": null}),
            ),
            ("foreign", json!({"loadBalancerClass": "example.com/other"})),
        ] {
            stage.create(&service(name, spec)).await?;
        }
        let before = others(stage).await?;
        ensure!(before.len() == 5, "{:?}", before.keys());
        for round in 0..ROUNDS {
            let name = format!("ours-{round}");
            stage.offer(service(&name, json!({}))).await?;
            ensure!(others(stage).await? == before, "something changed while {name} got its addresses");
            stage.api::<Service>().delete(&name, &DeleteParams::default()).await?;
        }
        let after = others(stage).await?;
        for (name, text) in &before {
            ensure!(after.get(name) == Some(text), "{name} was\n{text}\nand became\n{:?}", after.get(name));
        }
        Ok(())
    })
    .await
}

/// The Services that are not Herald's, each as the API server writes it.
async fn others(stage: &Stage) -> Result<BTreeMap<String, String>> {
    let services: Api<DynamicObject> =
        Api::namespaced_with(stage.client(), stage.name(), &kube::api::ApiResource::erase::<Service>(&()));
    let list = services.list(&ListParams::default()).await?;
    let others = list.items.into_iter().filter(|service| !service.name_any().starts_with("ours-"));
    others.map(|service| Ok((service.name_any(), serde_json::to_string(&service)?))).collect()
}
