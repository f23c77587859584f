//! Which endpoints get traffic: hand-written ones, and those that are ready.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use herald_tests::lab::topology::CLIENT;
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::server::{HTTP_PORT, UNREADY_FILE};
use herald_tests::scenario::{Caller, Outcome, Server, service};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;
use serde_json::json;

use crate::on_stage;

/// Calls in a row: a pod that takes one of two is missed by all of them once in a million.
const CALLS: usize = 20;

#[tokio::test]
async fn a_service_without_selector_leads_to_hand_written_endpoints() -> Result<()> {
    on_stage(async |stage| {
        let pods = stage.deploy(&Server::named("behind")).await?;
        let pod = pods.first().context("no pod")?;
        let pod_addresses = pod.status.as_ref().and_then(|status| status.pod_ips.clone()).unwrap_or_default();
        ensure!(pod_addresses.len() == 2, "the pod has {pod_addresses:?}, not one address of each family");
        for (number, address) in pod_addresses.iter().enumerate() {
            let family = if address.ip.contains(':') { "IPv6" } else { "IPv4" };
            let slice: EndpointSlice = serde_json::from_value(json!({
                "metadata": {
                    "name": format!("web-{number}"),
                    "labels": {"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "a-person"},
                },
                "addressType": family,
                "endpoints": [{"addresses": [address.ip], "conditions": {"ready": true}}],
                "ports": [{"name": "", "port": HTTP_PORT, "protocol": "TCP"}],
            }))?;
            stage.create(&slice).await?;
        }
        let client = stage.caller(CLIENT)?;
        for address in stage.offer(service("web", json!({"selector": null}))).await? {
            let answer = client.reaches(SocketAddr::new(address, 80)).await?;
            ensure!(answer == pod.name_any(), "{address} was answered by {answer}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_unready_pod_gets_nothing_and_comes_back() -> Result<()> {
    on_stage(async |stage| {
        let pods = stage.deploy(&Server::named("web").replicas(2).probed()).await?;
        let [one, other] = pods.as_slice() else { anyhow::bail!("{} pods", pods.len()) };
        let both = BTreeSet::from([one.name_any(), other.name_any()]);
        let only_other = BTreeSet::from([other.name_any()]);
        let targets: Vec<SocketAddr> =
            stage.offer(service("web", json!({}))).await?.iter().map(|address| SocketAddr::new(*address, 80)).collect();
        let client = stage.caller(CLIENT)?;
        for to in &targets {
            answered_by(&client, *to, &both).await?;
        }
        in_pod(&client, one, &format!("touch+{UNREADY_FILE}")).await?;
        for to in &targets {
            answered_by(&client, *to, &only_other).await?;
        }
        in_pod(&client, one, &format!("rm+{UNREADY_FILE}")).await?;
        for to in &targets {
            answered_by(&client, *to, &both).await?;
        }
        Ok(())
    })
    .await
}

/// Waits until many calls in a row are answered by exactly these pods.
async fn answered_by(client: &Caller, to: SocketAddr, pods: &BTreeSet<String>) -> Result<()> {
    eventually(SOON, &format!("{to} is answered by exactly {pods:?}"), async || {
        let mut answers = BTreeSet::new();
        for _ in 0..CALLS {
            let outcome = client.get(to, "/hostname").await?;
            answers.insert(outcome.answer().map_or_else(|| outcome.to_string(), str::to_owned));
        }
        Ok(Seen::when(answers == *pods, (), answers))
    })
    .await
}

/// Runs a command, its words joined by `+`, in a pod.
async fn in_pod(client: &Caller, pod: &Pod, command: &str) -> Result<()> {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()).context("the pod has no address")?;
    let outcome = client.get(SocketAddr::new(address.parse()?, HTTP_PORT), &format!("/shell?cmd={command}")).await?;
    ensure!(matches!(outcome, Outcome::Answered(_)), "{command} in {}: {outcome}", pod.name_any());
    Ok(())
}
