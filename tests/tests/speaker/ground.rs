//! What speakers need before they can be started: the program, Herald's kinds, an account with the rights of `deploy/`, keys.

use anyhow::{Context, Result, ensure};
use herald_api::convert::heartbeat;
use herald_api::keys::HEARTBEAT_SECRET;
use herald_tests::lab::{HERALD_NAMESPACE, Lab};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Installs Herald's kinds, and the speaker's account and rights as `deploy/` has them, without the speaker itself.
pub(crate) async fn install(lab: &Lab) -> Result<()> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    lab.kubectl(&["apply", "-k", &deploy.join("crds").display().to_string()]).await?;
    lab.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": HERALD_NAMESPACE } });
    lab.apply(&namespace).await?;
    lab.apply(&heartbeat_keys()).await?;
    let manifest = fs::read_to_string(deploy.join("speaker.yaml")).context("reading deploy/speaker.yaml")?;
    let rights: Vec<&str> = manifest.split("\n---\n").filter(|part| !part.contains("kind: DaemonSet")).collect();
    lab.kubectl_reading(&["apply", "--namespace", HERALD_NAMESPACE, "-f", "-"], &rights.join("\n---\n")).await?;
    let token = ["create", "token", "herald-speaker", "--namespace", HERALD_NAMESPACE, "--duration=24h"];
    let token = lab.kubectl(&token).await?;
    let node = lab.home().join("node-1/pki/kubelet.kubeconfig");
    let text = fs::read_to_string(&node).with_context(|| format!("reading {}", node.display()))?;
    let mut config: Value = serde_json::from_str(&text).context("the kubelet's kubeconfig")?;
    let users = config["users"].as_array().map_or(0, Vec::len);
    ensure!(users == 1, "the kubelet's kubeconfig has {users} users");
    config["users"][0]["user"] = json!({ "token": token.trim() });
    Ok(fs::write(kubeconfig(lab), config.to_string())?)
}

/// The Secret that the controller would make.
pub(crate) fn heartbeat_keys() -> Value {
    let entries =
        heartbeat::entries(Timestamp::UNIX_EPOCH, heartbeat::Key::new(*b"speakers of a lab without secret"), "lab");
    json!({
        "apiVersion": "v1", "kind": "Secret", "data": entries,
        "metadata": { "name": HEARTBEAT_SECRET, "namespace": HERALD_NAMESPACE },
    })
}

/// A kubeconfig with the speaker's account, for use on nodes.
pub(crate) fn kubeconfig(lab: &Lab) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.kubeconfig", lab.name()))
}

/// The speaker, built when the first test wants it.
pub(crate) fn program() -> Result<&'static str> {
    static PROGRAM: std::sync::OnceLock<Result<String, String>> = std::sync::OnceLock::new();
    let built = PROGRAM.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> Result<String> {
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "herald-speaker", "--bin", "herald-speaker"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("starting cargo")?;
    ensure!(cargo.success(), "cargo could not build herald-speaker: {cargo}");
    let this = std::env::current_exe()?;
    let beside = this.ancestors().nth(2).context("this program lies nowhere")?.join("herald-speaker");
    ensure!(beside.is_file(), "cargo built no {}", beside.display());
    Ok(beside.display().to_string())
}
