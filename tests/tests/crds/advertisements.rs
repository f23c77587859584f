//! Where addresses are announced, and what speakers report.

use super::*;
use herald_api::{L2Advertisement, Speaker};
use kube::api::PostParams;

#[tokio::test]
async fn an_advertisement_names_interfaces_and_nodes_that_can_be() -> Result<()> {
    with_definitions(async |client| {
        let selector = json!({ "matchLabels": { "rack": "a" } });
        let interfaces = "must hold names of interfaces such as eth0, or patterns with * and ? such as bond*";
        for (spec, text) in [
            (json!({}), ACCEPTED),
            (json!({ "pools": ["lan"], "poolSelector": selector, "nodeSelectors": [selector] }), ACCEPTED),
            (json!({ "interfaces": ["eth0", "bond*", "eno?", "vlan.100"] }), ACCEPTED),
            (json!({ "preferredNodes": [{ "weight": 100, "selector": selector }] }), ACCEPTED),
            (json!({ "interfaces": ["averylonginterface"] }), "may not be more than 15 bytes"),
            (json!({ "interfaces": ["eth0 eth1"] }), interfaces),
            (json!({ "interfaces": ["a/b"] }), interfaces),
            (json!({ "preferredNodes": [{ "weight": 0, "selector": selector }] }), "greater than or equal to 1"),
            (json!({ "preferredNodes": [{ "weight": 101, "selector": selector }] }), "less than or equal to 100"),
            (json!({ "fanOut": true }), "field not declared in schema"),
        ] {
            let what = spec.to_string();
            expect(&what, &verdict::<L2Advertisement>(client, "lan", spec).await?, &[text])?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_speaker_has_a_status_and_nothing_to_configure() -> Result<()> {
    with_definitions(async |client| {
        let refusal = verdict::<Speaker>(client, "node-1", json!({ "interface": "eth0" })).await?;
        expect("a spec", &refusal, &["spec", "field not declared in schema"])?;
        let speakers: Api<Speaker> = Api::all(client.clone());
        speakers
            .create(&PostParams::default(), &Speaker::new("crds-node", herald_api::speaker::SpeakerSpec {}))
            .await?;
        let report = |mac: &str| {
            let segment = json!({ "interface": "eth0", "mac": mac, "subnets": ["192.0.2.0/24"], "carrier": true });
            json!({ "status": { "segments": [segment], "version": "0.1.0", "draining": false, "conditions": [] } })
        };
        let patch = |status| Patch::Merge(status);
        let good =
            speakers.patch_status("crds-node", &PatchParams::default(), &patch(report("52:54:00:12:34:56"))).await;
        let bad =
            speakers.patch_status("crds-node", &PatchParams::default(), &patch(report("52-54-00-12-34-56"))).await;
        speakers.delete("crds-node", &kube::api::DeleteParams::default()).await?;
        let written = good?.status.context("a status")?;
        ensure!(written.segments.first().is_some_and(|segment| segment.carrier), "the status is {written:?}");
        let refusal = bad.err().map(|error| error.to_string()).unwrap_or_default();
        expect("a MAC address", &refusal, &["status.segments[0].mac", "should match"])
    })
    .await
}
