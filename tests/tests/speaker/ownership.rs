//! Who announces what, and what is said when nobody does.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::cluster::{Cluster, EXCLUSION, is, not};
use super::with_speakers;

/// Holds a few addresses of both families and waits until each is announced.
async fn some_addresses(cluster: &Cluster) -> Result<Vec<std::net::IpAddr>> {
    let mut addresses = Vec::new();
    for last in 110..116 {
        addresses.push(cluster.hold(&format!("192.0.2.{last}"), &format!("web-{last}")).await?);
        addresses.push(cluster.hold(&format!("2001:db8:1::1:{last}"), &format!("six-{last}")).await?);
    }
    for address in &addresses {
        cluster.announced(*address, "by anybody", |_| true).await?;
    }
    Ok(addresses)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_is_claimed_once_and_answered_by_its_announcers_mac_alone() -> Result<()> {
    with_speakers(async |cluster| {
        for address in some_addresses(cluster).await? {
            let announcer = cluster.announced(address, "by anybody", |_| true).await?;
            ensure!(announcer.interface == "eth0" && announcer.epoch == 1, "{address}: {announcer:?}");
            ensure!(announcer.mac == cluster.lab.node(&announcer.node)?.addresses().mac(), "{announcer:?}");
            cluster.answers(address, &[&announcer.node]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_reports_its_interfaces_and_goes_with_its_node() -> Result<()> {
    with_speakers(async |cluster| {
        let speaker = cluster.running("node-2").await?;
        let owner = speaker.metadata.owner_references.unwrap_or_default().into_iter().next();
        let owner = owner.context("no owner")?;
        ensure!((owner.kind.as_str(), owner.name.as_str()) == ("Node", "node-2"), "{owner:?}");
        let status = speaker.status.unwrap_or_default();
        let uplink = status.segments.iter().find(|segment| segment.interface == "eth0").context("no eth0")?;
        ensure!(uplink.subnets == ["192.0.2.0/24", "2001:db8:1::/64"] && uplink.carrier, "{uplink:?}");
        ensure!(uplink.mac == cluster.lab.node("node-2")?.addresses().mac(), "{uplink:?}");
        ensure!(!status.segments.iter().any(|segment| segment.interface.starts_with("veth")), "{status:?}");

        cluster.lab.cut_lan("node-2")?;
        let cut = |speaker: &herald_api::Speaker| {
            let segments = speaker.status.iter().flat_map(|status| &status.segments);
            segments.clone().any(|segment| segment.interface == "eth0" && !segment.carrier)
        };
        cluster.speaker("node-2", "has no carrier on eth0", cut).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_leaves_a_node_that_is_excluded_or_cut_off_and_does_not_come_back() -> Result<()> {
    with_speakers(async |cluster| {
        let address = cluster.hold("192.0.2.120", "web").await?;
        let first = cluster.announced(address, "by anybody", |_| true).await?.node;
        cluster.label(&first, EXCLUSION, Some("true")).await?;
        let second = cluster.announced(address, "by another node", not(&first)).await?;
        ensure!(second.epoch == 2 && format!("{:?}", second.cause) == "Handover", "{second:?}");
        cluster.answers(address, &[&second.node]).await?;

        cluster.label(&first, EXCLUSION, Some("false")).await?;
        cluster.lab.cut_lan(&second.node)?;
        let third = cluster.announced(address, "by a node with carrier", not(&second.node)).await?;
        cluster.answers(address, &[&third.node]).await?;
        cluster.lab.mend_lan(&second.node)?;
        let back = |speaker: &herald_api::Speaker| {
            let segments = speaker.status.iter().flat_map(|status| &status.segments);
            segments.clone().any(|segment| segment.interface == "eth0" && segment.carrier)
        };
        cluster.speaker(&second.node, "has its carrier back", back).await?;
        // An address that comes later has been decided after that, so this one would have moved by then.
        let later = cluster.hold("192.0.2.121", "later").await?;
        cluster.announced(later, "by anybody", |_| true).await?;
        let now = cluster.announced(address, "by anybody", |_| true).await?;
        ensure!((now.node, now.epoch) == (third.node, third.epoch), "it moved back");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advertisement_chooses_nodes_and_interfaces() -> Result<()> {
    with_speakers(async |cluster| {
        let address = cluster.hold("192.0.2.130", "web").await?;
        let first = cluster.announced(address, "by anybody", |_| true).await?.node;
        let other = if first == "node-3" { "node-2" } else { "node-3" };
        let only = json!([{ "matchLabels": { "kubernetes.io/hostname": other } }]);
        let spec = json!({ "pools": ["lan"], "nodeSelectors": only });
        cluster.apply("L2Advertisement", "here", spec).await?;
        cluster.announced(address, "by the selected node", is(other)).await?;
        cluster.answers(address, &[other]).await?;

        let spec = json!({ "pools": ["lan"], "nodeSelectors": only, "interfaces": ["mgmt*"] });
        cluster.apply("L2Advertisement", "here", spec).await?;
        cluster.announced(address, "on mgmt0", |announcer| announcer.interface == "mgmt0").await?;
        cluster.answers(address, &[]).await?;

        let spec = json!({ "pools": ["lan"], "nodeSelectors": only, "interfaces": ["eth7"] });
        cluster.apply("L2Advertisement", "here", spec).await?;
        let message = cluster.unannounced(address, "NoSegment").await?;
        ensure!(message.contains("eth7 in L2Advertisement here"), "{message}");

        let nowhere = json!([{ "matchLabels": { "kubernetes.io/hostname": "node-9" } }]);
        cluster.apply("L2Advertisement", "here", json!({ "pools": ["lan"], "nodeSelectors": nowhere })).await?;
        let message = cluster.unannounced(address, "NodesExcluded").await?;
        ensure!(message.contains("node-1 matches no spec.nodeSelectors"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_policy_local_the_address_follows_the_endpoint_and_falls_silent_without_one() -> Result<()> {
    with_speakers(async |cluster| {
        let uid = cluster.local_service("local").await?;
        cluster.endpoint_on("local", "node-2", true).await?;
        let address = cluster.hold_from("lan", "192.0.2.140", "local", &uid).await?;
        cluster.announced(address, "where the endpoint is", is("node-2")).await?;
        cluster.endpoint_on("local", "node-3", true).await?;
        cluster.announced(address, "where the endpoint is now", is("node-3")).await?;
        cluster.answers(address, &["node-3"]).await?;
        cluster.endpoint_on("local", "node-3", false).await?;
        let message = cluster.unannounced(address, "NoLocalEndpoints").await?;
        ensure!(message.contains("externalTrafficPolicy"), "{message}");
        cluster.answers(address, &[]).await?;
        cluster.endpoint_on("local", "node-3", true).await?;
        let again = cluster.announced(address, "again", is("node-3")).await?;
        ensure!(again.epoch == 2, "the same claim goes on: {again:?}");
        cluster.answers(address, &["node-3"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_no_node_has_a_subnet_for_says_so_and_one_that_waits_for_an_advertisement_too() -> Result<()> {
    with_speakers(async |cluster| {
        cluster.apply("AddressPool", "elsewhere", json!({ "addresses": ["203.0.113.0/28"] })).await?;
        let elsewhere = cluster.hold_from("elsewhere", "203.0.113.7", "far", "no-such-life").await?;
        let message = cluster.unannounced(elsewhere, "NoSegment").await?;
        ensure!(message.contains("subnet that holds 203.0.113.7") && message.contains("192.0.2.0/24"), "{message}");

        let spec = json!({ "addresses": ["192.0.2.200-192.0.2.201"], "advertise": "Selected" });
        cluster.apply("AddressPool", "choosy", spec).await?;
        let waiting = cluster.hold_from("choosy", "192.0.2.200", "shy", "no-such-life").await?;
        let message = cluster.unannounced(waiting, "NotAdvertised").await?;
        ensure!(message.contains("AddressPool choosy"), "{message}");
        cluster.apply("L2Advertisement", "choosy", json!({ "pools": ["choosy"] })).await?;
        cluster.announced(waiting, "by anybody", |_| true).await.map(drop)
    })
    .await
}
