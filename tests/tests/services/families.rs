//! Address families: which a Service asks for, and which it gets and is reached by.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use herald_tests::lab::topology::CLIENT;
use herald_tests::scenario::{Server, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::on_stage;

#[tokio::test]
async fn a_dual_stack_service_is_reached_by_both_families() -> Result<()> {
    on_stage(async |stage| {
        check(stage, json!({"ipFamilyPolicy": "RequireDualStack"}), &[4, 6]).await?;
        check(stage, json!({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}), &[4, 6]).await
    })
    .await
}

#[tokio::test]
async fn a_single_stack_service_is_reached_by_its_family_alone() -> Result<()> {
    on_stage(async |stage| {
        check(stage, json!({"ipFamilyPolicy": "SingleStack"}), &[4]).await?;
        check(stage, json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}), &[6]).await
    })
    .await
}

#[tokio::test]
async fn a_second_family_comes_and_goes_without_touching_the_first() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let first = stage.offer(service("web", json!({"ipFamilyPolicy": "SingleStack"}))).await?;
        let client = stage.caller(CLIENT)?;
        for (policy, count) in [("RequireDualStack", 2), ("SingleStack", 1)] {
            let mut spec = json!({"ipFamilyPolicy": policy});
            if count == 1 {
                // Going back to one family, the API server wants the other and its ClusterIP taken out as well.
                let now = stage.api::<Service>().get("web").await?.spec.unwrap_or_default();
                spec["ipFamilies"] = json!(["IPv4"]);
                spec["clusterIPs"] = json!([now.cluster_ip]);
            }
            let spec = json!({"spec": spec});
            stage.api::<Service>().patch("web", &PatchParams::default(), &Patch::Merge(spec)).await?;
            let addresses = stage.addresses("web", count).await?;
            ensure!(
                addresses.first() == first.first(),
                "it had {first:?}, and {addresses:?} after asking for {policy}"
            );
            for address in addresses {
                client.reaches(SocketAddr::new(address, 80)).await?;
            }
        }
        Ok(())
    })
    .await
}

/// A Service with these families has addresses of exactly these, and answers at each.
async fn check(stage: &Stage, spec: Value, families: &[u8]) -> Result<()> {
    let name = format!("web-{}", if families.len() == 2 { "both" } else { "one" });
    let name = format!("{name}-{}", spec["ipFamilies"].as_array().map_or("default", |_| "given"));
    stage.deploy(&Server::named(&name)).await?;
    let mut addresses = stage.offer(service(&name, spec)).await?;
    addresses.sort();
    let got: Vec<u8> = addresses.iter().map(|address| if address.is_ipv4() { 4 } else { 6 }).collect();
    ensure!(got == families, "{name} got {addresses:?}; it asked for families {families:?}");
    let client = stage.caller(CLIENT)?;
    for address in addresses {
        ensure!(stage.range().contains(address), "{address} is not of the pool {:?}", stage.range().addresses());
        client.reaches(SocketAddr::new(address, 80)).await?;
    }
    Ok(())
}
