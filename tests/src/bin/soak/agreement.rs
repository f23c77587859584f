//! What must be true once nothing changes any more: status, ledger and wire say the same.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use herald_api::VirtualIP;
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::Stage;
use herald_tests::scenario::service::{addresses, condition, families, summary};
use herald_tests::scenario::wire::who_has;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

/// A killed pod is started again after up to five minutes if it has been killed often.
const SETTLES: Duration = Duration::from_mins(7);

/// Waits until status and ledger agree and every Service either has its addresses or says why not; then asks the LAN about
/// each address: exactly the announcer answers.
pub(crate) async fn reached(stage: &Stage) -> Result<()> {
    let ledger = eventually(SETTLES, "status and ledger agree", async || {
        let services = stage.api::<Service>().list(&ListParams::default()).await?.items;
        let published: BTreeMap<IpAddr, String> = services
            .iter()
            .flat_map(|service| addresses(service).into_iter().map(|address| (address, service.name_any())))
            .collect();
        let vips: Api<VirtualIP> = stage.cluster();
        let vips = vips.list(&ListParams::default()).await?.items;
        let held: BTreeMap<IpAddr, String> = vips
            .iter()
            .filter_map(|vip| Some((vip.spec.address.parse().ok()?, vip.spec.holders.first()?.name.clone())))
            .collect();
        let silent: Vec<String> = services.iter().filter(|service| !satisfied(service)).map(summary).collect();
        let unannounced = vips.iter().filter(|vip| announcer(vip).is_none()).count();
        let agree = published == held && vips.len() == held.len() && silent.is_empty() && unannounced == 0;
        Ok(Seen::when(agree, vips, (published, held, silent, unannounced)))
    })
    .await?;
    for vip in ledger {
        let mac = announcer(&vip).context("an announcer")?;
        let answered = who_has(stage.lab(), vip.spec.address.parse()?).await?;
        ensure!(answered == [mac.clone()], "{} is announced by {mac}, but answered by {answered:?}", vip.spec.address);
    }
    Ok(())
}

fn announcer(vip: &VirtualIP) -> Option<String> {
    Some(vip.status.as_ref()?.announcer.as_ref()?.mac.clone())
}

/// Whether a Service has what it asks for, or a condition says why not, or it asks for nothing.
fn satisfied(service: &Service) -> bool {
    let ours = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    !ours
        || addresses(service).len() == families(service)
        || condition(service, "herald-lb.io/Allocated").is_some_and(|found| found.status == "False")
}
