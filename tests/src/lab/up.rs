//! Building a lab: everything that can run side by side does, and every wait is for a condition.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1 as core;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::addresses::{API_PORT, HostLink};
use super::options::Options;
use super::parts::Parts;
use super::pki::Authority;
use super::process::ProcessId;
use super::room::Room;
use super::topology::{self, CONTROL_PLANE, hosts};
use super::wait::{Seen, eventually, now};
use crate::artifacts::Progress;

use super::{HERALD_NAMESPACE, Lab, connect, control_plane, dns, limits, node::Node, state};

impl Lab {
    /// Builds a lab and waits until it can be used: nodes ready, names resolved, Herald rolled out.
    ///
    /// With `owner` the lab belongs to that process: whoever builds a lab next removes it when the process has died.
    pub async fn up(options: Options, owner: Option<ProcessId>, progress: Progress) -> Result<Self> {
        options.check()?;
        let parts = Parts::ensure(&options, progress).await?;
        limits::raise(progress)?;
        let lab = Self::of(state::claim(&options, owner)?);
        let built = lab.build(&parts, progress).await;
        if let Err(error) = built {
            let logs = lab.home();
            return Err(error.context(format!(
                "lab {} did not start; its logs are below {}",
                options.name,
                logs.display()
            )));
        }
        let mut record = lab.record;
        record.builder = None;
        record.save()?;
        Ok(Self::of(record))
    }

    async fn build(&self, parts: &Parts, progress: Progress) -> Result<()> {
        let start = now();
        let say = |line: &str| progress.say(&format!("{:5.1} s  {line}", start.elapsed().as_secs_f64()));
        let options = self.options();
        parts.lay_out(&self.bin())?;
        let control_plane = self.host(CONTROL_PLANE)?;
        let rooms = hosts(options.nodes).iter().map(|host| self.host(host)).collect::<Result<Vec<Room>>>()?;
        topology::build(options, self.record.index, &rooms)?;
        say("network: switch, router, clients, nodes");

        let authority = Authority::new(self.name())?;
        fs::create_dir_all(control_plane.home()?)?;
        control_plane::prepare(&control_plane, &authority, self.name(), self.record.index)?;
        self.write_kubeconfig(&authority)?;
        for node in self.nodes() {
            fs::create_dir_all(node.room().home()?)?;
            node.prepare(&authority, options)?;
        }
        let client = connect(&self.kubeconfig()).await?;
        let api = async {
            control_plane.boot().await?;
            control_plane::start_store(&control_plane)?;
            control_plane::ready(&control_plane, &client).await?;
            control_plane::start_controllers(&control_plane)?;
            say("API server ready");
            tokio::try_join!(allow_kubelet_calls(&client), self.apply_dns(parts), self.apply_herald()).map(drop)
        };
        let runtimes = async {
            try_join_all(self.nodes().iter().map(Node::start_runtime)).await?;
            self.load(&parts.images(options)).await?;
            say("images on every node");
            anyhow::Ok(())
        };
        tokio::try_join!(api, runtimes)?;
        for node in self.nodes() {
            node.start_kubelet(options)?;
            node.start_proxy()?;
        }
        try_join_all(self.nodes().iter().map(|node| assign_pod_ranges(&client, node))).await?;
        nodes_ready(&client, self.nodes().len()).await?;
        say("nodes ready");
        let test_server = [parts.test_server()];
        tokio::try_join!(self.load(&test_server), self.components_rolled_out())?;
        say("all components run");
        Ok(())
    }

    async fn components_rolled_out(&self) -> Result<()> {
        if self.options().herald {
            self.rolled_out(HERALD_NAMESPACE, &["deployment/herald-controller", "daemonset/herald-speaker"]).await?;
        }
        if self.options().dns {
            self.rolled_out(dns::NAMESPACE, &[&format!("deployment/{}", dns::NAME)]).await?;
        }
        Ok(())
    }

    async fn apply_dns(&self, parts: &Parts) -> Result<()> {
        if self.options().dns {
            self.apply(&dns::manifests(parts.name_server())).await?;
        }
        Ok(())
    }

    async fn apply_herald(&self) -> Result<()> {
        if self.options().herald {
            self.kubectl(&["apply", "-k", concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")]).await?;
        }
        Ok(())
    }

    /// Applies an object, or a `List` of them, with the administrator's rights.
    pub async fn apply(&self, manifest: &serde_json::Value) -> Result<()> {
        self.kubectl_reading(&["apply", "--server-side", "-f", "-"], &manifest.to_string()).await.map(drop)
    }

    /// Waits until workloads are rolled out, at most a minute each.
    pub async fn rolled_out(&self, namespace: &str, workloads: &[&str]) -> Result<()> {
        for workload in workloads {
            let status = ["--namespace", namespace, "rollout", "status", workload, "--timeout=60s"];
            if let Err(error) = self.kubectl(&status).await {
                let pods = self.kubectl(&["--namespace", namespace, "describe", "pods"]).await.unwrap_or_default();
                return Err(error.context(format!("{workload} in {namespace} is not rolled out; its pods:\n{pods}")));
            }
        }
        Ok(())
    }

    fn write_kubeconfig(&self, authority: &Authority) -> Result<()> {
        let server = format!("https://{}:{API_PORT}", HostLink::of(self.record.index).control_plane());
        let admin = authority.client("lab-admin", Some("system:masters"))?;
        let path = self.kubeconfig();
        fs::write(&path, authority.kubeconfig(self.name(), &server, &admin)?)
            .with_context(|| format!("writing {}", path.display()))
    }
}

/// Lets the API server call kubelets (logs, exec): its own rights there are checked like anybody's.
async fn allow_kubelet_calls(client: &Client) -> Result<()> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "lab:kubelet-api-admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:kubelet-api-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": control_plane::KUBELET_CLIENT}],
    });
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(client.clone());
    bindings.patch("lab:kubelet-api-admin", &PatchParams::apply("lab"), &Patch::Apply(binding)).await?;
    Ok(())
}

/// Writes a node's pod ranges into its Node, which also creates it if its kubelet has not yet.
async fn assign_pod_ranges(client: &Client, node: &Node) -> Result<()> {
    let addresses = node.addresses();
    let nodes: Api<core::Node> = Api::all(client.clone());
    let patch = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name()},
        "spec": {"podCIDR": addresses.pods_v4(), "podCIDRs": [addresses.pods_v4(), addresses.pods_v6()]},
    });
    nodes
        .patch(node.name(), &PatchParams::apply("lab"), &Patch::Apply(patch))
        .await
        .with_context(|| format!("giving {} its pod ranges", node.name()))?;
    Ok(())
}

async fn nodes_ready(client: &Client, count: usize) -> Result<()> {
    let nodes: Api<core::Node> = Api::all(client.clone());
    eventually(Duration::from_mins(1), &format!("{count} nodes are Ready"), async || {
        let list = nodes.list(&ListParams::default()).await?;
        let states: Vec<(String, String)> = list.items.iter().map(readiness).collect();
        let ready = states.iter().filter(|(_, state)| state == "Ready").count();
        Ok(Seen::when(ready == count, (), states))
    })
    .await
}

/// A node's name, and `Ready` or why it isn't.
fn readiness(node: &core::Node) -> (String, String) {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let state = match conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(condition) if condition.status == "True" => "Ready".to_owned(),
        Some(condition) => condition.message.clone().unwrap_or_else(|| condition.status.clone()),
        None => "its kubelet has said nothing yet".to_owned(),
    };
    (node.metadata.name.clone().unwrap_or_default(), state)
}
