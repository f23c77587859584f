//! What reaches pods through an address: the part of the scenarios that every mode of kube-proxy must pass.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use herald_tests::lab::addresses::{CLIENT_V4, CLIENT_V6};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT};
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::server::{HTTP_PORT, UDP_PORT};
use herald_tests::scenario::stage::node_of;
use herald_tests::scenario::{Outcome, Server, service};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::on_stage;

/// Calls enough that three pods chosen at random are all met, or that one pod met each time is no chance: the odds of a
/// mistake are below one in a billion.
const MANY: usize = 60;

#[tokio::test]
async fn three_replicas_behind_one_address_are_all_reached() -> Result<()> {
    on_stage(async |stage| {
        let pods = stage.deploy(&Server::named("web").replicas(3)).await?;
        let pods: BTreeSet<String> = pods.iter().map(ResourceExt::name_any).collect();
        let client = stage.caller(CLIENT)?;
        for address in stage.offer(service("web", json!({}))).await? {
            let to = SocketAddr::new(address, 80);
            client.reaches(to).await?;
            let mut met = BTreeSet::new();
            for _ in 0..MANY {
                let outcome = client.get(to, "/hostname").await?;
                met.insert(outcome.answer().with_context(|| format!("{to}: {outcome}"))?.to_owned());
            }
            ensure!(met == pods, "{to} was answered by {met:?}; the pods are {pods:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_node_port_works_beside_the_address_whoever_chose_it() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        // Of the lower part of the range, from which the API server takes none by itself.
        let chosen = json!({"ports": [{"port": 80, "targetPort": HTTP_PORT, "nodePort": 30_042}]});
        let mut chosen = service("web", chosen);
        chosen.metadata.name = Some("chosen".to_owned());
        let client = stage.caller(CLIENT)?;
        for service in [chosen, service("web", json!({}))] {
            let name = service.name_any();
            for address in stage.offer(service).await? {
                client.reaches(SocketAddr::new(address, 80)).await?;
            }
            let service = stage.api::<Service>().get(&name).await?;
            let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
            let port =
                ports.first().and_then(|port| port.node_port).with_context(|| format!("{name} has no node port"))?;
            ensure!(name != "chosen" || port == 30_042, "the node port became {port}");
            for node in stage.lab().nodes() {
                for address in node.addresses().both() {
                    client.reaches(SocketAddr::new(address, port.try_into()?)).await?;
                }
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_without_node_ports_is_reached() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let addresses = stage.offer(service("web", json!({"allocateLoadBalancerNodePorts": false}))).await?;
        let spec = stage.api::<Service>().get("web").await?.spec.unwrap_or_default();
        let node_ports: Vec<i32> = spec.ports.iter().flatten().filter_map(|port| port.node_port).collect();
        ensure!(node_ports.is_empty(), "node ports were given: {node_ports:?}");
        let client = stage.caller(CLIENT)?;
        for address in addresses {
            client.reaches(SocketAddr::new(address, 80)).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn several_named_ports_lead_to_their_own_targets() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let ports = json!({"ports": [
            {"name": "same", "port": HTTP_PORT, "targetPort": HTTP_PORT},
            {"name": "other", "port": 81, "targetPort": HTTP_PORT},
            {"name": "by-name", "port": 8000, "targetPort": "http"},
        ]});
        let client = stage.caller(CLIENT)?;
        for address in stage.offer(service("web", ports)).await? {
            for port in [HTTP_PORT, 81, 8000] {
                client.reaches(SocketAddr::new(address, port)).await?;
            }
            // Between the Service's own ports there is nothing.
            let to = SocketAddr::new(address, 82);
            let outcome = client.get(to, "/hostname").await?;
            ensure!(outcome == Outcome::Refused, "{to}: {outcome}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn tcp_and_udp_share_a_service_and_a_port_number() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let ports = json!({"ports": [
            {"name": "http", "port": 80, "targetPort": HTTP_PORT},
            {"name": "datagrams", "port": 80, "targetPort": UDP_PORT, "protocol": "UDP"},
            {"name": "more", "port": 53, "targetPort": "udp", "protocol": "UDP"},
        ]});
        let client = stage.caller(CLIENT)?;
        for address in stage.offer(service("web", ports)).await? {
            let by_tcp = client.reaches(SocketAddr::new(address, 80)).await?;
            let by_udp = client.reaches_udp(SocketAddr::new(address, 80)).await?;
            ensure!(by_tcp == by_udp, "TCP was answered by {by_tcp:?}, UDP by {by_udp:?}");
            client.reaches_udp(SocketAddr::new(address, 53)).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_affinity_a_client_stays_with_one_pod() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web").replicas(3)).await?;
        let addresses = stage.offer(service("web", json!({"sessionAffinity": "ClientIP"}))).await?;
        for host in [CLIENT, LAN_CLIENT] {
            let client = stage.caller(host)?;
            for to in addresses.iter().map(|address| SocketAddr::new(*address, 80)) {
                let first = client.reaches(to).await?;
                for _ in 0..MANY {
                    let outcome = client.get(to, "/hostname").await?;
                    ensure!(
                        outcome.answer() == Some(&first),
                        "{host} got {first:?} from {to} at first, then: {outcome}"
                    );
                }
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_allowed_sources_are_served() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let ranges = json!({"loadBalancerSourceRanges": [format!("{CLIENT_V4}/32"), format!("{CLIENT_V6}/128")]});
        let addresses = stage.offer(service("web", ranges)).await?;
        let (allowed, other) = (stage.caller(CLIENT)?, stage.caller(LAN_CLIENT)?);
        for to in addresses.iter().map(|address| SocketAddr::new(*address, 80)) {
            allowed.reaches(to).await?;
            let outcome = other.get(to, "/hostname").await?;
            ensure!(
                matches!(outcome, Outcome::Silent | Outcome::Refused | Outcome::Unreachable(_)),
                "{to} is not for {LAN_CLIENT}, and still: {outcome}"
            );
        }
        let open = json!({"spec": {"loadBalancerSourceRanges": null}});
        stage.api::<Service>().patch("web", &PatchParams::default(), &Patch::Merge(open)).await?;
        for to in addresses.iter().map(|address| SocketAddr::new(*address, 80)) {
            other.reaches(to).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn local_traffic_policy_keeps_the_clients_address() -> Result<()> {
    on_stage(async |stage| {
        let pods = stage.deploy(&Server::named("web").on("node-2")).await?;
        ensure!(pods.first().and_then(node_of) == Some("node-2"), "the pod is not on node-2");
        let addresses = stage.offer(service("web", json!({"externalTrafficPolicy": "Local"}))).await?;
        let client = stage.caller(CLIENT)?;
        for address in addresses {
            let to = SocketAddr::new(address, 80);
            client.reaches(to).await?;
            let outcome = client.get(to, "/clientip").await?;
            let seen: SocketAddr = outcome.answer().with_context(|| format!("{to}: {outcome}"))?.parse()?;
            let own: IpAddr = if address.is_ipv4() { CLIENT_V4.into() } else { CLIENT_V6.into() };
            ensure!(seen.ip() == own, "the client is {own}; the pod saw {seen}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pods_and_nodes_of_the_cluster_reach_the_address() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web").on("node-1")).await?;
        let addresses = stage.offer(service("web", json!({}))).await?;
        let askers = stage.deploy(&Server::named("asker").replicas(3).spread()).await?;
        let nodes: BTreeSet<Option<&str>> = askers.iter().map(node_of).collect();
        ensure!(nodes.len() == 3, "the asking pods are on {nodes:?}");
        for to in addresses.iter().map(|address| SocketAddr::new(*address, 80)) {
            for node in stage.lab().nodes() {
                stage.caller(node.name())?.reaches(to).await?;
            }
            for pod in &askers {
                let asker = stage.pod_caller(pod)?;
                let what = format!("the pod on {} is answered by {to}", node_of(pod).unwrap_or("no node"));
                eventually(SOON, &what, async || {
                    let outcome = asker.get(to, "hostname").await?;
                    Ok(Seen::when(outcome.answer().is_some(), (), outcome))
                })
                .await?;
            }
        }
        Ok(())
    })
    .await
}
