//! Servers: Deployments of Kubernetes' own test server, which tells its name and its client's address by HTTP and UDP.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use crate::artifacts;

/// Where it serves HTTP: `/hostname`, `/clientip`, `/echo?msg=`, `/shell?cmd=`, ...
pub const HTTP_PORT: u16 = 8080;
/// Where it serves UDP: `hostname`, `clientip`, `echo TEXT`.
pub const UDP_PORT: u16 = 8081;
/// While this file exists in a pod, the pod is not ready.
pub const UNREADY_FILE: &str = "/tmp/unready";

/// A Deployment of the test server. Its pods have the label `app` with its name.
#[derive(Clone, Debug)]
pub struct Server {
    name: String,
    replicas: u32,
    node: Option<String>,
    spread: bool,
    probed: bool,
}

impl Server {
    /// One replica, wherever the scheduler wants it.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), replicas: 1, node: None, spread: false, probed: false }
    }

    /// With this many replicas.
    #[must_use]
    pub fn replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// All on this node.
    #[must_use]
    pub fn on(self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self }
    }

    /// No two on one node.
    #[must_use]
    pub fn spread(self) -> Self {
        Self { spread: true, ..self }
    }

    /// With a readiness probe, which fails while [`UNREADY_FILE`] exists. Without one a pod is ready once it runs.
    #[must_use]
    pub fn probed(self) -> Self {
        Self { probed: true, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many replicas it has.
    pub fn size(&self) -> u32 {
        self.replicas
    }

    /// The object.
    ///
    /// # Errors
    /// Never; its form is fixed.
    pub fn deployment(&self) -> serde_json::Result<Deployment> {
        let mut spec = json!({
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "server",
                "image": artifacts::AGNHOST,
                "imagePullPolicy": "IfNotPresent",
                "args": ["netexec", format!("--http-port={HTTP_PORT}"), format!("--udp-port={UDP_PORT}")],
                "ports": [
                    {"name": "http", "containerPort": HTTP_PORT},
                    {"name": "udp", "containerPort": UDP_PORT, "protocol": "UDP"},
                ],
            }],
        });
        if let Some(node) = &self.node {
            set(&mut spec, "/nodeSelector", json!({"kubernetes.io/hostname": node}));
        }
        if self.spread {
            let rule =
                json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": self.name}}});
            let apart = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}});
            set(&mut spec, "/affinity", apart);
        }
        if self.probed {
            let probe = json!({
                "exec": {"command": ["test", "!", "-e", UNREADY_FILE]},
                "periodSeconds": 1,
                "failureThreshold": 1,
                "timeoutSeconds": 5,
            });
            set(&mut spec, "/containers/0/readinessProbe", probe);
        }
        let labels = json!({"app": self.name});
        serde_json::from_value(json!({
            "metadata": {"name": self.name},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }))
    }
}

/// Sets one member of an object deep within a value.
fn set(value: &mut Value, pointer: &str, member: Value) {
    if let Some((parent, key)) = pointer.rsplit_once('/')
        && let Some(Value::Object(object)) = value.pointer_mut(parent)
    {
        object.insert(key.to_owned(), member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_made_as_it_was_asked_for() {
        let deployment = Server::named("web").replicas(3).on("node-2").probed().deployment().unwrap();
        let spec = deployment.spec.unwrap();
        assert_eq!(spec.replicas, Some(3));
        let pod = spec.template.spec.unwrap();
        assert_eq!(pod.node_selector.unwrap().get("kubernetes.io/hostname").map(String::as_str), Some("node-2"));
        assert!(pod.containers[0].readiness_probe.is_some());
    }
}
