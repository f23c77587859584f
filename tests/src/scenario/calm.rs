//! A lab in which nothing is under way: what a scenario that breaks something begins with, so that what it sees is its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_api::VirtualIP;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::Stage;
use crate::lab::{HERALD_NAMESPACE, Lab, Seen, eventually};

/// A node that boots has its speaker back within a few seconds; a machine shared by several labs takes its time.
const CALM: Duration = Duration::from_mins(3);

/// Where a speaker says whether it is ready, as its node sees it.
const READY: &str = "http://127.0.0.1:7473/readyz";

/// Waits until the speaker of every node is ready, by its own word (the API server may still believe in one that has died).
pub async fn speakers_ready(lab: &Lab) -> Result<()> {
    eventually(CALM, "the speaker of every node is ready", async || {
        let mut waiting = Vec::new();
        for node in lab.nodes() {
            let answer = lab.exec(node.name(), &["curl", "--silent", "--fail", "--max-time", "2", READY]).await?;
            if !answer.is_ok() {
                waiting.push(format!("{}: {answer}", node.name()));
            }
        }
        Ok(Seen::when(waiting.is_empty(), (), waiting))
    })
    .await
}

/// Removes what failed scenarios have left, and waits until all nodes, speakers and the controller are ready, and no address
/// is in use.
pub async fn calm(lab: &Lab) -> Result<()> {
    Stage::strike_all(lab).await?;
    lab.kubectl(&["wait", "nodes", "--all", "--for=condition=Ready", "--timeout=120s"]).await?;
    speakers_ready(lab).await?;
    lab.rolled_out(HERALD_NAMESPACE, &["deployment/herald-controller", "daemonset/herald-speaker"]).await?;
    let ledger: Api<VirtualIP> = Api::all(lab.client().await?);
    eventually(CALM, "no address is in use", async || {
        let left: Vec<String> = ledger.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect();
        Ok(Seen::when(left.is_empty(), (), left))
    })
    .await
}

/// Waits until the API server has a node's kubelet's word that it runs, given after this call: after a loss of power its old
/// word still stands.
pub async fn node_back(lab: &Lab, node: &str) -> Result<()> {
    use k8s_openapi::api::coordination::v1::Lease;
    let leases: Api<Lease> = Api::namespaced(lab.client().await?, "kube-node-lease");
    let renewed = async || -> Result<_> {
        let lease = leases.get(node).await?;
        Ok(lease.spec.and_then(|spec| spec.renew_time))
    };
    let before = renewed().await?;
    ensure!(before.is_some(), "the lease of {node} was never renewed");
    eventually(CALM, &format!("the kubelet of {node} renews its lease"), async || {
        let now = renewed().await?;
        Ok(Seen::when(now != before, (), now))
    })
    .await
}
