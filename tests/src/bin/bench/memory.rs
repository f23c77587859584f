//! How much memory the daemons hold, with how many Services; and how long it takes until so many have addresses.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use herald_api::VirtualIP;
use herald_tests::lab::{Lab, Seen, eventually};
use herald_tests::scenario::service::addresses;
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use super::allocation::released;
use super::now;
use super::report::Figure;

/// Creates under way at once, as many as a busy client would have.
const CREATES: usize = 16;

/// With 10,000 Services the API server itself takes minutes.
const PATIENCE: Duration = Duration::from_mins(15);

/// IPv6 addresses on the LAN in plenty, beside the pool of the lab.
pub(crate) const POOL: &str = "2001:db8:1::2:0/112";

/// Memory of both daemons with `count` Services of one address each, all announced.
pub(crate) async fn at(lab: &Lab, count: u32) -> Result<Vec<Figure>> {
    let stage = Stage::bare(lab, &format!("memory-{count}"), Range::take(1)?).await?;
    stage.pool(&format!("memory-{count}"), json!({"addresses": [POOL]})).await?;
    let services: Api<Service> = stage.api();
    let start = now();
    stream::iter(0..count)
        .map(|number| {
            let services = services.clone();
            async move {
                let spec = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]});
                services.create(&PostParams::default(), &service(&format!("s{number}"), spec)).await
            }
        })
        .buffer_unordered(CREATES)
        .try_for_each(async |_| Ok(()))
        .await?;
    let created = start.elapsed();
    eventually(PATIENCE, &format!("{count} Services have addresses"), async || {
        let list = services.list(&ListParams::default()).await?;
        let served = list.iter().filter(|service| !addresses(service).is_empty()).count();
        Ok(Seen::when(served == usize::try_from(count)?, (), served))
    })
    .await?;
    let addressed = start.elapsed();
    announced(&stage, count).await?;
    let controller = resident(lab, "herald-controller")?;
    let speakers = resident(lab, "herald-speaker")?;
    let ledger: Api<VirtualIP> = stage.cluster();
    stage.strike().await?;
    released(&ledger, PATIENCE).await?;
    Ok(vec![
        Figure::of(format!("{count} Services at once: all created"), "ms", "", vec![created.as_secs_f64() * 1e3])?,
        Figure::of(
            format!("{count} Services at once: all have addresses"),
            "ms",
            "",
            vec![addressed.as_secs_f64() * 1e3],
        )?,
        Figure::of(format!("resident memory, controller, {count} Services"), "MB", "≤ 25 at 1,000", controller)?,
        Figure::of(format!("resident memory, speakers, {count} VIPs"), "MB", "≤ 15 at 1,000", speakers)?,
    ])
}

async fn announced(stage: &Stage, count: u32) -> Result<()> {
    let ledger: Api<VirtualIP> = stage.cluster();
    eventually(PATIENCE, &format!("{count} VirtualIPs are announced"), async || {
        let list = ledger.list(&ListParams::default()).await?;
        let announced = list.iter().filter(|vip| vip.status.as_ref().is_some_and(|status| status.announcer.is_some()));
        let announced = announced.count();
        Ok(Seen::when(announced >= usize::try_from(count)?, (), announced))
    })
    .await
}

/// Resident memory of all processes of this name on all nodes, in megabytes.
fn resident(lab: &Lab, program: &str) -> Result<Vec<f64>> {
    let found = lab.nodes().iter().filter_map(|node| lab.processes(node.name(), program).ok()).flatten();
    found
        .map(|process| {
            let path = format!("/proc/{}/status", process.pid());
            let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
            kilobytes.map(|kilobytes| kilobytes * 1024.0 / 1e6).with_context(|| format!("no VmRSS in {path}"))
        })
        .collect()
}
