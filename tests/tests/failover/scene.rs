//! A scene: one address that is served and watched, while something happens to the node that announces it.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_api::virtual_ip::{AnnouncementCause, Announcer};
use herald_core::address::Family;
use herald_tests::lab::{Act, Seen, throughout};
use herald_tests::scenario::audience::Review;
use herald_tests::scenario::calm::calm;
use herald_tests::scenario::trial::Trial;
use herald_tests::scenario::{Audience, Served, Stage};

use crate::LAB;

/// What is seen of it.
pub(crate) struct Scene<'lab> {
    pub(crate) act: &'lab Act<'lab>,
    pub(crate) stage: Stage,
    pub(crate) served: Served,
    pub(crate) trial: Trial,
    audience: Audience,
}

/// Plays a scene alone in the lab, and judges what was seen of it.
pub(crate) async fn scene(family: Family, play: impl AsyncFnOnce(&mut Scene<'_>) -> Result<()>) -> Result<()> {
    LAB.run_alone(async |act| {
        calm(act).await?;
        Stage::for_test(act)
            .await?
            .play(async |stage| {
                let served = Served::on(stage, family).await?;
                let audience = Audience::seated(act, served.vip, 80, |since| act.frames_since(since)).await?;
                let trial = Trial::begin(act, [served.vip])?;
                let mut scene = Scene { act, stage: stage.clone(), served, trial, audience };
                play(&mut scene).await?;
                scene.judged().await.map(drop)
            })
            .await
    })
    .await
}

impl Scene<'_> {
    /// The node that announces the address at first.
    pub(crate) fn owner(&self) -> &str {
        &self.served.owner
    }

    /// Waits until another node announces the address by the ledger, and checks what the ledger says of the move.
    pub(crate) async fn moved(&self, cause: AnnouncementCause) -> Result<Announcer> {
        let (announcer, status) = self.served.moved(&self.stage).await?;
        ensure!(announcer.cause == cause, "moved for another cause: {announcer:?}");
        ensure!(
            announcer.epoch > self.served.epoch,
            "the epoch did not rise from {}: {announcer:?}",
            self.served.epoch
        );
        let last = status.last_move.as_ref().filter(|last| last.from == self.served.owner && last.to == announcer.node);
        ensure!(last.is_some(), "lastMove does not tell it: {:?}", status.last_move);
        Ok(announcer)
    }

    /// For a time, the node that should announce the address is the one that does.
    pub(crate) async fn stays(&self, with: &str, time: Duration) -> Result<()> {
        let address = self.served.vip.address();
        throughout(time, &format!("{with} announces {address}"), async || {
            let announcer = self.stage.announcer(address).await?;
            Ok(Seen::when(announcer.node == with, (), announcer))
        })
        .await
    }

    /// Everybody stops watching; what they saw is judged. A promise that was broken is an error.
    async fn judged(self) -> Result<Review> {
        let review = self.audience.leave(|since| self.act.frames_since(since)).await?;
        let mut trial = self.trial;
        review.tell(&mut trial);
        let violations = trial.record(&review.frames).violations();
        let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
        ensure!(list.is_empty(), "{review}\npromises were broken:\n{}", list.join("\n"));
        println!("{review}");
        Ok(review)
    }
}
