//! The loop: wait for one thing to happen, look at everything, do what follows.
//!
//! Owns the state between two passes and the order of effects: rules into the kernel, then announcements, then
//! reports; rules out of the kernel later. Decides nothing that [`crate::duties`] and [`crate::report`] don't.

use crate::admin::Lacking;
use crate::announcer::{Announcements, Announcer, Event};
use crate::args::InterfaceChoice;
use crate::duties::{Duties, Past};
use crate::guard::Guard;
use crate::heard::{Demand, Heard};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::picture::{Myself, Picture};
use crate::report::writer::{Outcome, Writer};
use crate::report::{self, Health, Report};
use herald_api::keys::reason;
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use herald_core::names::NodeName;
use jiff::Timestamp;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The pause before a failed write or change of rules is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Everything is computed anew at least this often, whatever the watches say or miss.
const FULL_PASS: Duration = Duration::from_mins(1);
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the driver works with.
pub struct Parts {
    /// This node.
    pub node: NodeName,
    /// Which of its interfaces are used.
    pub interfaces: InterfaceChoice,
    /// How long a stop may wait for others.
    pub drain_timeout: Duration,
    /// The cluster.
    pub intake: Intake,
    /// The interfaces that may announce.
    pub links: watch::Receiver<Links>,
    /// The wire.
    pub announcer: Announcer,
    /// The kernel.
    pub guard: Guard,
    /// The way to the API server.
    pub writer: Writer,
    /// The counters.
    pub metrics: Metrics,
    /// Where readiness is told.
    pub lacking: watch::Sender<Lacking>,
}

/// The announcer's thread has ended, and with it the reason to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the announcer ended; see the line before")]
pub struct AnnouncerEnded;

/// The driver.
pub struct Driver {
    parts: Parts,
    duties: Duties,
    heard: Heard,
    stopping: Option<Instant>,
    retry: Option<Instant>,
    missing_said: bool,
    blind_said: bool,
}

impl Driver {
    /// With nothing done yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            duties: Duties::default(),
            heard: Heard::default(),
            stopping: None,
            retry: None,
            missing_said: false,
            blind_said: false,
        }
    }

    /// Runs until told to stop and every address that somebody else can take is taken, or the time for that is over.
    ///
    /// # Errors
    /// The announcer has ended.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), AnnouncerEnded> {
        loop {
            let due = tokio::time::Instant::from_std(self.next_deadline());
            let mut news = tokio::select! {
                () = self.parts.intake.changed() => true,
                changed = self.parts.links.changed() => changed.map(|()| true).map_err(|_| AnnouncerEnded)?,
                event = self.parts.announcer.events.recv() => self.hear(&event.ok_or(AnnouncerEnded)?),
                outcome = self.parts.writer.finished() => self.wrote(&outcome),
                () = stop.cancelled(), if self.stopping.is_none() => self.begin_to_stop(),
                () = tokio::time::sleep_until(due) => true,
            };
            while let Ok(event) = self.parts.announcer.events.try_recv() {
                news |= self.hear(&event);
            }
            if news && self.pass() {
                self.end().await;
                return Ok(());
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let now = clock();
        let deadlines = [self.retry, self.stopping, self.heard.next_deadline(), self.parts.guard.next_deadline()];
        deadlines.into_iter().flatten().min().map_or(now + FULL_PASS, |due| due.min(now + FULL_PASS))
    }

    fn hear(&mut self, event: &Event) -> bool {
        let member = match event {
            Event::Rival { vip, link, mac } => {
                let member = self.member(*mac);
                if let Some(node) = &member {
                    tracing::debug!(%vip, %link, %node, "another node announces it too");
                } else {
                    tracing::warn!(%vip, %link, %mac, "a stranger claims this address");
                }
                member
            }
            _ => None,
        };
        match self.heard.note(event, member.as_ref(), &self.duties, clock()) {
            Demand::Pass => true,
            Demand::Doubt => {
                self.parts.intake.doubt();
                false
            }
            Demand::Nothing => false,
        }
    }

    /// The other node that has an interface with this MAC address.
    fn member(&self, mac: MacAddr) -> Option<NodeName> {
        let mac = mac.to_string();
        let mut speakers = self.parts.intake.world().speakers.records().iter();
        let has =
            |status: &herald_api::speaker::SpeakerStatus| status.segments.iter().any(|segment| segment.mac == mac);
        speakers.find(|(node, speaker)| **node != self.parts.node && has(&speaker.status)).map(|(node, _)| node.clone())
    }

    fn wrote(&mut self, outcome: &Outcome) -> bool {
        self.parts.metrics.wrote(outcome);
        if *outcome == Outcome::Failed {
            self.retry = Some(clock() + RETRY);
            self.parts.intake.doubt();
        }
        false
    }

    fn begin_to_stop(&mut self) -> bool {
        let owned = self.duties.owned.len();
        tracing::info!(owned, "stopping: other nodes may take over");
        self.stopping = Some(clock() + self.parts.drain_timeout);
        true
    }

    /// Looks at everything and does what follows. Returns whether the driver is done.
    fn pass(&mut self) -> bool {
        let now = clock();
        if self.retry.is_some_and(|retry| retry <= now) {
            self.retry = None;
        }
        let away = self.parts.intake.away_since();
        self.parts.metrics.stale(away.map_or(Duration::ZERO, |since| now.saturating_duration_since(since.into_std())));
        self.heard.age(away.is_some(), now);
        if !self.parts.intake.world().is_complete() {
            self.tell_lacking(vec!["a first view of the cluster"]);
            return self.stopping.is_some();
        }
        let links = self.parts.links.borrow_and_update().clone();
        let node = self.parts.node.clone();
        let myself = Myself { node: &node, links: &links, draining: self.stopping.is_some() };
        let _news = self.parts.intake.take_news();
        let picture = Picture::new(self.parts.intake.world(), myself);
        let past =
            Past { held: &self.duties.owned, relieved: self.heard.relieved(), silenced: &self.heard.silenced(now) };
        let mut duties = Duties::new(&picture, myself, past);
        if self.parts.guard.prepare(&picture.table, now).is_err() {
            // What the kernel can't guard must not draw traffic here; what it guards already goes on.
            duties.owned.retain(|vip, _| self.duties.owned.contains_key(vip));
        }
        self.announce(duties, &picture);
        self.report(&picture, &links);
        self.parts.guard.tidy(&picture.table, now);
        self.parts.metrics.passed(
            clock().saturating_duration_since(now),
            picture.table.vips.len(),
            self.duties.owned.len(),
            self.duties.leaving.len(),
        );
        self.is_done(away.is_some(), now)
    }

    fn announce(&mut self, duties: Duties, picture: &Picture) {
        for vip in duties.owned.keys().filter(|vip| !self.duties.owned.contains_key(vip)) {
            tracing::info!(%vip, "announcing");
        }
        for vip in self.duties.owned.keys().filter(|vip| !duties.owned.contains_key(vip)) {
            tracing::info!(%vip, "withdrawn");
        }
        for (vip, node) in duties.leaving.iter().filter(|(vip, _)| !self.duties.leaving.contains_key(vip)) {
            tracing::info!(%vip, %node, "answered here until that node announces it");
        }
        self.duties = duties;
        self.heard.follow(&self.duties, picture, &self.parts.node);
        let announcements =
            Announcements { owned: self.duties.owned.clone(), candidates: self.duties.candidates.clone() };
        self.parts.announcer.announcements().send_if_modified(|current| {
            let modified = *current != announcements;
            if modified {
                *current = announcements;
            }
            modified
        });
    }

    fn report(&mut self, picture: &Picture, links: &Links) {
        let now = timestamp();
        let world = self.parts.intake.world();
        let node = &self.parts.node;
        let records = world.ledger.records();
        let claimed = self.duties.owned.keys().filter(|vip| !self.duties.leaving.contains_key(vip)).filter_map(|vip| {
            report::claim(*vip, records.get(vip)?, node, &self.heard.announced(*vip, links), &picture.view, now)
        });
        let unowned = self.duties.unowned.iter();
        let unowned = unowned.filter_map(|(vip, why)| report::unowned(*vip, records.get(vip)?, why, now));
        let health = self.health(links);
        let missing = world.nodes.records().get(node);
        let speaker = match (world.speakers.records().get(node), missing) {
            (Some(record), _) => report::speaker(record, links, &health, now),
            (None, Some(record)) => Some(Report::CreateSpeaker { node_uid: record.uid.clone() }),
            (None, None) => None,
        };
        let due = speaker.into_iter().chain(claimed).chain(unowned).collect();
        let is_missing = missing.is_none();
        self.parts.writer.submit(due);
        self.say_missing(is_missing);
    }

    fn health(&self, links: &Links) -> Health {
        let wanted = self.parts.interfaces.wanted();
        let degraded = if links.is_empty() {
            Some((
                reason::NO_INTERFACE,
                format!("none of this node's Ethernet interfaces is named by --interfaces={wanted}: correct the flag"),
            ))
        } else if let Some(failure) = self.parts.guard.failure() {
            Some((reason::STEERING_FAILED, failure.to_owned()))
        } else {
            self.heard.hindrance(links).map(|hindrance| (reason::PACKET_SOCKET_FAILED, hindrance.to_owned()))
        };
        Health { draining: self.stopping.is_some(), stopped: false, degraded }
    }

    /// Tells what keeps this node from announcing anything, once.
    fn say_missing(&mut self, is_missing: bool) {
        if is_missing && !self.missing_said {
            let node = &self.parts.node;
            tracing::error!(%node, "there is no Node of this name: correct --node-name (NODE_NAME); nothing is announced");
        }
        self.missing_said = is_missing;
        let is_blind = self.parts.links.borrow().is_empty();
        if is_blind && !self.blind_said {
            let wanted = self.parts.interfaces.wanted();
            tracing::error!(
                interfaces = wanted,
                "no Ethernet interface is named by --interfaces: nothing is announced"
            );
        }
        self.blind_said = is_blind;
        self.tell_lacking(if is_missing { vec!["a Node of the name given by --node-name"] } else { Vec::new() });
    }

    fn tell_lacking(&self, lacking: Lacking) {
        self.parts.lacking.send_if_modified(|current| {
            let modified = *current != lacking;
            *current = lacking;
            modified
        });
    }

    /// Whether a stop has nothing to wait for any more.
    fn is_done(&self, away: bool, now: Instant) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let speakers = self.parts.intake.world().speakers.records();
        let told = speakers.get(&self.parts.node).is_none_or(|speaker| speaker.status.draining);
        if now >= deadline {
            let left = self.duties.leaving.len();
            tracing::warn!(left, "the time to stop is over; addresses that nobody took fall silent");
            return true;
        }
        away || (told && self.duties.leaving.is_empty())
    }

    /// Falls silent and says so.
    async fn end(mut self) {
        self.parts.announcer.announcements().send_replace(Announcements::default());
        let health = Health { draining: true, stopped: true, ..Health::default() };
        let links = self.parts.links.borrow().clone();
        let record = self.parts.intake.world().speakers.records().get(&self.parts.node);
        let last = record.and_then(|record| report::speaker(record, &links, &health, timestamp()));
        self.parts.writer.submit(last.into_iter().collect());
        let written = async {
            while !self.parts.writer.is_idle() {
                self.parts.writer.finished().await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, written).await.is_err() {
            tracing::warn!("stopped without a last word to the API server");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time comes in")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time comes in")]
fn timestamp() -> Timestamp {
    Timestamp::now()
}
