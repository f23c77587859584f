//! Death at any moment: the next process finishes what was begun.

use crate::alone;
use crate::program::Controller;
use anyhow::Result;
use futures::future::try_join_all;
use herald_tests::lab::{Seen, eventually};
use kube::api::ListParams;
use serde_json::json;
use std::time::Duration;

/// Services that come and go while controllers die.
const SERVICES: usize = 60;

#[tokio::test]
async fn killed_again_and_again_while_services_come_and_go_it_loses_and_leaks_nothing() -> Result<()> {
    alone(async |ground| {
        ground.pool("lan", json!({ "addresses": ["198.51.100.0/24"] })).await?;
        let names: Vec<_> = (0..SERVICES).map(|number| format!("web-{number}")).collect();
        let come = try_join_all(names.iter().map(|name| ground.service(name, json!({}), json!({}))));
        let deaths = async {
            // Each process dies when the ledger has grown to a size; what it was just writing is different each time.
            for size in [1, 7, 16, 22, 35, 51] {
                let controller = Controller::launch(&ground.lab, &[]).await?;
                grown_to(ground, |entries| entries >= size, &format!("at least {size}")).await?;
                controller.kill().await?;
            }
            Ok(())
        };
        futures::try_join!(come, deaths)?;
        let controller = Controller::start(&ground.lab, &[]).await?;
        ground.agrees().await?;
        controller.kill().await?;
        // Half go, some with a change of type, some by deletion, and again it dies in between.
        for (number, name) in names.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
            if number % 4 == 0 {
                ground.delete(name).await?;
            } else {
                ground.patch(name, json!({ "spec": { "type": "ClusterIP" } })).await?;
            }
        }
        for size in [55, 44, 37] {
            let controller = Controller::launch(&ground.lab, &[]).await?;
            grown_to(ground, |entries| entries <= size, &format!("at most {size}")).await?;
            controller.kill().await?;
        }
        let controller = Controller::start(&ground.lab, &[]).await?;
        eventually(crate::ground::SOON, "only the Services that stayed hold addresses", async || {
            let held = ground.held().await?;
            Ok(Seen::when(held.len() == SERVICES / 2, (), held))
        })
        .await?;
        for name in names.iter().skip(2).step_by(4) {
            ground.delete(name).await?;
        }
        ground.agrees().await?;
        controller.stop().await
    })
    .await
}

async fn grown_to(ground: &crate::ground::Ground, enough: impl Fn(usize) -> bool, what: &str) -> Result<()> {
    eventually(Duration::from_secs(30), &format!("the ledger has {what} entries"), async || {
        let entries = ground.vips().list_metadata(&ListParams::default()).await?.items.len();
        Ok(Seen::when(enough(entries), (), entries))
    })
    .await
}

#[tokio::test]
async fn a_record_without_a_service_and_a_service_without_its_status_are_both_put_right() -> Result<()> {
    alone(async |ground| {
        ground.pool("lan", json!({ "addresses": ["198.51.100.1-198.51.100.9"] })).await?;
        let service = ground.service("web", json!({}), json!({})).await?;
        let record = |address: &str, name: &str, uid: &str| {
            serde_json::from_value::<herald_api::VirtualIP>(json!({
                "apiVersion": "herald-lb.io/v1alpha1", "kind": "VirtualIP", "metadata": { "name": address },
                "spec": { "address": address, "pool": "lan",
                          "holders": [{ "namespace": ground.namespace, "name": name, "uid": uid, "ports": [] }] },
            }))
        };
        let create = kube::api::PostParams::default();
        // A process died after the first of its two writes, and another one after a Service was deleted.
        let uid = service.metadata.uid.clone().unwrap_or_default();
        ground.vips().create(&create, &record("198.51.100.6", "web", &uid)?).await?;
        ground.vips().create(&create, &record("198.51.100.1", "gone", "11111111-2222-3333-4444-555555555555")?).await?;
        let controller = Controller::start(&ground.lab, &[]).await?;
        let addresses = ground.addresses("web", 1).await?;
        anyhow::ensure!(addresses == ["198.51.100.6"], "the recorded address is published: {addresses:?}");
        ground.agrees().await?;
        controller.stop().await
    })
    .await
}
