//! Which kind of patch is the cheapest way to write a Service's status? This figure decides what the controller sends.

use anyhow::Result;
use herald_tests::lab::Lab;
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::now;
use super::report::Figure;

/// Of another class, so that Herald leaves them alone.
const CLASS: &str = "herald-lb.io/nobody";

/// Writes the status of `count` Services by each kind of patch in turn, as the controller would: address and condition.
pub(crate) async fn compared(lab: &Lab, count: u32) -> Result<Vec<Figure>> {
    let stage = Stage::bare(lab, "patches", Range::take(1)?).await?;
    let services: Api<Service> = stage.api();
    let (mut applied, mut merged) = (Vec::new(), Vec::new());
    for number in 0..count {
        let name = format!("s{number}");
        let wanted = service(&name, json!({"ipFamilyPolicy": "SingleStack", "loadBalancerClass": CLASS}));
        services.create(&PostParams::default(), &wanted).await?;
        // Each kind meets a status that the other wrote before, and is first as often.
        for turn in 0..4 {
            let body = status(&name, turn);
            let by_apply = (turn + number) % 2 == 0;
            let (params, patch) = if by_apply {
                (PatchParams::apply("herald-bench").force(), Patch::Apply(&body))
            } else {
                (PatchParams::default(), Patch::Strategic(&body))
            };
            let start = now();
            services.patch_status(&name, &params, &patch).await?;
            let took = start.elapsed().as_secs_f64() * 1e3;
            if by_apply { applied.push(took) } else { merged.push(took) }
        }
    }
    stage.strike().await?;
    Ok(vec![
        Figure::of(
            "write of a Service's status by strategic merge patch (what the controller does)",
            "ms",
            "",
            merged,
        )?,
        Figure::of("the same by server-side apply", "ms", "", applied)?,
    ])
}

fn status(name: &str, turn: u32) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "status": {
            "loadBalancer": {"ingress": [{"ip": format!("192.0.2.{}", 100 + turn), "ipMode": "VIP"}]},
            "conditions": [{
                "type": "example.org/Measured",
                "status": "True",
                "reason": "Measured",
                "message": format!("turn {turn}"),
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    })
}
