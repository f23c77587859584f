//! Which node has which address: evenly many each, also after a death, and where a person wants one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use herald_api::VirtualIP;
use herald_api::virtual_ip::{AnnouncementCause, Announcer, LastMove};
use herald_core::address::Vip;
use herald_core::balance::PACE;
use herald_tests::lab::{Lab, SPEAKER, Seen, eventually, throughout};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::calm::{calm, speakers_ready};
use herald_tests::scenario::{Range, Stage, service};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::LAB;

/// As many as three nodes share evenly.
const NINE: u32 = 9;

/// The times of two nodes are of one clock, but each is noted a little after what it tells of.
const SLACK: Duration = Duration::from_secs(1);

/// What the ledger says of an address.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    announcer: Option<Announcer>,
    preferred: Option<String>,
    last_move: Option<LastMove>,
}

type Places = BTreeMap<String, Place>;

async fn places(stage: &Stage) -> Result<Places> {
    let ledger: Api<VirtualIP> = stage.cluster();
    let place = |vip: VirtualIP| {
        let status = vip.status.clone().unwrap_or_default();
        let place = Place {
            announcer: status.announcer,
            preferred: vip.spec.preferred_node.clone(),
            last_move: status.last_move,
        };
        (vip.name_any(), place)
    };
    Ok(ledger.list(&ListParams::default()).await?.into_iter().map(place).collect())
}

/// How many addresses each node announces.
fn counts(places: &Places) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for announcer in places.values().filter_map(|place| place.announcer.as_ref()) {
        *counts.entry(announcer.node.as_str()).or_default() += 1;
    }
    counts
}

/// Every address is announced, and by the node that the ledger names for it.
fn settled(places: &Places) -> bool {
    let fits = |place: &Place| place.announcer.as_ref().map(|announcer| &announcer.node) == place.preferred.as_ref();
    places.len() == NINE as usize && places.values().all(|place| place.announcer.is_some() && fits(place))
}

fn even(places: &Places) -> bool {
    counts(places).into_iter().eq([("node-1", 3), ("node-2", 3), ("node-3", 3)])
}

/// Waits until what the ledger says is as it should be.
async fn eventually_placed(
    stage: &Stage,
    limit: Duration,
    what: &str,
    are: impl Fn(&Places) -> bool,
) -> Result<Places> {
    eventually(limit, what, async || {
        let places = places(stage).await?;
        Ok(Seen::when(are(&places), places.clone(), format!("{:?}: {places:#?}", counts(&places))))
    })
    .await
}

#[tokio::test]
async fn nine_addresses_are_three_a_node_and_after_a_death_again_by_one_move_in_half_a_minute() -> Result<()> {
    LAB.run_alone(async |lab| {
        calm(lab).await?;
        let range = Range::take(NINE)?;
        Stage::bare(lab, "spread", range).await?.play(async |stage| spread(lab, stage, range).await).await
    })
    .await
}

async fn spread(lab: &Lab, stage: &Stage, range: Range) -> Result<()> {
    stage.pool(stage.name(), json!({"addresses": range.addresses()})).await?;
    let single = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]});
    try_join_all((0..NINE).map(|number| stage.offer(service(&format!("web-{number}"), single.clone())))).await?;
    let first = eventually_placed(stage, SOON, "all addresses are where the ledger wants them", settled).await?;
    ensure!(even(&first), "not spread evenly: {:?}", counts(&first));
    let moved = first.values().filter(|place| place.last_move.is_some()).count();
    ensure!(moved == 0, "{moved} were moved for it, instead of being put there: {first:#?}");

    lab.kill("node-2", SPEAKER)?;
    let after =
        eventually_placed(stage, SOON, "the ledger wants the dead speaker's addresses where they went", |all| {
            settled(all) && !counts(all).contains_key("node-2")
        })
        .await?;
    let of = |place: &Place| place.announcer.as_ref().map(|announcer| announcer.node.clone());
    let went: BTreeMap<_, _> = after.iter().filter(|(name, place)| of(place) != of(&first[*name])).collect();
    ensure!(went.len() == 3, "more than the three addresses of node-2 moved: {went:#?}");
    let cause = |place: &Place| place.last_move.as_ref().map(|last| last.cause);
    ensure!(went.values().all(|place| cause(place) == Some(AnnouncementCause::Takeover)), "{went:#?}");
    speakers_ready(lab).await?;

    let last =
        eventually_placed(stage, PACE * 5, "every node has three again", |all| settled(all) && even(all)).await?;
    let moves = last.iter().filter(|(name, place)| of(place) != of(&after[*name])).map(|(_, place)| &place.last_move);
    let moves = moves.map(|last| last.clone().context("moved without a word")).collect::<Result<Vec<_>>>()?;
    ensure!(moves.len() == 3, "three moves make it even, not {}: {moves:#?}", moves.len());
    ensure!(moves.iter().all(|last| last.to == "node-2" && last.cause != AnnouncementCause::Takeover), "{moves:#?}");
    let mut times: Vec<_> = went
        .values()
        .filter_map(|place| place.last_move.as_ref())
        .max_by_key(|last| last.at.0)
        .into_iter()
        .chain(&moves)
        .map(|last| last.at.0)
        .collect();
    times.sort_unstable();
    let least = (PACE.saturating_sub(SLACK)).as_secs_f64();
    let paced = times.windows(2).all(|pair| pair[1].duration_since(pair[0]).as_secs_f64() >= least);
    ensure!(paced, "the takeovers and the three moves follow each other within half a minute: {times:?}");
    Ok(())
}

/// One address, and what is asked for it.
struct Wish<'a> {
    stage: &'a Stage,
    vip: Vip,
}

impl Wish<'_> {
    async fn write(&self, spec: Value) -> Result<()> {
        let ledger: Api<VirtualIP> = self.stage.cluster();
        let patch = Patch::Merge(json!({ "spec": spec }));
        ledger.patch(&self.vip.object_name(), &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn place(&self, what: &str, is: impl Fn(&Place) -> bool) -> Result<Place> {
        let name = self.vip.object_name();
        eventually(SOON, &format!("{name} {what}"), async || {
            let place = places(self.stage).await?.remove(&name).context("the record of the address is gone")?;
            Ok(Seen::when(is(&place), place.clone(), place))
        })
        .await
    }
}

#[tokio::test]
async fn an_address_goes_where_a_person_wants_it_and_a_wish_that_nobody_can_fulfil_moves_nothing() -> Result<()> {
    LAB.run_alone(async |lab| {
        calm(lab).await?;
        Stage::for_test(lab)
            .await?
            .play(async |stage| {
                let single = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]});
                let addresses = stage.offer(service("web", single)).await?;
                let wish = Wish { stage, vip: Vip::new(addresses[0])? };
                let before = stage.announcer(addresses[0]).await?;
                let other = ["node-1", "node-2"].into_iter().find(|node| *node != before.node).context("two nodes")?;

                wish.write(json!({"preferredNode": other})).await?;
                let is_there = |place: &Place| place.announcer.as_ref().is_some_and(|it| it.node == other);
                let there = wish.place(&format!("is on {other}"), is_there).await?;
                let announcer = there.announcer.context("an announcer")?;
                ensure!(announcer.epoch == before.epoch + 1, "{before:?}, then {announcer:?}");
                let last = there.last_move.context("nothing tells of the move")?;
                ensure!(last.from == before.node && last.to == other, "{last:?}");
                // By the one word or the other, as the node has heard of the wish before it was asked or not.
                let on_purpose = [AnnouncementCause::Moved, AnnouncementCause::Handover];
                ensure!(on_purpose.contains(&last.cause), "{last:?}");
                ensure!(
                    last.gap.as_deref() == Some("0.000s"),
                    "the new one was to begin before the old one ended: {last:?}"
                );

                wish.write(json!({"preferredNode": "node-9"})).await?;
                wish.place("is wanted where it is again", |place| place.preferred.as_deref() == Some(other)).await?;

                wish.write(json!({"preferredNode": "node-9", "pinned": true})).await?;
                throughout(Duration::from_secs(15), "what a person pinned stays, and so does the address", async || {
                    let place = places(stage).await?.remove(&wish.vip.object_name()).context("no record")?;
                    let stays = place.announcer.as_ref() == Some(&announcer);
                    Ok(Seen::when(stays && place.preferred.as_deref() == Some("node-9"), (), place))
                })
                .await
            })
            .await
    })
    .await
}
