//! `lab logs`

use std::fs::File;
use std::io::{copy, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use herald_tests::lab::topology::CONTROL_PLANE;
use herald_tests::lab::{HERALD_NAMESPACE, Lab};

use crate::Which;

/// Herald's components, whose logs the API server has.
const HERALD: [(&str, &str); 2] =
    [("herald-controller", "deployment/herald-controller"), ("herald-speaker", "daemonset/herald-speaker")];

#[derive(Debug, Args)]
#[command(
    after_help = "Components: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd, kubelet, kube-proxy,\nherald-controller, herald-speaker. Those of nodes: of all, or of one as in `node-1/kubelet`."
)]
pub(crate) struct Logs {
    #[command(flatten)]
    which: Which,
    /// A component, or NODE/COMPONENT
    component: String,
}

impl Logs {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let lab = self.which.open()?;
        if let Some((_, workload)) = HERALD.into_iter().find(|(name, _)| *name == self.component) {
            let logs = ["--namespace", HERALD_NAMESPACE, "logs", workload, "--all-pods", "--prefix", "--tail=-1"];
            print!("{}", lab.kubectl(&logs).await?);
            return Ok(ExitCode::SUCCESS);
        }
        let logs = find(&lab, &self.component)?;
        for log in &logs {
            if logs.len() > 1 {
                println!("==> {} <==", log.display());
            }
            copy(&mut File::open(log).with_context(|| log.display().to_string())?, &mut stdout().lock())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The logs of a component: one, or one of each node.
fn find(lab: &Lab, component: &str) -> Result<Vec<PathBuf>> {
    let (hosts, component) = if let Some((host, component)) = component.split_once('/') {
        (vec![lab.host(host)?], component)
    } else {
        let nodes = lab.nodes().iter().map(|node| node.room().clone());
        ([lab.host(CONTROL_PLANE)?].into_iter().chain(nodes).collect(), component)
    };
    let logs = hosts.iter().map(|host| host.log(component)).collect::<Result<Vec<_>>>()?;
    let there: Vec<PathBuf> = logs.into_iter().filter(|log| log.exists()).collect();
    if there.is_empty() {
        bail!("there is no log of {component}; `lab logs --help` names the components");
    }
    Ok(there)
}
