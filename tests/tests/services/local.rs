//! Traffic policy Local: only nodes with an endpoint announce, and the address follows the pods.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use herald_api::keys::{condition, reason};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT};
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::wire::who_has;
use herald_tests::scenario::{Server, Stage, service};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::on_stage;

#[tokio::test]
async fn a_local_address_moves_with_its_pod() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web").on("node-1")).await?;
        let addresses = stage.offer(service("web", json!({"externalTrafficPolicy": "Local"}))).await?;
        for node in ["node-1", "node-3", "node-2"] {
            let to_node = json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}}});
            stage.api::<Deployment>().patch("web", &PatchParams::default(), &Patch::Merge(to_node)).await?;
            for address in &addresses {
                announced_by(stage, *address, node).await?;
                for host in [CLIENT, LAN_CLIENT] {
                    stage.caller(host)?.reaches(SocketAddr::new(*address, 80)).await?;
                }
                let macs = who_has(stage.lab(), *address).await?;
                let expected = stage.lab().node(node)?.addresses().mac();
                ensure!(macs == [expected.clone()], "{address} should be {expected} of {node}; {macs:?} answered");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_local_address_without_pods_is_announced_by_nobody() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web").on("node-2")).await?;
        let addresses = stage.offer(service("web", json!({"externalTrafficPolicy": "Local"}))).await?;
        for address in &addresses {
            announced_by(stage, *address, "node-2").await?;
        }
        stage.scale("web", 0).await?;
        let message = stage.reason("web", condition::SERVICE_ANNOUNCED, reason::NO_LOCAL_ENDPOINTS).await?;
        ensure!(message.contains("Local"), "the condition does not name what to change: {message:?}");
        for address in &addresses {
            let macs = who_has(stage.lab(), *address).await?;
            ensure!(macs.is_empty(), "{address} has no pod, and {macs:?} answered");
        }
        stage.scale("web", 1).await?;
        for address in &addresses {
            announced_by(stage, *address, "node-2").await?;
            stage.caller(CLIENT)?.reaches(SocketAddr::new(*address, 80)).await?;
        }
        Ok(())
    })
    .await
}

async fn announced_by(stage: &Stage, address: std::net::IpAddr, node: &str) -> Result<()> {
    eventually(SOON, &format!("{address} is announced by {node}"), async || {
        let announcer = stage.announcer(address).await?;
        Ok(Seen::when(announcer.node == node, (), announcer))
    })
    .await
}
