//! What a test of the controller stands on: a namespace, the definitions, and looks at Services and the ledger.

use anyhow::{Context, Result, ensure};
use herald_api::{AddressPool, L2Advertisement, VirtualIP};
use herald_tests::lab::{Lab, Seen, eventually};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long anything may take that takes milliseconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A namespace, and nothing of Herald's in the cluster.
pub(crate) struct Ground {
    pub(crate) lab: Lab,
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Ground {
    pub(crate) async fn new(lab: &Lab) -> Result<Self> {
        let client = lab.client().await?;
        define(&client).await?;
        // A test that failed leaves all as it was, to be looked at.
        sweep(&client).await?;
        let wanted: Namespace = serde_json::from_value(json!({ "metadata": { "generateName": "controller-" } }))?;
        let made = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &wanted).await?;
        Ok(Self { lab: lab.clone(), client, namespace: made.name_any() })
    }

    /// Removes what the test made.
    pub(crate) async fn clear(self) -> Result<()> {
        sweep(&self.client).await?;
        Api::<Namespace>::all(self.client.clone()).delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    pub(crate) fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn vips(&self) -> Api<VirtualIP> {
        Api::all(self.client.clone())
    }

    pub(crate) fn pools(&self) -> Api<AddressPool> {
        Api::all(self.client.clone())
    }

    pub(crate) fn advertisements(&self) -> Api<L2Advertisement> {
        Api::all(self.client.clone())
    }

    pub(crate) async fn pool(&self, name: &str, spec: Value) -> Result<()> {
        let pool: AddressPool = serde_json::from_value(json!({
            "apiVersion": "herald-lb.io/v1alpha1", "kind": "AddressPool", "metadata": { "name": name }, "spec": spec,
        }))?;
        self.pools().create(&PostParams::default(), &pool).await.with_context(|| format!("creating pool {name}"))?;
        Ok(())
    }

    /// Creates a Service of type LoadBalancer without node ports; `spec` is merged into its own.
    pub(crate) async fn service(&self, name: &str, annotations: Value, spec: Value) -> Result<Service> {
        let mut object = json!({
            "metadata": { "name": name, "annotations": annotations },
            "spec": {
                "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
                "selector": { "app": name }, "ports": [{ "port": 80 }],
            },
        });
        if let (Some(into), Some(from)) = (object["spec"].as_object_mut(), spec.as_object()) {
            into.extend(from.clone());
        }
        let service: Service = serde_json::from_value(object)?;
        let created = self.services().create(&PostParams::default(), &service).await;
        created.with_context(|| format!("creating Service {name}"))
    }

    pub(crate) async fn patch(&self, name: &str, patch: Value) -> Result<Service> {
        let patched = self.services().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.with_context(|| format!("patching Service {name}"))
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        self.services().delete(name, &DeleteParams::default()).await.with_context(|| format!("deleting {name}"))?;
        Ok(())
    }

    /// Waits until the Service shows this many addresses, and returns them.
    pub(crate) async fn addresses(&self, name: &str, count: usize) -> Result<Vec<String>> {
        eventually(SOON, &format!("Service {name} shows {count} addresses"), async || {
            let service = self.services().get(name).await?;
            let shown = shown(&service);
            Ok(Seen::when(shown.len() == count, shown, service.status))
        })
        .await
    }

    /// Waits until a condition of the Service has this reason, and returns its message.
    pub(crate) async fn says(&self, name: &str, condition: &str, reason: &str) -> Result<String> {
        eventually(SOON, &format!("condition {condition} of Service {name} has the reason {reason}"), async || {
            let conditions = self.services().get(name).await?.status.and_then(|status| status.conditions);
            Ok(find(&conditions.unwrap_or_default(), condition, reason))
        })
        .await
    }

    /// Waits until the ledger gives exactly these addresses to these Services of the namespace.
    pub(crate) async fn ledger(&self, expected: &BTreeMap<String, String>) -> Result<()> {
        eventually(SOON, &format!("the ledger is {expected:?}"), async || {
            let ledger = self.held().await?;
            Ok(Seen::when(ledger == *expected, (), ledger))
        })
        .await
    }

    /// Every address in use with its holder's name.
    pub(crate) async fn held(&self) -> Result<BTreeMap<String, String>> {
        let vips = self.vips().list(&ListParams::default()).await?;
        let held = vips.into_iter().map(|vip| {
            let holder = vip.spec.holders.first().map(|holder| holder.name.clone());
            (vip.spec.address, holder.unwrap_or_default())
        });
        Ok(held.collect())
    }

    /// Waits until every Service shows one address and the ledger gives it exactly that, and nothing else.
    pub(crate) async fn agrees(&self) -> Result<()> {
        eventually(SOON, "every Service shows the one address that the ledger gives it", async || {
            let services = self.services().list(&ListParams::default()).await?;
            let uid = |service: &Service| service.uid().unwrap_or_default();
            let shown: BTreeSet<_> = services.iter().map(|service| (uid(service), shown(service).join(","))).collect();
            let vips = self.vips().list(&ListParams::default()).await?;
            let holder = |vip: &VirtualIP| vip.spec.holders.first().map(|it| it.uid.clone()).unwrap_or_default();
            let held: BTreeSet<_> = vips.iter().map(|vip| (holder(vip), vip.spec.address.clone())).collect();
            let differing: Vec<_> = shown.symmetric_difference(&held).collect();
            Ok(Seen::when(differing.is_empty(), (), differing))
        })
        .await
    }

    /// Waits until a condition of an object of the cluster has this reason, and returns its message.
    pub(crate) async fn condition_of(
        &self,
        what: &str,
        reason: &str,
        condition: &str,
        read: impl AsyncFn() -> Result<Vec<Condition>>,
    ) -> Result<String> {
        let what = format!("condition {condition} of {what} has the reason {reason}");
        eventually(SOON, &what, async || Ok(find(&read().await?, condition, reason))).await
    }
}

fn find(conditions: &[Condition], type_: &str, reason: &str) -> Seen<String> {
    match conditions.iter().find(|is| is.type_ == type_ && is.reason == reason) {
        Some(found) => Seen::Yes(found.message.clone()),
        None => Seen::NotYet(format!("{conditions:?}")),
    }
}

pub(crate) fn shown(service: &Service) -> Vec<String> {
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.clone()).collect()
}

/// Removes every Service of type LoadBalancer and every object of Herald's.
async fn sweep(client: &Client) -> Result<()> {
    let (all, now) = (ListParams::default(), DeleteParams::default());
    let balanced = ListParams::default().fields("spec.type=LoadBalancer");
    for service in Api::<Service>::all(client.clone()).list(&balanced).await? {
        let services = Api::<Service>::namespaced(client.clone(), &service.namespace().unwrap_or_default());
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        services.patch(&service.name_any(), &PatchParams::default(), &free).await?;
        services.delete(&service.name_any(), &now).await?;
    }
    Api::<VirtualIP>::all(client.clone()).delete_collection(&now, &all).await?;
    Api::<AddressPool>::all(client.clone()).delete_collection(&now, &all).await?;
    Api::<L2Advertisement>::all(client.clone()).delete_collection(&now, &all).await?;
    Ok(())
}

/// Installs the definitions and waits until they are served.
pub(crate) async fn define(client: &Client) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in herald_api::crds::all() {
        let name = definition.name_any();
        let applied = PatchParams::apply("herald-tests").force();
        definitions.patch(&name, &applied, &Patch::Apply(&definition)).await.with_context(|| name.clone())?;
        eventually(SOON, &format!("{name} is served"), async || {
            let conditions = definitions.get(&name).await?.status.and_then(|status| status.conditions);
            let served = conditions.iter().flatten().any(|it| it.type_ == "Established" && it.status == "True");
            Ok(Seen::when(served, (), conditions))
        })
        .await?;
    }
    Ok(())
}

/// Checks that a message names what a user should change.
pub(crate) fn names(message: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(message.contains(part), "the message should name {part:?}: {message}");
    }
    Ok(())
}
