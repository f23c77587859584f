//! etcd, the API server, the controller manager and the scheduler, each with an identity and rights of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;

use super::addresses::{API_PORT, API_SERVICE, API_V4, HostLink, SERVICES};
use super::machine;
use super::pki::{Authority, Vault, token_keys};
use super::room::Room;
use super::wait::{Seen, eventually};

const ETCD: &str = "http://127.0.0.1:2379";

/// Writes what the control plane's processes read.
pub(super) fn prepare(room: &Room, authority: &Authority, lab: &str, index: u8) -> Result<()> {
    let vault = Vault::create(&room.home()?.join("pki"))?;
    let reached_as = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([API_SERVICE.to_string(), API_V4.to_string(), HostLink::of(index).control_plane().to_string()]);
    vault.put("ca.crt", authority.certificate())?;
    vault.put("ca.key", authority.key())?;
    vault.put_identity("apiserver", &authority.server("kube-apiserver", reached_as.collect())?)?;
    vault.put_identity("kubelet-client", &authority.client(KUBELET_CLIENT, None)?)?;
    let (private, public) = token_keys()?;
    vault.put("tokens.key", private)?;
    vault.put("tokens.pub", public)?;
    let server = format!("https://127.0.0.1:{API_PORT}");
    for component in ["kube-controller-manager", "kube-scheduler"] {
        let identity = authority.client(&format!("system:{component}"), None)?;
        vault.put(&format!("{component}.kubeconfig"), authority.kubeconfig(lab, &server, &identity)?)?;
    }
    Ok(())
}

/// The user as which the API server calls kubelets.
pub(super) const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";

/// Starts etcd and the API server, which waits for etcd by itself.
pub(super) fn start_store(room: &Room) -> Result<()> {
    start_etcd(room)?;
    start_apiserver(room)
}

/// Starts etcd. Its data lies in memory, and it waits for no disk.
pub(super) fn start_etcd(room: &Room) -> Result<()> {
    let arguments = [
        "--name=lab",
        "--data-dir=/run/etcd",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=lab=http://127.0.0.1:2380",
        "--auto-compaction-retention=5m",
        "--log-level=warn",
    ];
    room.start("etcd", "etcd", &arguments.map(str::to_owned)).map(drop)
}

/// Starts the API server.
pub(super) fn start_apiserver(room: &Room) -> Result<()> {
    let pki = format!("{}/pki", machine::HOME);
    let arguments = [
        format!("--etcd-servers={ETCD}"),
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={API_V4}"),
        format!("--secure-port={API_PORT}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--tls-cert-file={pki}/apiserver.crt"),
        format!("--tls-private-key-file={pki}/apiserver.key"),
        format!("--client-ca-file={pki}/ca.crt"),
        format!("--kubelet-certificate-authority={pki}/ca.crt"),
        format!("--kubelet-client-certificate={pki}/kubelet-client.crt"),
        format!("--kubelet-client-key={pki}/kubelet-client.key"),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={pki}/tokens.pub"),
        format!("--service-account-signing-key-file={pki}/tokens.key"),
        "--profiling=false".to_owned(),
    ];
    room.start("kube-apiserver", "kube-apiserver", &arguments).map(drop)
}

/// Starts the controller manager and the scheduler; the API server must be ready.
pub(super) fn start_controllers(room: &Room) -> Result<()> {
    let pki = format!("{}/pki", machine::HOME);
    let kubeconfig = |component: &str| format!("--kubeconfig={pki}/{component}.kubeconfig");
    let manager = [
        kubeconfig("kube-controller-manager"),
        "--controllers=*".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--service-account-private-key-file={pki}/tokens.key"),
        format!("--root-ca-file={pki}/ca.crt"),
        format!("--cluster-signing-cert-file={pki}/ca.crt"),
        format!("--cluster-signing-key-file={pki}/ca.key"),
        "--flex-volume-plugin-dir=/run/volume-plugins".to_owned(),
        // The defaults (20 and 30 requests a second) would make a thousand Services wait for their EndpointSlices.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ];
    room.start("kube-controller-manager", "kube-controller-manager", &manager)?;
    let scheduler =
        [kubeconfig("kube-scheduler"), "--leader-elect=false".to_owned(), "--bind-address=127.0.0.1".to_owned()];
    room.start("kube-scheduler", "kube-scheduler", &scheduler).map(drop)
}

/// Waits until the API server says it is ready.
pub(super) async fn ready(room: &Room, client: &Client) -> Result<()> {
    let log = room.log("kube-apiserver")?;
    eventually(Duration::from_mins(1), &format!("the API server is ready (see {})", log.display()), async || {
        let alive = room.recorded("kube-apiserver").is_some_and(|process| process.lives());
        anyhow::ensure!(alive, "its process has ended");
        let request = http_get("/readyz")?;
        let answer = client.request_text(request).await?;
        Ok(Seen::when(answer == "ok", (), answer))
    })
    .await
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    http::Request::get(path).body(Vec::new()).context("a GET request")
}
