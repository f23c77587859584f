//! CoreDNS: two replicas at the tenth service address, as in any cluster.

use serde_json::{Value, json};

use super::addresses::DNS;

/// The namespace and name of its Deployment.
pub(super) const NAMESPACE: &str = "kube-system";
pub(super) const NAME: &str = "coredns";

/// Names outside the cluster have no answer: the lab has no way out.
const COREFILE: &str = "\
.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    cache 30
    loadbalance
}
";

/// Everything `kubectl apply` needs to run CoreDNS from this image.
pub(super) fn manifests(image: &str) -> Value {
    let labels = json!({"k8s-app": "kube-dns"});
    let metadata = |name: &str| json!({"namespace": NAMESPACE, "name": name, "labels": labels});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME)},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(NAME), "data": {"Corefile": COREFILE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": NAME}],
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": metadata("kube-dns"),
            "spec": {"clusterIP": DNS, "selector": labels, "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ]},
        },
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(NAME),
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": pod(image, &labels),
            }},
        },
    ]})
}

fn pod(image: &str, labels: &Value) -> Value {
    json!({
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        // On two nodes, so that names are still resolved when one is lost.
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }],
        "containers": [{
            "name": NAME,
            "image": image,
            "imagePullPolicy": "Never",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        }],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    })
}
