//! The loop: wait for one thing to happen, look at what has changed, do what follows.
//!
//! Owns the state between two passes and the order of effects: rules into the kernel, then the outlook to the member, then
//! reports; rules out of the kernel later. Decides nothing: who has which address is the member's affair, and goes on without
//! this loop.

mod pass;
mod telling;

use crate::admin::Lacking;
use crate::args::InterfaceChoice;
use crate::events::Events;
use crate::guard::Guard;
use crate::intake::{Intake, News};
use crate::kube_proxy;
use crate::member::Member;
use crate::metrics::Metrics;
use crate::namesake::Namesake;
use crate::picture::Picture;
use crate::report::speaker::Health;
use crate::report::writer::{Object, Outcome, Writer};
use crate::settings::Settings;
use crate::situation::{Moment, Situation};
use crate::state_file::StateFile;
use herald_core::link::Links;
use herald_core::member::{Outlook, Tenure};
use herald_core::names::NodeName;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The pause before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Everything is computed anew at least this often, whatever the watches say or miss.
const FULL_PASS: Duration = Duration::from_mins(1);
/// An API server that has not told everything by then is done without, if there is a view of an earlier life.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the wire said about free addresses is gathered for so long before it is written.
const GATHER_PROBES: Duration = Duration::from_secs(1);
/// How long a stop looks for somebody who can take an address before it gives up.
const NOBODY_AFTER: Duration = Duration::from_millis(1500);
/// How long the last words to other speakers and to the API server may take.
const FAREWELL: Duration = Duration::from_millis(300);
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the driver works with.
pub struct Parts {
    /// This node.
    pub node: NodeName,
    /// The namespace that Herald runs in.
    pub namespace: String,
    /// Which of its interfaces are used.
    pub interfaces: InterfaceChoice,
    /// The UDP port of heartbeats.
    pub heartbeat_port: u16,
    /// How long a stop may wait for others.
    pub drain_timeout: Duration,
    /// The cluster.
    pub intake: Intake,
    /// The view of an earlier life.
    pub state_file: StateFile,
    /// The interfaces that may announce.
    pub links: watch::Receiver<Links>,
    /// What kube-proxy says.
    pub kube_proxy: watch::Receiver<kube_proxy::Health>,
    /// What holds for all speakers.
    pub settings: Settings,
    /// The wire.
    pub member: Member,
    /// The kernel.
    pub guard: Guard,
    /// The way to the API server.
    pub writer: Writer,
    /// The way to people.
    pub events: Events,
    /// The counters.
    pub metrics: Metrics,
    /// Where readiness is told.
    pub lacking: watch::Sender<Lacking>,
}

/// The member's thread has ended, and with it the reason to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the thread that announces addresses ended; see the line before")]
pub struct MemberEnded;

/// The driver.
pub struct Driver {
    parts: Parts,
    picture: Picture,
    situation: Situation,
    namesake: Namesake,
    links: Links,
    kube_proxy: kube_proxy::Health,
    /// What was different in passes that had nothing to work with yet.
    news: News,
    /// What the member was told last.
    told: Arc<Outlook>,
    health: Health,
    stopping: Option<Stopping>,
    timers: Timers,
    missing_said: bool,
    blind_said: bool,
}

/// A stop under way.
#[derive(Clone, Copy, Debug)]
struct Stopping {
    since: Instant,
    deadline: Instant,
}

/// When to come back, besides what others wait for.
#[derive(Clone, Copy, Debug, Default)]
struct Timers {
    /// To write again what failed.
    retry: Option<Instant>,
    /// To do without the API server.
    recall: Option<Instant>,
    /// To look at everything.
    full: Option<Instant>,
    /// To write what this node has to say of itself.
    myself: Option<Instant>,
}

impl Driver {
    /// With nothing done yet.
    pub fn new(parts: Parts) -> Self {
        let timers = Timers { recall: clock().checked_add(PATIENCE), ..Timers::default() };
        let links = parts.links.borrow().clone();
        Self {
            parts,
            picture: Picture::default(),
            situation: Situation::default(),
            namesake: Namesake::default(),
            links,
            kube_proxy: kube_proxy::Health::default(),
            news: News::default(),
            told: Arc::default(),
            health: Health::default(),
            stopping: None,
            timers,
            missing_said: false,
            blind_said: false,
        }
    }

    /// Runs until told to stop and every address that somebody else can take is taken, or the time for that is over.
    ///
    /// # Errors
    /// The member has ended.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), MemberEnded> {
        loop {
            let due = tokio::time::Instant::from_std(self.next_deadline());
            let parts = &mut self.parts;
            tokio::select! {
                () = parts.intake.changed() => {}
                changed = parts.links.changed() => changed.map_err(|_| MemberEnded)?,
                Ok(()) = parts.kube_proxy.changed() => {}
                event = parts.member.events.recv() => {
                    let event = event.ok_or(MemberEnded)?;
                    self.hear(event);
                }
                outcome = parts.writer.finished() => self.wrote(outcome),
                failed = parts.state_file.written(clock) => if failed { parts.metrics.state_file_failed() },
                () = stop.cancelled(), if self.stopping.is_none() => self.begin_to_stop(),
                () = tokio::time::sleep_until(due) => {}
            }
            while let Ok(event) = self.parts.member.events.try_recv() {
                self.hear(event);
            }
            if self.pass() {
                self.end().await;
                return Ok(());
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let now = clock();
        let Timers { retry, recall, full, myself } = self.timers;
        let stop = self.stopping.map(|stop| {
            let patience = stop.since.checked_add(NOBODY_AFTER).filter(|patience| *patience > now);
            patience.map_or(stop.deadline, |patience| patience.min(stop.deadline))
        });
        let parts = &self.parts;
        let deadlines = [
            retry,
            recall,
            full,
            myself,
            stop,
            self.situation.next_deadline(),
            parts.guard.next_deadline(),
            parts.state_file.next_deadline(now),
        ];
        deadlines.into_iter().flatten().min().map_or(now + FULL_PASS, |due| due.min(now + FULL_PASS))
    }

    fn wrote(&mut self, outcome: Outcome) {
        self.parts.metrics.wrote(outcome);
        if outcome == Outcome::Failed {
            self.timers.retry = clock().checked_add(RETRY);
            self.parts.intake.doubt();
        }
    }

    fn begin_to_stop(&mut self) {
        let held = self.situation.vips().values().filter(|held| held.state.tenure.is_held()).count();
        tracing::info!(held, "stopping: other nodes may take over");
        let since = clock();
        self.stopping = Some(Stopping { since, deadline: since + self.parts.drain_timeout });
    }

    /// Whether a stop has nothing to wait for any more.
    fn is_done(&self, now: Instant) -> bool {
        let Some(stop) = self.stopping else { return false };
        let held = self.situation.vips().values().map(|held| &held.state.tenure).filter(|tenure| tenure.is_held());
        let is_nobodys = |tenure: &&Tenure| matches!(tenure, Tenure::Yielding { to: None, .. });
        let (nobodys, left): (Vec<_>, Vec<_>) = held.partition(is_nobodys);
        if now >= stop.deadline && !(left.is_empty() && nobodys.is_empty()) {
            let left = left.len() + nobodys.len();
            tracing::warn!(left, "the time to stop is over; addresses that nobody took fall silent");
            return true;
        }
        // The member knows that this is the end once it has said so of some address, or has none.
        left.is_empty() && (nobodys.is_empty() || now.saturating_duration_since(stop.since) >= NOBODY_AFTER)
    }

    /// Falls silent and says so.
    async fn end(mut self) {
        let farewell = tokio::time::sleep_until((clock() + FAREWELL).into());
        self.health = self.assess(true);
        let (said, ()) = tokio::join!(tokio::time::timeout(LAST_WORDS, self.say_last_words()), farewell);
        if said.is_err() || self.parts.intake.away_since().is_some() {
            tracing::warn!("stopped without a last word to the API server");
        }
    }

    /// Writes how this node is now, after whatever else is being written about it, and then what there is left to write.
    async fn say_last_words(&mut self) {
        while !self.parts.writer.is_idle() {
            self.parts.writer.finished().await;
        }
        self.parts.writer.insist_on(Object::Speaker);
        self.write();
        while !self.parts.writer.is_idle() {
            self.parts.writer.finished().await;
            self.write();
        }
    }
}

fn moment() -> Moment {
    Moment { instant: clock(), timestamp: timestamp() }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time comes in")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time comes in")]
fn timestamp() -> Timestamp {
    Timestamp::now()
}
