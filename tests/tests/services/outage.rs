//! The API server away, and Services gone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use herald_api::VirtualIP;
use herald_core::address::Vip;
use herald_tests::lab::topology::{CLIENT, CONTROL_PLANE, LAN_CLIENT};
use herald_tests::lab::{Lab, ProcessId, Seen, eventually, throughout};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::wire::who_has;
use herald_tests::scenario::{Server, service};
use k8s_openapi::api::core::v1::Service;
use kube::api::DeleteParams;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{alone_on_stage, on_stage};

/// Long enough that requests of every part time out, short enough that no node's lease does.
const OUTAGE: Duration = Duration::from_secs(8);

/// An API server that answers nobody until this is dropped.
struct Stopped {
    process: ProcessId,
}

impl Stopped {
    fn api_server(lab: &Lab) -> Result<Self> {
        let process = lab.host(CONTROL_PLANE)?.recorded("kube-apiserver").context("no kube-apiserver was started")?;
        process.signal(Signal::SIGSTOP)?;
        Ok(Self { process })
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // The test fails anyway if it does not answer again.
        let _ = self.process.signal(Signal::SIGCONT);
    }
}

#[tokio::test]
async fn addresses_answer_and_serve_while_the_api_server_is_away() -> Result<()> {
    alone_on_stage(async |stage| {
        stage.deploy(&Server::named("web").replicas(2)).await?;
        let addresses = stage.offer(service("web", json!({}))).await?;
        let mut before = Vec::new();
        for address in &addresses {
            stage.caller(CLIENT)?.reaches(SocketAddr::new(*address, 80)).await?;
            before.push(stage.announcer(*address).await?.mac);
        }
        let stopped = Stopped::api_server(stage.lab())?;
        throughout(OUTAGE, "every address answers and serves", async || {
            for (address, mac) in addresses.iter().zip(&before) {
                let outcome = stage.caller(CLIENT)?.get(SocketAddr::new(*address, 80), "/hostname").await?;
                if outcome.answer().is_none() {
                    return Ok(Seen::NotYet(format!("{address}: {outcome}")));
                }
                let macs = who_has(stage.lab(), *address).await?;
                if macs != [mac.clone()] {
                    return Ok(Seen::NotYet(format!("{address}: {macs:?} answered; {mac} announces it")));
                }
            }
            Ok(Seen::Yes(()))
        })
        .await?;
        drop(stopped);
        eventually(SOON, "the API server answers again", async || {
            let version = stage.client().apiserver_version().await;
            Ok(Seen::when(version.is_ok(), (), version.err()))
        })
        .await?;
        for (address, mac) in addresses.iter().zip(&before) {
            ensure!(stage.announcer(*address).await?.mac == *mac, "{address} has moved");
        }
        // And work goes on.
        for address in stage.offer(renamed("after")).await? {
            stage.caller(CLIENT)?.reaches(SocketAddr::new(address, 80)).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_services_addresses_fall_silent_and_are_free() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let addresses = stage.offer(service("web", json!({}))).await?;
        for address in &addresses {
            stage.caller(LAN_CLIENT)?.reaches(SocketAddr::new(*address, 80)).await?;
        }
        stage.api::<Service>().delete("web", &DeleteParams::default()).await?;
        for address in &addresses {
            let name = Vip::new(*address)?.object_name();
            eventually(SOON, &format!("VirtualIP {name} is gone"), async || {
                let found = stage.cluster::<VirtualIP>().get_opt(&name).await?;
                Ok(Seen::when(found.is_none(), (), found))
            })
            .await?;
            eventually(SOON, &format!("nobody answers for {address}"), async || {
                let macs = who_has(stage.lab(), *address).await?;
                Ok(Seen::when(macs.is_empty(), (), macs))
            })
            .await?;
            let to = SocketAddr::new(*address, 80);
            eventually(SOON, &format!("{to} serves nobody"), async || {
                let outcome = stage.caller(CLIENT)?.get(to, "/hostname").await?;
                Ok(Seen::when(outcome.answer().is_none(), (), outcome))
            })
            .await?;
        }
        Ok(())
    })
    .await
}

/// The usual Service for the pods of `web` under another name.
fn renamed(name: &str) -> Service {
    service(name, json!({"selector": {"app": "web"}}))
}
