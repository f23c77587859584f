//! Speakers as programs on the lab's nodes, and the objects they read and write.

use anyhow::{Context, Result};
use futures::TryStreamExt;
use herald_api::virtual_ip::Announcer;
use herald_api::{AddressPool, L2Advertisement, Speaker, VirtualIP};
use herald_core::address::Vip;
use herald_tests::lab::{Lab, Output, Running, Seen, eventually};
use herald_tests::scenario::wire::who_has;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Client, Resource};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::OnceCell;

use super::ground::{install, kubeconfig, program};

/// Several times what anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// The pool whose addresses the LAN holds.
pub(crate) const POOL: &str = "lan";

const NAMESPACE: &str = "default";

/// The cluster of one scenario.
pub(crate) struct Cluster {
    pub(crate) lab: Lab,
    client: Client,
    speakers: BTreeMap<String, Running>,
}

impl Cluster {
    /// With Herald's kinds and rights, a pool of the LAN, and no speaker.
    pub(crate) async fn bare(lab: &Lab) -> Result<Self> {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        INSTALLED.get_or_try_init(async || install(lab).await).await?;
        let cluster = Self { lab: lab.clone(), client: lab.client().await?, speakers: BTreeMap::new() };
        cluster.clear_objects().await?;
        let spec = json!({ "addresses": ["192.0.2.100-192.0.2.199", "2001:db8:1::1:0/112"] });
        cluster.apply("AddressPool", POOL, spec).await?;
        Ok(cluster)
    }

    /// Ends all speakers, removes what they left, and all objects.
    pub(crate) async fn clear(&mut self) -> Result<()> {
        self.speakers.clear();
        for node in self.lab.nodes() {
            self.lab.exec(node.name(), &[program()?, "--cleanup"]).await?.text()?;
        }
        self.clear_objects().await
    }

    async fn clear_objects(&self) -> Result<()> {
        self.clear_kind::<VirtualIP>().await?;
        self.clear_kind::<L2Advertisement>().await?;
        self.clear_kind::<AddressPool>().await?;
        self.clear_kind::<Speaker>().await?;
        let services: Api<Service> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mine = ListParams::default().labels("scenario");
        for service in services.list(&mine).await? {
            services.delete(&service.metadata.name.unwrap_or_default(), &DeleteParams::default()).await?;
        }
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), NAMESPACE);
        slices.delete_collection(&DeleteParams::default(), &mine).await?;
        for node in self.lab.nodes() {
            self.label(node.name(), EXCLUSION, None).await?;
        }
        Ok(())
    }

    async fn clear_kind<K>(&self) -> Result<()>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        Api::<K>::all(self.client.clone()).delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        Ok(())
    }

    /// Starts a speaker on a node, with these flags.
    pub(crate) fn start(&mut self, node: &str, flags: &[&str]) -> Result<()> {
        self.start_as(node, node, flags)
    }

    /// Starts a speaker on a node under another node's name.
    pub(crate) fn start_as(&mut self, node: &str, name: &str, flags: &[&str]) -> Result<()> {
        let log = self.log_file(node)?;
        fs::write(&log, "").with_context(|| format!("writing {}", log.display()))?;
        // The node's own /var/log is where logs are looked for when a test fails.
        let script = "log=$1; shift; exec \"$@\" 2>\"$log\"";
        let kubeconfig = kubeconfig(&self.lab).display().to_string();
        let mut command = vec!["sh", "-c", script, "sh", "/var/log/herald-speaker.log", program()?];
        command.extend(["--kubeconfig", &kubeconfig, "--node-name", name]);
        // What an earlier scenario knew is no part of this one.
        if !flags.contains(&"--state-file") {
            command.extend(["--state-file", ""]);
        }
        command.extend(flags);
        self.speakers.insert(node.to_owned(), self.lab.start(node, &command)?);
        Ok(())
    }

    fn log_file(&self, node: &str) -> Result<PathBuf> {
        self.lab.node(node)?.room().log("herald-speaker")
    }

    /// What the node's speaker has logged.
    pub(crate) fn log(&self, node: &str) -> Result<String> {
        Ok(fs::read_to_string(self.log_file(node)?)?)
    }

    /// Waits until a speaker's log holds a text.
    pub(crate) async fn logged(&self, node: &str, text: &str) -> Result<()> {
        eventually(SOON, &format!("the speaker of {node} logs {text:?}"), async || {
            let log = self.log(node)?;
            Ok(Seen::when(log.contains(text), (), log))
        })
        .await
    }

    /// Sends a signal to a node's speaker.
    pub(crate) fn signal(&self, node: &str, signal: Signal) -> Result<()> {
        let speaker = self.speakers.get(node).with_context(|| format!("no speaker runs on {node}"))?;
        Ok(kill(Pid::from_raw(i32::try_from(speaker.pid())?), signal)?)
    }

    /// Waits for the end of a node's speaker.
    pub(crate) async fn ended(&mut self, node: &str, limit: Duration) -> Result<Output> {
        let speaker = self.speakers.remove(node).with_context(|| format!("no speaker runs on {node}"))?;
        speaker.finish(limit).await
    }

    /// Waits until a node's speaker says that it runs.
    pub(crate) async fn running(&self, node: &str) -> Result<Speaker> {
        self.speaker(node, "is ready and not draining", |speaker| {
            let status = speaker.status.clone().unwrap_or_default();
            !status.draining && says(&status.conditions, "Ready") == Some("True/Ready".to_owned())
        })
        .await
    }

    /// Waits until a node's `Speaker` is as it should.
    pub(crate) async fn speaker(&self, node: &str, what: &str, is: impl Fn(&Speaker) -> bool) -> Result<Speaker> {
        let speakers: Api<Speaker> = Api::all(self.client.clone());
        eventually(SOON, &format!("Speaker {node} {what}"), async || {
            let speaker = speakers.get(node).await?;
            Ok(Seen::when(is(&speaker), speaker.clone(), speaker.status))
        })
        .await
    }

    /// Waits for an event about a node's `Speaker`.
    pub(crate) async fn event(&self, reason: &str, node: &str) -> Result<()> {
        let events: Api<Event> = Api::all(self.client.clone());
        eventually(SOON, &format!("an event {reason} about Speaker {node}"), async || {
            let events = events.list(&ListParams::default()).await?.items;
            let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.name.clone());
            let told = events.iter().map(|event| (event.reason.clone(), about(event)));
            let told: Vec<_> = told.collect();
            let wanted = (Some(reason.to_owned()), Some(node.to_owned()));
            Ok(Seen::when(told.contains(&wanted), (), told))
        })
        .await
    }

    /// How often a node's `Speaker` is written in so many seconds.
    pub(crate) async fn writes(&self, node: &str, seconds: u32) -> Result<usize> {
        let speakers: Api<Speaker> = Api::all(self.client.clone());
        let version = speakers.get(node).await?.metadata.resource_version.unwrap_or_default();
        // The API server ends the watch when the time is over.
        let params = WatchParams::default().fields(&format!("metadata.name={node}")).timeout(seconds);
        let changes: Vec<_> = speakers.watch(&params, &version).await?.try_collect().await?;
        Ok(changes.iter().filter(|change| matches!(change, WatchEvent::Modified(_))).count())
    }

    /// Puts an address into the ledger, held by a Service of this name.
    pub(crate) async fn hold(&self, address: &str, service: &str) -> Result<IpAddr> {
        self.hold_from(POOL, address, service, "no-such-life").await
    }

    /// [`Cluster::hold`] from another pool, for this life of the Service.
    pub(crate) async fn hold_from(&self, pool: &str, address: &str, service: &str, uid: &str) -> Result<IpAddr> {
        let address: IpAddr = address.parse()?;
        let ports = json!([{ "protocol": "TCP", "port": 80 }]);
        let holder = json!({ "namespace": NAMESPACE, "name": service, "uid": uid, "ports": ports });
        let spec = json!({ "address": address, "pool": pool, "holders": [holder] });
        self.apply("VirtualIP", &Vip::new(address)?.object_name(), spec).await?;
        Ok(address)
    }

    /// Writes one of Herald's cluster-scoped objects.
    pub(crate) async fn apply(&self, kind: &str, name: &str, spec: Value) -> Result<()> {
        let object = json!({
            "apiVersion": "herald-lb.io/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        });
        self.lab.apply(&object).await
    }

    /// Writes a Service of traffic policy Local without selector, and returns its UID.
    pub(crate) async fn local_service(&self, name: &str) -> Result<String> {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "scenario": name } },
            "spec": { "type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{ "port": 80 }] },
        });
        self.lab.apply(&object).await?;
        let services: Api<Service> = Api::namespaced(self.client.clone(), NAMESPACE);
        services.get(name).await?.metadata.uid.context("a Service without UID")
    }

    /// Writes where the Service's only endpoint is; nowhere if it is not ready.
    pub(crate) async fn endpoint_on(&self, service: &str, node: &str, ready: bool) -> Result<()> {
        let labels = json!({ "kubernetes.io/service-name": service, "scenario": service });
        let endpoint = json!({
            "addresses": ["10.244.1.77"], "nodeName": node,
            "conditions": { "ready": ready, "serving": ready, "terminating": false },
        });
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "name": service, "namespace": NAMESPACE, "labels": labels },
            "endpoints": [endpoint], "ports": [{ "name": "", "port": 80, "protocol": "TCP" }],
        });
        self.lab.apply(&object).await
    }

    /// Sets or removes a node's label.
    pub(crate) async fn label(&self, node: &str, label: &str, value: Option<&str>) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patch = json!({ "metadata": { "labels": { label: value } } });
        nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Waits until an address is announced by a node that will do, and the ledger says so.
    pub(crate) async fn announced(
        &self,
        address: IpAddr,
        what: &str,
        by: impl Fn(&Announcer) -> bool,
    ) -> Result<Announcer> {
        self.ledger(address, &format!("is announced {what}"), |status| {
            let announced = says(&status.conditions, "Announced") == Some("True/Announced".to_owned());
            status.announcer.clone().filter(|announcer| announced && by(announcer))
        })
        .await
    }

    /// Waits until the ledger says why nobody announces an address, and returns the sentence.
    pub(crate) async fn unannounced(&self, address: IpAddr, reason: &str) -> Result<String> {
        self.ledger(address, &format!("is not announced for the reason {reason}"), |status| {
            let said = |condition: &&Condition| condition.type_ == "Announced" && condition.reason == reason;
            status.conditions.iter().find(said).filter(|said| said.status == "False").map(|said| said.message.clone())
        })
        .await
    }

    async fn ledger<T>(
        &self,
        address: IpAddr,
        what: &str,
        pick: impl Fn(&herald_api::virtual_ip::VirtualIPStatus) -> Option<T>,
    ) -> Result<T> {
        let ledger: Api<VirtualIP> = Api::all(self.client.clone());
        let name = Vip::new(address)?.object_name();
        eventually(SOON, &format!("{address} {what}"), async || {
            let status = ledger.get(&name).await?.status.unwrap_or_default();
            Ok(match pick(&status) {
                Some(found) => Seen::Yes(found),
                None => Seen::NotYet(format!("{status:?}")),
            })
        })
        .await
    }

    /// Waits until exactly these nodes' MAC addresses answer for an address on the LAN.
    pub(crate) async fn answers(&self, address: IpAddr, nodes: &[&str]) -> Result<()> {
        let macs: Vec<String> =
            nodes.iter().map(|node| Ok(self.lab.node(node)?.addresses().mac())).collect::<Result<_>>()?;
        eventually(SOON, &format!("{address} is answered by {nodes:?} ({macs:?})"), async || {
            let answers = who_has(&self.lab, address).await?;
            Ok(Seen::when(answers == macs, (), answers))
        })
        .await
    }
}

/// The label that keeps a node from announcing.
pub(crate) const EXCLUSION: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Whose address it is not to be.
pub(crate) fn not(node: &str) -> impl Fn(&Announcer) -> bool {
    let node = node.to_owned();
    move |announcer| announcer.node != node
}

/// Whose address it is to be.
pub(crate) fn is(node: &str) -> impl Fn(&Announcer) -> bool {
    let node = node.to_owned();
    move |announcer| announcer.node == node
}

/// A condition's status and reason.
pub(crate) fn says(conditions: &[Condition], type_: &str) -> Option<String> {
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some(format!("{}/{}", condition.status, condition.reason))
}
