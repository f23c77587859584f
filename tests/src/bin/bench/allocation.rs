//! How soon a new Service has an address.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{Stream, TryStreamExt as _};
use herald_api::VirtualIP;
use herald_api::keys::{condition, reason};
use herald_tests::lab::{HERALD_NAMESPACE, Lab, Seen, eventually};
use herald_tests::scenario::service::addresses;
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event};
use serde_json::json;

use super::now;
use super::report::Figure;

/// Addresses of a network that no node is in (RFC 5737).
const DOCUMENTATION: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

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

/// The same three writes by one client that does nothing else, each after the answer to the one before, until a watch
/// shows the last one: what they cost on this machine. The controller is away meanwhile, so that nobody answers them.
pub(crate) async fn by_hand(lab: &Lab, count: u32) -> Result<Figure> {
    let stage = Stage::bare(lab, "by-hand", Range::take(1)?).await?;
    let services: Api<Service> = stage.api();
    let ledger: Api<VirtualIP> = stage.cluster();
    controllers(lab, 0).await?;
    let mut seen = pin!(watcher::watcher(services.clone(), watcher::Config::default()));
    let mut took = Vec::new();
    for number in 0..count {
        let (name, address) = (format!("s{number}"), Ipv4Addr::from(DOCUMENTATION.to_bits() + number % 250));
        // Nobody holds it, so that speakers leave it alone.
        let spec = json!({"address": address, "pool": stage.name(), "holders": [], "preferredNode": "node-1"});
        let wanted = service(&name, json!({"ipFamilyPolicy": "SingleStack"}));
        let record = VirtualIP::new(&address.to_string(), serde_json::from_value(spec)?);
        let status = json!({"status": {
            "loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]},
            "conditions": [{
                "type": condition::ALLOCATED, "status": "True", "reason": reason::ALLOCATED,
                "message": format!("{address} from pool {}", stage.name()), "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }});
        let start = now();
        services.create(&PostParams::default(), &wanted).await?;
        ledger.create(&PostParams::default(), &record).await?;
        services.patch_status(&name, &PatchParams::default(), &Patch::Strategic(&status)).await?;
        took.push(addressed(&mut seen, &name, start).await?.as_secs_f64() * 1e3);
        services.delete(&name, &DeleteParams::default()).await?;
        ledger.delete(&address.to_string(), &DeleteParams::default()).await?;
    }
    controllers(lab, 1).await?;
    stage.strike().await?;
    Figure::of("the same three writes by a bare client, one after the other", "ms", "", took)
}

/// Lets so many controllers run.
async fn controllers(lab: &Lab, count: u32) -> Result<()> {
    let count = format!("--replicas={count}");
    lab.kubectl(&["--namespace", HERALD_NAMESPACE, "scale", "deployment/herald-controller", &count]).await?;
    lab.rolled_out(HERALD_NAMESPACE, &["deployment/herald-controller"]).await?;
    let pods = ["get", "pods", "--namespace", HERALD_NAMESPACE, "--output", "name"];
    eventually(PATIENCE, "no controller runs that should not", async || {
        let pods = lab.kubectl(&pods).await?;
        let running = pods.lines().filter(|pod| pod.contains("controller")).count();
        Ok(Seen::when(count == format!("--replicas={running}"), (), pods))
    })
    .await
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
