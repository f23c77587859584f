//! A machine on the LAN that has an address which Herald would give out, or has given out.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use herald_api::VirtualIP;
use herald_api::keys::{ADDRESSES_ANNOTATION, condition, reason};
use herald_core::address::{Family, Vip};
use herald_core::mac::MacAddr;
use herald_tests::lab::{Act, Frame, STRANGER_MAC, Seen, eventually, throughout};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::calm::calm;
use herald_tests::scenario::wire::{Asserted, asserted, who_has};
use herald_tests::scenario::{Served, Stage, service};
use kube::ResourceExt as _;
use kube::api::Api;
use serde_json::json;

use crate::LAB;

/// How soon a conflict is found, and how soon its end: what is probed rests between two probes.
const FOUND: Duration = Duration::from_mins(1);

/// For what must not happen.
const A_WHILE: Duration = Duration::from_secs(5);

/// Waits until a VIP's condition `Conflict` is true, and returns its message.
async fn conflict(stage: &Stage, vip: Vip) -> Result<String> {
    let ledger: Api<VirtualIP> = stage.cluster();
    eventually(FOUND, &format!("{vip} has a conflict"), async || {
        let status = ledger.get(&vip.object_name()).await?.status.unwrap_or_default();
        let found = status.conditions.iter().find(|one| one.type_ == condition::CONFLICT && one.status == "True");
        Ok(match found {
            Some(found) => Seen::Yes(found.message.clone()),
            None => Seen::NotYet(format!("{status:?}")),
        })
    })
    .await
}

/// What nodes, and not the stranger, asserted of an address.
fn by_members(frames: &[Frame], address: IpAddr) -> Result<Vec<Asserted>> {
    let stranger: MacAddr = STRANGER_MAC.parse().context("the stranger's Ethernet address")?;
    let said = frames.iter().filter_map(asserted).filter(|said| said.address == address && said.mac != stranger);
    Ok(said.collect())
}

/// How often a node began to tell everybody that it has an address: each time begins with a request, and one gratuitous
/// reply follows.
fn defences(frames: &[Frame], address: IpAddr) -> Result<usize> {
    const REPLY: Option<&u8> = Some(&2);
    let stranger: MacAddr = STRANGER_MAC.parse().context("the stranger's Ethernet address")?;
    let is_one = |frame: &&Frame| {
        frame.bytes.get(21) == REPLY
            && asserted(frame).is_some_and(|said| said.address == address && said.mac != stranger && said.to_all)
    };
    Ok(frames.iter().filter(is_one).count())
}

/// The stranger has an address from now on: when it told everybody.
async fn stranger_has(act: &Act<'_>, address: IpAddr) -> Result<SystemTime> {
    let before = act.frames()?.last().map_or(SystemTime::UNIX_EPOCH, |frame| frame.at);
    act.let_stranger_have(address)?;
    let stranger: MacAddr = STRANGER_MAC.parse().context("the stranger's Ethernet address")?;
    eventually(SOON, "the stranger tells everybody its address", async || {
        let frames = act.frames_since(before)?;
        let told = frames.iter().find(|frame| {
            let said = asserted(frame).filter(|said| said.address == address && said.mac == stranger && said.to_all);
            frame.at > before && said.is_some()
        });
        Ok(told.map_or_else(|| Seen::NotYet(format!("{} frames", frames.len())), |frame| Seen::Yes(frame.at)))
    })
    .await
}

#[tokio::test]
async fn an_address_that_a_stranger_has_is_neither_announced_nor_published() -> Result<()> {
    LAB.run_alone(async |act| {
        calm(act).await?;
        Stage::for_test(act)
            .await?
            .play(async |stage| {
                let address: IpAddr = stage.range().v4(0).into();
                let since = stranger_has(act, address).await?;
                // Who wants any address gets another one; who wants this one has to wait.
                let spec = json!({"ipFamilyPolicy": "SingleStack"});
                let given = stage.offer(service("any", spec.clone())).await?;
                ensure!(!given.contains(&address), "a stranger's address was given out");
                let mut wanted = service("web", spec);
                wanted.annotations_mut().insert(ADDRESSES_ANNOTATION.to_owned(), address.to_string());
                stage.create(&wanted).await?;
                let message = stage.reason("web", condition::SERVICE_ANNOUNCED, reason::ADDRESS_CONFLICT).await?;
                ensure!(message.contains(STRANGER_MAC), "it does not say who answers: {message}");
                let message = conflict(stage, Vip::new(address)?).await?;
                ensure!(message.contains(STRANGER_MAC), "it does not say who answers: {message}");
                throughout(A_WHILE, "the stranger alone answers", async || {
                    let macs = who_has(act, address).await?;
                    Ok(Seen::when(macs == [STRANGER_MAC], (), macs))
                })
                .await?;
                let said = by_members(&act.frames_since(since)?, address)?;
                ensure!(said.is_empty(), "nodes have asserted it: {said:?}");
                act.silence_stranger()?;
                // Once it is gone, the address is given out after all.
                eventually(FOUND, "the Service has its address", async || {
                    Ok(Seen::Yes(stage.addresses("web", 1).await?))
                })
                .await?;
                stage.announcer(address).await.map(drop)
            })
            .await
    })
    .await
}

#[tokio::test]
async fn an_address_that_a_stranger_takes_is_defended_once_and_reported() -> Result<()> {
    LAB.run_alone(async |act| {
        calm(act).await?;
        Stage::for_test(act)
            .await?
            .play(async |stage| {
                let served = Served::on(stage, Family::V4).await?;
                let address = served.vip.address();
                let since = stranger_has(act, address).await?;
                let message = conflict(stage, served.vip).await?;
                ensure!(message.contains(STRANGER_MAC), "it does not say who answers: {message}");
                throughout(A_WHILE, "the owner goes on to own it", async || {
                    let announcer = stage.announcer(address).await?;
                    Ok(Seen::when(announcer.node == served.owner, (), announcer))
                })
                .await?;
                let told = defences(&act.frames_since(since)?, address)?;
                ensure!(told == 1, "the owner defended it {told} times");
                let again = stranger_has(act, address).await?;
                throughout(A_WHILE, "the owner does not fight for it", async || {
                    let told = defences(&act.frames_since(again)?, address)?;
                    Ok(Seen::when(told == 0, (), told))
                })
                .await?;
                act.silence_stranger()?;
                eventually(FOUND, "the owner alone answers", async || {
                    let macs = who_has(act, address).await?;
                    Ok(Seen::when(macs == [act.node(&served.owner)?.addresses().mac()], (), macs))
                })
                .await
            })
            .await
    })
    .await
}
