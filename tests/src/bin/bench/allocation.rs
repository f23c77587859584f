//! How soon a new Service has an address.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{Stream, TryStreamExt as _};
use herald_api::VirtualIP;
use herald_tests::lab::{Lab, Seen, eventually};
use herald_tests::scenario::service::addresses;
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::runtime::watcher::{self, Event};
use serde_json::json;

use super::now;
use super::report::Figure;

/// Far longer than anything that is worth a figure.
const PATIENCE: Duration = Duration::from_mins(1);

/// Creates Services one after the other in an idle cluster; each figure is the time from sending the create request to
/// seeing the address in a watch.
pub(crate) async fn one_by_one(lab: &Lab, count: u32) -> Result<Figure> {
    let stage = Stage::bare(lab, "one-by-one", Range::take(3)?).await?;
    stage.pool("one-by-one", json!({"addresses": stage.range().addresses()})).await?;
    let services: Api<Service> = stage.api();
    let ledger: Api<VirtualIP> = stage.cluster();
    let mut seen = pin!(watcher::watcher(services.clone(), watcher::Config::default()));
    let mut took = Vec::new();
    for number in 0..count {
        let name = format!("s{number}");
        let start = now();
        let wanted = service(&name, json!({"ipFamilyPolicy": "SingleStack"}));
        services.create(&PostParams::default(), &wanted).await?;
        took.push(addressed(&mut seen, &name, start).await?.as_secs_f64() * 1e3);
        services.delete(&name, &DeleteParams::default()).await?;
        released(&ledger, PATIENCE).await?;
    }
    stage.strike().await?;
    Figure::of("Service created → address in its status, cluster idle", "ms", "median ≤ 8, p99 ≤ 15", took)
}

type Events<'a> = &'a mut (dyn Stream<Item = Result<Event<Service>, watcher::Error>> + Unpin);

async fn addressed(seen: Events<'_>, name: &str, start: Instant) -> Result<Duration> {
    let find = async {
        while let Some(event) = seen.try_next().await? {
            let (Event::Apply(service) | Event::InitApply(service)) = event else { continue };
            if service.name_any() == name && !addresses(&service).is_empty() {
                return Ok(start.elapsed());
            }
        }
        bail!("the watch of Services ended")
    };
    tokio::time::timeout(PATIENCE, find).await.with_context(|| format!("Service {name} got no address"))?
}

/// Waits until the ledger is empty: then nobody works for a Service any longer.
pub(crate) async fn released(ledger: &Api<VirtualIP>, patience: Duration) -> Result<()> {
    eventually(patience, "all addresses are released", async || {
        let left = ledger.list(&ListParams::default()).await?.items.len();
        Ok(Seen::when(left == 0, (), left))
    })
    .await
}
