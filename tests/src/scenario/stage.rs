//! The stage a scenario plays on: a namespace and an address pool of its own, so that scenarios don't meet.

use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use herald_api::virtual_ip::Announcer;
use herald_api::{AddressPool, L2Advertisement, VirtualIP};
use herald_core::address::Vip;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::caller::{Caller, PodCaller, SOON};
use super::ranges::{Range, USUAL_SIZE};
use super::server::Server;
use super::service::{addresses, condition, families, summary};
use crate::artifacts::{Artifacts, Progress};
use crate::lab::topology::CLIENT;
use crate::lab::{Lab, Seen, eventually};

/// Pods start in one or two seconds on an idle machine.
const PODS_START: Duration = Duration::from_mins(1);

/// A namespace and a pool of one scenario.
#[derive(Clone)]
pub struct Stage {
    lab: Lab,
    client: Client,
    name: String,
    range: Range,
}

impl Stage {
    /// Makes a namespace called after the scenario, and a pool for it with three addresses of each family.
    pub async fn set(lab: &Lab, scenario: &str) -> Result<Self> {
        let stage = Self::bare(lab, scenario, Range::take(USUAL_SIZE)?).await?;
        stage.pool(&stage.name, json!({"addresses": stage.range.addresses()})).await?;
        Ok(stage)
    }

    /// [`Stage::set`] for the test that runs: the test harness calls the thread after it.
    pub async fn for_test(lab: &Lab) -> Result<Self> {
        let thread = std::thread::current();
        Self::set(lab, thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or("test")).await
    }

    /// Makes the namespace alone; `range` is what its pools may have, once the scenario makes some.
    pub async fn bare(lab: &Lab, scenario: &str, range: Range) -> Result<Self> {
        prepare(lab).await?;
        let client = lab.client().await?;
        let words: String = scenario.replace('_', "-").chars().take(40).collect();
        let wanted: Namespace = serde_json::from_value(json!({"metadata": {"generateName": format!("{words}-")}}))?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let made = namespaces.create(&PostParams::default(), &wanted).await;
        let name = made.with_context(|| format!("creating a namespace for {scenario}"))?.name_any();
        let label = json!({"metadata": {"labels": {STAGE_LABEL: name}}});
        namespaces.patch(&name, &PatchParams::default(), &Patch::Merge(label)).await?;
        Ok(Self { lab: lab.clone(), client, name, range })
    }

    /// Plays a scenario and strikes the stage; one that failed is left as it is, to be looked at.
    pub async fn play(self, scenario: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        scenario(&self).await?;
        self.strike().await
    }

    /// Removes its pools, its advertisement and its namespace with all in it; waits for none of them.
    pub async fn strike(self) -> Result<()> {
        sweep(&self.client, &format!("{STAGE_LABEL}={}", self.name)).await
    }

    /// Removes what failed scenarios have left standing.
    pub async fn strike_all(lab: &Lab) -> Result<()> {
        sweep(&lab.client().await?, STAGE_LABEL).await
    }

    /// The lab it stands in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A client with the administrator's rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace, which is also the name of the pool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses that are this scenario's.
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// Objects of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Objects of a kind in the cluster, in all namespaces.
    pub fn cluster<K: Resource>(&self) -> Api<K>
    where
        K::DynamicType: Default,
    {
        Api::all(self.client.clone())
    }

    /// Creates any object of the namespace.
    pub async fn create<K>(&self, object: &K) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + serde::Serialize,
        K::DynamicType: Default,
    {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        let name = object.name_any();
        self.api::<K>().create(&PostParams::default(), object).await.with_context(|| format!("creating {kind} {name}"))
    }

    /// Makes a pool that admits this namespace alone, with these fields of its spec; it goes with the stage.
    pub async fn pool(&self, name: &str, mut spec: Value) -> Result<AddressPool> {
        spec["namespaces"] = json!([self.name]);
        let pool: AddressPool = serde_json::from_value(json!({
            "apiVersion": "herald-lb.io/v1alpha1",
            "kind": "AddressPool",
            "metadata": {"name": name, "labels": {STAGE_LABEL: self.name}},
            "spec": spec,
        }))?;
        let pools: Api<AddressPool> = self.cluster();
        pools.create(&PostParams::default(), &pool).await.with_context(|| format!("creating AddressPool {name}"))
    }

    /// Makes an advertisement called after the stage; it goes with it.
    pub async fn advertisement(&self, spec: Value) -> Result<L2Advertisement> {
        let advertisement: L2Advertisement = serde_json::from_value(json!({
            "apiVersion": "herald-lb.io/v1alpha1",
            "kind": "L2Advertisement",
            "metadata": {"name": self.name, "labels": {STAGE_LABEL: self.name}},
            "spec": spec,
        }))?;
        let advertisements: Api<L2Advertisement> = self.cluster();
        let name = &self.name;
        advertisements
            .create(&PostParams::default(), &advertisement)
            .await
            .with_context(|| format!("creating L2Advertisement {name}"))
    }

    /// Starts a server and waits until all its pods are ready.
    pub async fn deploy(&self, server: &Server) -> Result<Vec<Pod>> {
        self.create(&server.deployment()?).await?;
        self.pods_ready(server.name(), server.size()).await
    }

    /// Changes a server's number of pods and waits until exactly so many are there and ready.
    pub async fn scale(&self, server: &str, replicas: u32) -> Result<Vec<Pod>> {
        let deployments: Api<Deployment> = self.api();
        let patch = json!({"spec": {"replicas": replicas}});
        deployments.patch(server, &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.pods_ready(server, replicas).await
    }

    /// Waits until exactly so many pods of a server are there, all ready.
    pub async fn pods_ready(&self, server: &str, count: u32) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = self.api();
        let of_server = ListParams::default().labels(&format!("app={server}"));
        eventually(PODS_START, &format!("{count} pods of {}/{server} are ready", self.name), async || {
            let list = pods.list(&of_server).await?.items;
            let states: Vec<String> = list.iter().map(pod_state).collect();
            let ready = states.iter().filter(|state| state.ends_with(": ready")).count();
            Ok(Seen::when(u32::try_from(ready)? == count && ready == list.len(), list, states))
        })
        .await
    }

    /// Creates a Service and waits until its status has an address of each family it asks for.
    pub async fn offer(&self, service: Service) -> Result<Vec<IpAddr>> {
        let created = self.create(&service).await?;
        self.addresses(&created.name_any(), families(&created)).await
    }

    /// Waits until a Service's status has this many addresses.
    pub async fn addresses(&self, service: &str, count: usize) -> Result<Vec<IpAddr>> {
        let what = format!("Service {}/{service} has {count} address(es)", self.name);
        self.service(service, &what, |service| {
            let addresses = addresses(service);
            (addresses.len() == count).then_some(addresses)
        })
        .await
    }

    /// Waits until a Service's condition has this reason, and returns its message.
    pub async fn reason(&self, service: &str, kind: &str, reason: &str) -> Result<String> {
        let what = format!("Service {}/{service} has {kind} with reason {reason}", self.name);
        self.service(service, &what, |service| {
            condition(service, kind).filter(|found| found.reason == reason).map(|found| found.message.clone())
        })
        .await
    }

    /// Waits until `pick` finds in a Service what it looks for.
    pub async fn service<T>(&self, name: &str, what: &str, pick: impl Fn(&Service) -> Option<T>) -> Result<T> {
        let services: Api<Service> = self.api();
        eventually(SOON, what, async || {
            let service = services.get(name).await?;
            Ok(match pick(&service) {
                Some(found) => Seen::Yes(found),
                None => Seen::NotYet(summary(&service)),
            })
        })
        .await
    }

    /// Waits until an address is announced and returns by whom.
    pub async fn announcer(&self, address: IpAddr) -> Result<Announcer> {
        let ledger: Api<VirtualIP> = self.cluster();
        let name = Vip::new(address)?.object_name();
        eventually(SOON, &format!("VirtualIP {name} has an announcer"), async || {
            let entry = ledger.get(&name).await?;
            Ok(match entry.status.clone().and_then(|status| status.announcer) {
                Some(announcer) => Seen::Yes(announcer),
                None => Seen::NotYet(format!("{:?}", entry.status)),
            })
        })
        .await
    }

    /// A host of the lab as a client.
    pub fn caller(&self, host: &str) -> Result<Caller> {
        Caller::on(&self.lab, host)
    }

    /// A pod as a client.
    pub fn pod_caller(&self, pod: &Pod) -> Result<PodCaller> {
        let address =
            pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()).context("the pod has no address")?;
        Ok(PodCaller::new(self.caller(CLIENT)?, address.parse()?))
    }
}

/// On the namespace and every cluster-scoped object of a stage: its name.
const STAGE_LABEL: &str = "herald-lb.io/stage";

/// Puts the servers' image on every node and removes what an earlier process left of its stages, once in the life of
/// this process.
async fn prepare(lab: &Lab) -> Result<()> {
    static PREPARED: OnceCell<()> = OnceCell::const_new();
    let prepared = PREPARED.get_or_try_init(async || {
        let artifacts = tokio::task::spawn_blocking(|| Artifacts::ensure(Progress::stderr())).await??;
        lab.load(&[artifacts.agnhost.archive]).await?;
        sweep(&lab.client().await?, STAGE_LABEL).await
    });
    prepared.await.copied().context("preparing the lab for scenarios")
}

/// Deletes all objects of stages that the selector selects.
async fn sweep(client: &Client, selector: &str) -> Result<()> {
    let selected = ListParams::default().labels(selector);
    let advertisements: Api<L2Advertisement> = Api::all(client.clone());
    advertisements.delete_collection(&DeleteParams::default(), &selected).await?;
    let pools: Api<AddressPool> = Api::all(client.clone());
    pools.delete_collection(&DeleteParams::default(), &selected).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&selected).await? {
        match namespaces.delete(&namespace.name_any(), &DeleteParams::default()).await {
            // One that was on its way out has gone meanwhile.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// The node a pod runs on.
pub fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn pod_state(pod: &Pod) -> String {
    let name = pod.name_any();
    if pod.metadata.deletion_timestamp.is_some() {
        return format!("{name}: terminating");
    }
    let Some(status) = &pod.status else { return format!("{name}: no status") };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
        return format!("{name}: ready");
    }
    let waiting =
        status.container_statuses.iter().flatten().filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    let reasons: Vec<String> = waiting
        .map(|waiting| {
            format!("{} {}", waiting.reason.as_deref().unwrap_or(""), waiting.message.as_deref().unwrap_or(""))
        })
        .collect();
    format!("{name}: {} {reasons:?}", status.phase.as_deref().unwrap_or("no phase"))
}
