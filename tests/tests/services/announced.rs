//! Announcing as clients see it: their kernels' neighbour tables, and who answers when asked.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use herald_api::keys::{condition, reason};
use herald_tests::lab::topology::{LAN_CLIENT, LAN_INTERFACE};
use herald_tests::scenario::wire::{neighbour, who_has};
use herald_tests::scenario::{Server, service};
use serde_json::json;

use crate::on_stage;

#[tokio::test]
async fn a_clients_kernel_the_wire_and_the_status_agree_on_one_announcer() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let addresses = stage.offer(service("web", json!({}))).await?;
        for address in &addresses {
            stage.caller(LAN_CLIENT)?.reaches(SocketAddr::new(*address, 80)).await?;
            let announcer = stage.announcer(*address).await?;
            let node = stage.lab().node(&announcer.node)?.addresses().mac();
            ensure!(announcer.mac == node, "{address}: {announcer:?} names a MAC that is not the node's, {node}");
            ensure!(announcer.interface == LAN_INTERFACE, "{address}: announced on {}", announcer.interface);
            let (mac, state) = neighbour(stage.lab(), LAN_CLIENT, *address)
                .await?
                .with_context(|| format!("no neighbour {address}"))?;
            ensure!(mac == announcer.mac, "{address}: the client's kernel has {mac} ({state}), status {announcer:?}");
            let macs = who_has(stage.lab(), *address).await?;
            ensure!(macs == [announcer.mac.clone()], "{address}: {macs:?} answered, status has {announcer:?}");
        }
        let message = stage.reason("web", condition::SERVICE_ANNOUNCED, reason::ANNOUNCED).await?;
        for address in &addresses {
            let node = stage.announcer(*address).await?.node;
            ensure!(message.contains(&node), "the Service's condition says {message:?}; {node} announces {address}");
        }
        Ok(())
    })
    .await
}
