//! Free addresses are asked for before anybody needs them, so that a Service need not wait for it and gets none that a
//! machine outside the cluster has.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt as _;
use herald_api::keys::{ADDRESSES_ANNOTATION, condition, reason};
use herald_api::{Speaker, VirtualIP};
use herald_core::address::Vip;
use herald_tests::lab::{STRANGER_MAC, Seen, eventually};
use herald_tests::scenario::calm::calm;
use herald_tests::scenario::service::addresses;
use herald_tests::scenario::{Range, Stage, service};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::LAB;

/// More than are asked for beforehand.
const POOL: &str = "2001:db8:1::3:0/120";

/// The first of them.
const FIRST: &str = "2001:db8:1::3:0";

/// One that comes much later.
const FAR: &str = "2001:db8:1::3:80";

/// How soon all free addresses of a new pool have been asked for.
const ASKED: Duration = Duration::from_mins(1);

/// Waits until some speaker has said what it heard when it asked for an address.
async fn probed(stage: &Stage, address: IpAddr, answer: Option<&str>) -> Result<()> {
    let speakers: Api<Speaker> = stage.cluster();
    eventually(ASKED, &format!("a speaker asked for {address} and heard {answer:?}"), async || {
        let speakers = speakers.list(&ListParams::default()).await?;
        let probes = speakers.iter().flat_map(|speaker| speaker.status.iter().flat_map(|status| &status.probes));
        let probes: Vec<_> = probes.filter(|probe| probe.address == address.to_string()).collect();
        let heard = probes.iter().any(|probe| probe.mac.as_deref() == answer);
        Ok(Seen::when(heard, (), probes))
    })
    .await
}

/// When a Service first showed an address, and when its address was first announced, by the versions of both objects: the
/// API server counts all its writes with one counter.
async fn versions(stage: &Stage, wanted: Service) -> Result<(u64, u64)> {
    let services: Api<Service> = stage.api();
    let ledger: Api<VirtualIP> = stage.cluster();
    let now =
        services.list(&ListParams::default()).await?.metadata.resource_version.context("a list has no version")?;
    let name = wanted.name_any();
    let address = *stage.offer(wanted).await?.first().context("no address")?;
    stage.announcer(address).await?;
    let params = WatchParams::default().timeout(20);
    let shows = |service: &Service| service.name_any() == name && !addresses(service).is_empty();
    let shown = first_version(services.watch(&params, &now).await?, shows).await?;
    let vip = Vip::new(address)?.object_name();
    let announces = |entry: &VirtualIP| {
        entry.metadata.name.as_ref() == Some(&vip) && entry.status.as_ref().is_some_and(|it| it.announcer.is_some())
    };
    Ok((shown, first_version(ledger.watch(&params, &now).await?, announces).await?))
}

/// The version of the first object of a watch that is as it should be.
async fn first_version<K: kube::Resource>(
    events: impl futures::Stream<Item = kube::Result<WatchEvent<K>>>,
    is: impl Fn(&K) -> bool,
) -> Result<u64> {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
            && is(&object)
        {
            return Ok(object.meta().resource_version.as_deref().context("no version")?.parse()?);
        }
    }
    anyhow::bail!("a watch ended before it showed what has happened")
}

#[tokio::test]
async fn an_address_that_was_asked_for_beforehand_shows_at_once_and_another_after_it_was() -> Result<()> {
    LAB.run_alone(async |lab| {
        calm(lab).await?;
        Stage::bare(lab, "beforehand", Range::take(1)?)
            .await?
            .play(async |stage| {
                stage.pool(stage.name(), json!({"addresses": [POOL]})).await?;
                probed(stage, FIRST.parse()?, None).await?;
                let single = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]});
                let (shown, announced) = versions(stage, service("web", single.clone())).await?;
                ensure!(shown < announced, "shown as of version {shown}, after it was announced as of {announced}");
                let mut far = service("far", single);
                far.annotations_mut().insert(ADDRESSES_ANNOTATION.to_owned(), FAR.to_owned());
                let (shown, announced) = versions(stage, far).await?;
                ensure!(announced < shown, "shown as of version {shown}, before it was announced as of {announced}");
                Ok(())
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_free_address_that_a_stranger_has_is_passed_over() -> Result<()> {
    LAB.run_alone(async |lab| {
        calm(lab).await?;
        let range = Range::take(2)?;
        let (theirs, next): (IpAddr, IpAddr) = (range.v4(0).into(), range.v4(1).into());
        lab.let_stranger_have(theirs)?;
        Stage::bare(lab, "passed-over", range)
            .await?
            .play(async |stage| {
                stage.pool(stage.name(), json!({"addresses": range.addresses()})).await?;
                probed(stage, theirs, Some(STRANGER_MAC)).await?;
                let single = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]});
                let given = stage.offer(service("web", single)).await?;
                ensure!(given == [next], "{given:?} was given, the stranger has {theirs} and {next} is free");
                stage.reason("web", condition::SERVICE_ANNOUNCED, reason::ANNOUNCED).await.map(drop)
            })
            .await
    })
    .await
}
