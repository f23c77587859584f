//! Who reaches whom.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use herald_tests::lab::addresses::{LAN_CLIENT_V4, ROUTER_V4};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT, ROUTER};
use herald_tests::lab::{Lab, Seen, eventually};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, ListParams};

use super::LAB;
use super::web::{self, NODE_PORT, PORT};

#[tokio::test]
async fn every_node_is_ready_and_known_by_its_lan_addresses() -> Result<()> {
    LAB.run(async |lab| {
        let nodes: Api<Node> = Api::all(lab.client().await?);
        let list = nodes.list(&ListParams::default()).await?.items;
        ensure!(list.len() == 3, "{} nodes", list.len());
        for (node, known) in lab.nodes().iter().zip(list) {
            let internal: Vec<String> = known
                .status
                .and_then(|status| status.addresses)
                .into_iter()
                .flatten()
                .filter(|address| address.type_ == "InternalIP")
                .map(|address| address.address)
                .collect();
            assert_eq!(internal, node.addresses().both().map(|address| address.to_string()));
            let ranges = known.spec.and_then(|spec| spec.pod_cidrs).unwrap_or_default();
            assert_eq!(ranges, [node.addresses().pods_v4(), node.addresses().pods_v6()]);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pods_reach_pods_of_other_nodes_over_both_families() -> Result<()> {
    LAB.run(async |lab| {
        let servers = web::servers(lab).await?;
        let from = &servers["node-1"];
        for to in [&servers["node-2"], &servers["node-3"]] {
            assert_eq!(to.addresses.len(), 2, "a pod has an address of each family");
            for address in &to.addresses {
                assert_eq!(web::get_from_pod(lab, &from.pod, &address.to_string(), PORT).await?, to.pod);
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_is_reached_by_name_and_cluster_ip_from_pods() -> Result<()> {
    LAB.run(async |lab| {
        let servers = web::servers(lab).await?;
        let from = &servers["node-1"].pod;
        let mut names = cluster_ips(lab).await?;
        names.push("web".to_owned());
        for name in names {
            eventually(Duration::from_secs(20), &format!("{name} answers a pod"), async || {
                let answer = web::get_from_pod(lab, from, &name, 80).await?;
                Ok(Seen::when(servers.values().any(|server| server.pod == answer), (), answer))
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_node_port_is_reached_from_behind_the_router_and_from_the_lan() -> Result<()> {
    LAB.run(async |lab| {
        let servers = web::servers(lab).await?;
        let v4 = lab.nodes()[1].addresses().v4().to_string();
        for client in [CLIENT, LAN_CLIENT] {
            eventually(Duration::from_secs(20), &format!("node-2 serves {client}"), async || {
                let answer = web::get(lab, client, &v4, NODE_PORT).await?;
                Ok(Seen::when(servers.values().any(|server| server.pod == answer), (), answer))
            })
            .await?;
            let v6 = lab.nodes()[1].addresses().v6().to_string();
            web::get(lab, client, &v6, NODE_PORT).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_api_server_reaches_cluster_ips_as_webhooks_need_it() -> Result<()> {
    LAB.run(async |lab| {
        web::servers(lab).await?;
        for address in cluster_ips(lab).await? {
            eventually(Duration::from_secs(20), &format!("{address} answers the control plane"), async || {
                Ok(Seen::Yes(web::get(lab, "control-plane", &address, 80).await?))
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_administrator_reaches_the_api_server_from_the_client_too() -> Result<()> {
    LAB.run(async |lab| {
        let nodes = lab.exec(CLIENT, &["kubectl", "get", "nodes", "--no-headers"]).await?.text()?;
        assert_eq!(nodes.lines().count(), 3, "{nodes}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_leg_behind_the_router_takes_a_smaller_mtu_on_demand() -> Result<()> {
    LAB.run_alone(async |lab| {
        let ping = ["ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "192.0.2.11"];
        lab.exec(CLIENT, &ping).await?.text()?;
        lab.set_far_mtu(1300)?;
        let output = lab.exec(ROUTER, &["ip", "link", "show", "far"]).await?.text()?;
        let reply = lab.exec(CLIENT, &ping).await?;
        lab.set_far_mtu(1500)?;
        assert!(output.contains("mtu 1300"), "{output}");
        assert!(!reply.is_ok(), "a packet of 1428 bytes passed an MTU of 1300");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn frames_of_the_lan_are_recorded_with_their_senders() -> Result<()> {
    LAB.run(async |lab| {
        // Asking a neighbour whose address is not known yet, so that there must be an ARP request.
        lab.exec(ROUTER, &["ip", "neigh", "flush", "to", &LAN_CLIENT_V4.to_string()]).await?.text()?;
        lab.exec(ROUTER, &["ping", "-c", "1", "-W", "1", &LAN_CLIENT_V4.to_string()]).await?.text()?;
        eventually(Duration::from_secs(10), "the router's ARP request was recorded", async || {
            let frames = lab.frames()?;
            let request = frames.iter().any(|frame| {
                let sender_and_target = (frame.bytes.get(28..32), frame.bytes.get(38..42));
                frame.kind() == Some(0x0806)
                    && sender_and_target == (Some(&ROUTER_V4.octets()[..]), Some(&LAN_CLIENT_V4.octets()[..]))
                    && frame.at > SystemTime::UNIX_EPOCH
            });
            Ok(Seen::when(request, (), format!("{} frames, not this one", frames.len())))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_failure_leaves_frames_logs_and_objects_in_a_directory_that_it_names() -> Result<()> {
    let failure = LAB.run(async |_| anyhow::bail!("as planned")).await.unwrap_err();
    let message = format!("{failure:#}");
    assert!(message.contains("as planned"), "{message}");
    let directory = message.split("are in ").nth(1).and_then(|rest| rest.split(": ").next()).expect(&message);
    for file in ["frames.pcap", "objects.yaml", "node-1.txt", "node-1/kubelet.log", "control-plane/kube-apiserver.log"]
    {
        let file = std::path::Path::new(directory).join(file);
        assert!(file.metadata().is_ok_and(|file| file.len() > 0), "{} is missing or empty", file.display());
    }
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

async fn cluster_ips(lab: &Lab) -> Result<Vec<String>> {
    let services: Api<Service> = Api::namespaced(lab.client().await?, web::NAMESPACE);
    let ips = services.get("web").await?.spec.and_then(|spec| spec.cluster_ips).unwrap_or_default();
    ensure!(ips.len() == 2, "the Service has cluster IPs {ips:?}");
    Ok(ips)
}
