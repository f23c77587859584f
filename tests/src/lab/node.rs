//! One node: containerd, kubelet and kube-proxy, with the configuration a node without Docker, systemd or cgroup v2 needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::addresses::{API_PORT, API_V4, DNS, NodeAddresses, PODS};
use super::machine;
use super::options::Options;
use super::pki::{Authority, Vault};
use super::process::ProcessId;
use super::room::Room;
use super::topology::node_name;
use super::wait::until;

/// The image of every pod's sandbox.
pub const PAUSE_IMAGE: &str = "registry.k8s.io/pause:3.10.1";

/// How containerd keeps images: by plain copies, which work on every file system.
pub(super) const SNAPSHOTTER: &str = "native";

/// Where containerd listens, as the node sees it.
pub(super) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// A node of a lab: its name, addresses and room.
#[derive(Clone, Debug)]
pub struct Node {
    number: u8,
    name: String,
    room: Room,
}

impl Node {
    pub(super) fn new(number: u8, room: Room) -> Self {
        Self { number, name: node_name(number), room }
    }

    /// Its name in Kubernetes and in the lab.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its addresses on the LAN.
    pub fn addresses(&self) -> NodeAddresses {
        NodeAddresses::of(self.number)
    }

    /// Its namespaces.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Whether it has power: its processes run.
    pub fn has_power(&self) -> bool {
        self.room.init().is_some()
    }

    /// Writes what the node's processes read.
    pub(super) fn prepare(&self, authority: &Authority, options: &Options) -> Result<()> {
        let home = self.room.home()?;
        let vault = Vault::create(&home.join("pki"))?;
        let server = format!("https://{API_V4}:{API_PORT}");
        let name = &self.name;
        vault.put("ca.crt", authority.certificate())?;
        let addresses = self.addresses().both().map(|address| address.to_string());
        let reached_as = [name.clone()].into_iter().chain(addresses).collect();
        vault.put_identity("kubelet", &authority.server(&format!("system:node:{name}"), reached_as)?)?;
        let kubelet = authority.client(&format!("system:node:{name}"), Some("system:nodes"))?;
        vault.put("kubelet.kubeconfig", authority.kubeconfig(&options.name, &server, &kubelet)?)?;
        let proxy = authority.client("system:kube-proxy", None)?;
        vault.put("kube-proxy.kubeconfig", authority.kubeconfig(&options.name, &server, &proxy)?)?;

        let etc = home.join("etc");
        fs::create_dir_all(etc.join("cni"))?;
        write(&etc.join("containerd.toml"), containerd_configuration())?;
        write_json(&etc.join("cni/10-lab.conflist"), &cni_configuration(self.addresses()))?;
        write_json(&etc.join("kubelet.yaml"), &kubelet_configuration())?;
        write_json(&etc.join("kube-proxy.yaml"), &proxy_configuration(options, name))?;
        write(&etc.join("resolv.conf"), "# The lab has no names but the cluster's own.\n")
    }

    /// Boots the machine and starts containerd, and waits for it to listen.
    pub(super) async fn start_runtime(&self) -> Result<()> {
        self.room.boot().await?;
        let config = format!("--config={}/etc/containerd.toml", machine::HOME);
        let containerd = self.room.start("containerd", "containerd", &[config])?;
        let log = self.room.log("containerd")?;
        let what = format!("containerd of {} listens (see {})", self.name, log.display());
        until(Duration::from_secs(30), &what, async || {
            anyhow::ensure!(containerd.lives(), "it has ended");
            Ok(self.room.within(|| fs::exists(CONTAINERD_SOCKET))??.then_some(()))
        })
        .await
    }

    /// Starts the kubelet.
    pub(super) fn start_kubelet(&self, options: &Options) -> Result<ProcessId> {
        let inside = machine::HOME;
        let [v4, v6] = self.addresses().both();
        let addresses = if options.ipv4_nodes { v4.to_string() } else { format!("{v4},{v6}") };
        let arguments = [
            format!("--config={inside}/etc/kubelet.yaml"),
            format!("--kubeconfig={inside}/pki/kubelet.kubeconfig"),
            format!("--hostname-override={}", self.name),
            format!("--node-ip={addresses}"),
        ];
        self.room.start("kubelet", "kubelet", &arguments)
    }

    /// Starts kube-proxy.
    pub(super) fn start_proxy(&self) -> Result<ProcessId> {
        self.room.start("kube-proxy", "kube-proxy", &[format!("--config={}/etc/kube-proxy.yaml", machine::HOME)])
    }

    /// Ends kube-proxy and starts it again, as an upgrade would.
    pub async fn restart_proxy(&self) -> Result<()> {
        if let Some(proxy) = self.room.recorded("kube-proxy") {
            proxy.end().await?;
        }
        self.start_proxy().map(drop)
    }

    /// The directory in which the kubelet keeps the logs of pods, as the host sees it.
    pub fn pod_logs(&self) -> Result<PathBuf> {
        Ok(self.room.home()?.join("log/pods"))
    }
}

/// containerd with its defaults, but: the lab's snapshotter, plugins from Debian, no rights
/// needed that a container has not (`CAP_SYS_RESOURCE`), and network namespaces that go with the node's own `/run`.
fn containerd_configuration() -> String {
    format!(
        r#"version = 3
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{SNAPSHOTTER}"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{}/etc/cni"
"#,
        machine::HOME
    )
}

/// Pods hang on the node by a point-to-point link each; the node routes. Addresses taken are forgotten at power loss.
fn cni_configuration(addresses: NodeAddresses) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni",
                "ranges": [[{"subnet": addresses.pods_v4()}], [{"subnet": addresses.pods_v6()}]],
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            },
        }],
    })
}

fn kubelet_configuration() -> Value {
    let pki = format!("{}/pki", machine::HOME);
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{pki}/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": format!("{pki}/kubelet.crt"),
        "tlsPrivateKeyFile": format!("{pki}/kubelet.key"),
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": format!("{}/etc/resolv.conf", machine::HOME),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        // No systemd and perhaps no cgroup v2.
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        // The host's disk is not the node's to guard.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": false,
        "makeIPTablesUtilChains": false,
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    })
}

fn proxy_configuration(options: &Options, node: &str) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": options.proxy.mode(),
        "clientConnection": {"kubeconfig": format!("{}/pki/kube-proxy.kubeconfig", machine::HOME)},
        "hostnameOverride": node,
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": PODS,
        // Limits of the machine, not of a namespace: kube-proxy must not try to set them.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, serde_json::to_vec_pretty(value)?)
}
