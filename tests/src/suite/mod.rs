//! Kubernetes' own end-to-end suite, unmodified, run against a lab from the client behind the router. Owns which specs are
//! run, what they are expected to give, and the page in `docs/`; the lab is `crate::lab`'s, the programs are
//! `crate::artifacts`'.

mod page;
mod report;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::artifacts::{Artifacts, Progress, SuitePrograms};
use crate::lab::addresses::{POOL_V4, POOL_V6};
use crate::lab::{Lab, Options, ProcessId};

pub use self::report::{Outcome, Report, Spec};
pub use self::run::{Choice, LOAD_BALANCER};

/// The name of the lab that the suite starts for itself.
const LAB: &str = "e2e";

const NAMESPACE: &str = "herald-system";

/// Herald as shipped, with the finalizer that one spec looks for: a kustomization upon `deploy/`.
const HERALD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/suite/herald");

/// Runs the chosen specs, on the lab of that name as it stands, or without one on Herald in a lab that is made for it and
/// removed afterwards. What the specs said is left in `build/e2e`; a full run on Herald also writes
/// `docs/kubernetes-e2e.md`.
///
/// # Errors
/// A build failed, the lab didn't start, or the runner left no report. Specs that fail are part of the report.
pub async fn verify(choice: &Choice, lab: Option<&str>, progress: Progress) -> Result<Report> {
    let programs = tokio::task::spawn_blocking(move || SuitePrograms::ensure(progress)).await??;
    let output = tree().join("build/e2e");
    fs::create_dir_all(&output).with_context(|| format!("{} can't be made", output.display()))?;
    if let Some(name) = lab {
        return run::run(&Lab::open(name)?, &programs, choice, &output, progress).await;
    }
    let lab = Lab::up(options(), Some(ProcessId::own()?), progress).await?;
    let report = verify_herald(&lab, &programs, choice, &output, progress).await;
    Lab::down(lab.name())?;
    let report = report?;
    if choice.is_default() {
        let cluster =
            format!("a lab of {} nodes, kube-proxy in {} mode", lab.nodes().len(), lab.options().proxy.mode());
        let page = tree().join("docs/kubernetes-e2e.md");
        fs::write(&page, page::markdown(&report, &programs.version, &cluster))
            .with_context(|| format!("{} can't be written", page.display()))?;
    }
    Ok(report)
}

/// The report as a table for the terminal, with a line that sums it up.
pub fn table(report: &Report) -> String {
    page::terminal(report)
}

/// With two node addresses specs form URLs from an IPv6 address without brackets.
fn options() -> Options {
    Options { ipv4_nodes: true, ..Options::named(LAB) }
}

async fn verify_herald(
    lab: &Lab,
    programs: &SuitePrograms,
    choice: &Choice,
    output: &Path,
    progress: Progress,
) -> Result<Report> {
    prepare_herald(lab).await?;
    let report = run::run(lab, programs, choice, output, progress).await;
    let logs = ["logs", "--namespace", NAMESPACE, "--selector=app.kubernetes.io/name=herald", "--tail=-1", "--prefix"];
    // They are for whoever looks into a failure; a run that ended well doesn't need them.
    if let Ok(logs) = lab.kubectl(&logs).await {
        fs::write(output.join("herald.log"), logs)?;
    }
    report
}

async fn prepare_herald(lab: &Lab) -> Result<()> {
    lab.kubectl(&["apply", "-k", HERALD]).await?;
    lab.apply(&json!({
        "apiVersion": "herald-lb.io/v1alpha1",
        "kind": "AddressPool",
        "metadata": { "name": "suite" },
        "spec": { "addresses": [POOL_V4, POOL_V6] },
    }))
    .await?;
    for workload in ["deployment/herald-controller", "daemonset/herald-speaker"] {
        lab.kubectl(&["rollout", "status", workload, "--namespace", NAMESPACE, "--timeout=60s"]).await?;
    }
    Ok(())
}

/// Images that specs use, by the names they use, on every node.
async fn load_images(lab: &Lab, progress: Progress) -> Result<()> {
    let artifacts = tokio::task::spawn_blocking(move || Artifacts::ensure(progress)).await??;
    lab.load(&[artifacts.agnhost.archive, artifacts.pause.archive]).await
}

/// The top of the tree.
fn tree() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    top.canonicalize().unwrap_or(top)
}
