//! A web server on every node, which the tests share: it answers with its pod's name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use herald_tests::artifacts::AGNHOST;
use herald_tests::lab::{Lab, Seen, eventually};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::json;

pub(crate) const NAMESPACE: &str = "web";
/// The port of the pods.
pub(crate) const PORT: u16 = 8080;
/// The Service's node port, which the tests choose so that they can ask any node.
pub(crate) const NODE_PORT: u16 = 30080;

/// A server of this name and its addresses, IPv4 first.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) pod: String,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Starts the servers if no test has yet, and returns the one of each node.
pub(crate) async fn servers(lab: &Lab) -> Result<BTreeMap<String, Server>> {
    let labels = json!({"app": "web"});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": NAMESPACE, "name": "web"},
            "spec": {
                "type": "NodePort", "ipFamilyPolicy": "RequireDualStack", "selector": labels,
                "ports": [{"port": 80, "targetPort": PORT, "nodePort": NODE_PORT}],
            },
        },
        {
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"namespace": NAMESPACE, "name": "web"},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                    "name": "web", "image": AGNHOST, "imagePullPolicy": "Never", "args": ["netexec"],
                    // Without a share of its own it would starve on a busy machine.
                    "resources": {"requests": {"cpu": "100m"}},
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1},
                }]},
            }},
        },
    ]});
    lab.apply(&objects).await?;
    let pods: Api<Pod> = Api::namespaced(lab.client().await?, NAMESPACE);
    let count = lab.nodes().len();
    eventually(Duration::from_mins(1), "a web server is ready on every node", async || {
        let list = pods.list(&ListParams::default().labels("app=web")).await?;
        let ready = list.items.iter().filter(|pod| is_ready(pod)).map(server).collect::<Result<BTreeMap<_, _>>>()?;
        Ok(Seen::when(ready.len() == count, ready.clone(), ready))
    })
    .await
}

/// What a client somewhere gets from a server under some name or address, as curl says it.
pub(crate) async fn get(lab: &Lab, host: &str, server: &str, port: u16) -> Result<String> {
    let url = url(server, port);
    lab.exec(host, &["curl", "--silent", "--show-error", "--fail", "--max-time", "3", &url]).await?.text()
}

/// [`get`] from inside a pod.
pub(crate) async fn get_from_pod(lab: &Lab, pod: &str, server: &str, port: u16) -> Result<String> {
    let url = url(server, port);
    lab.kubectl(&["exec", "-n", NAMESPACE, pod, "--", "curl", "--silent", "--fail", "--max-time", "3", &url]).await
}

fn url(server: &str, port: u16) -> String {
    if server.contains(':') {
        format!("http://[{server}]:{port}/hostname")
    } else {
        format!("http://{server}:{port}/hostname")
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn server(pod: &Pod) -> Result<(String, Server)> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("a ready pod without a node")?;
    let ips = pod.status.as_ref().and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    let addresses = ips.iter().map(|ip| Ok(ip.ip.parse()?)).collect::<Result<Vec<IpAddr>>>()?;
    Ok((node, Server { pod: pod.metadata.name.clone().context("a pod without a name")?, addresses }))
}
