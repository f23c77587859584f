//! The loop: wait for one thing, take in all that is there, compare, hand out what is to be done.
//!
//! Owns the state and both clocks. Every await is safe to abandon: an item is taken in before the next is awaited.

use crate::difference::{self, Now, Policy};
use crate::effects::{EffectKind, Lane, LaneKey, Notice, Subject, SubjectKind};
use crate::events::Events;
use crate::executor::Executor;
use crate::intake::{News, Troubles, Watches};
use crate::metrics::Metrics;
use crate::state::{Completion, Failure, FailureClass, State};
use futures::{FutureExt, StreamExt};
use herald_api::keys::reason;
use herald_core::allocation;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Lanes under way at once: about what a connection each can keep an API server busy with; more only wait there.
const LANES: usize = 16;

/// News taken in before a pass, at most: bounds how long a burst can put off the answer to its first item.
const BATCH: usize = 2_000;

/// A pass over everything although nothing happened.
const FULL_PASS_EVERY: Duration = Duration::from_mins(10);

/// A pass that is due while lists are missing is looked at again after this long; the lists themselves come unasked.
const REST_WITHOUT_LISTS: Duration = Duration::from_secs(1);

/// After a pass that took a time, the next one begins no sooner than this many times that time later. A pass over a few
/// Services takes microseconds, so nobody waits; one over ten thousand must not take the machine away from the API
/// server it writes to.
const REST: u32 = 3;

/// How long writes under way at the end may take.
const GRACE: Duration = Duration::from_secs(10);

/// The controller.
pub struct Driver {
    /// What is known.
    pub state: State,
    /// All watches.
    pub watches: Watches,
    /// Carries out.
    pub executor: Executor,
    /// Tells people.
    pub events: Events,
    /// What was configured.
    pub policy: Policy,
    /// Counts.
    pub metrics: Metrics,
    /// Says what readiness waits for.
    pub waiting_for: watch::Sender<Option<String>>,
    /// The API server's address, for the log.
    pub server: String,
}

/// What the loop keeps beside.
struct Turn {
    lanes: JoinSet<(Lane, Completion)>,
    troubles: Troubles,
    /// Something may have to be done.
    dirty: bool,
    /// A pass had more to do than fitted.
    more: bool,
    /// No pass before.
    rest_until: Instant,
    /// When the last pass began.
    passed: Instant,
    /// A pass at the latest.
    full_pass: Instant,
    /// Missing rights that were said.
    forbidden: BTreeSet<EffectKind>,
    /// What was said to be wrong with the keys of heartbeats.
    complaints: Vec<String>,
}

#[expect(clippy::disallowed_methods, reason = "the driver reads the clock for all others")]
fn now() -> Now {
    Now { wall: jiff::Timestamp::now(), monotonic: Instant::now() }
}

impl Driver {
    /// Runs until the token is cancelled, then waits for what is under way.
    pub async fn run(mut self, stop: CancellationToken) {
        let start = now().monotonic;
        let mut turn = Turn {
            lanes: JoinSet::new(),
            troubles: Troubles::default(),
            dirty: false,
            more: false,
            rest_until: start,
            passed: start,
            full_pass: start + FULL_PASS_EVERY,
            forbidden: BTreeSet::new(),
            complaints: Vec::new(),
        };
        loop {
            let wake = tokio::time::Instant::from_std(self.wake_at(&turn));
            tokio::select! {
                () = stop.cancelled() => break,
                Some(news) = self.watches.next() => self.take(&mut turn, news),
                Some(done) = turn.lanes.join_next() => self.finish(&mut turn, done),
                () = tokio::time::sleep_until(wake) => {
                    turn.dirty = true;
                    turn.full_pass = turn.full_pass.max(now().monotonic + REST_WITHOUT_LISTS);
                }
            }
            self.take_what_is_there(&mut turn);
            if turn.dirty && now().monotonic >= turn.rest_until && self.is_ready() {
                self.pass(&mut turn);
            }
        }
        self.drain(turn).await;
    }

    /// When to look again although nothing happens.
    fn wake_at(&self, turn: &Turn) -> Instant {
        if turn.dirty && self.state.waiting_for().is_empty() {
            return turn.rest_until;
        }
        // What was due when the last pass began was that pass's to deal with.
        let deadline = self.state.next_deadline(turn.passed);
        deadline.into_iter().fold(turn.full_pass, Instant::min).max(turn.rest_until)
    }

    fn take_what_is_there(&mut self, turn: &mut Turn) {
        for _ in 0..BATCH {
            match self.watches.next().now_or_never().flatten() {
                Some(news) => self.take(turn, news),
                None => break,
            }
        }
        while let Some(done) = turn.lanes.try_join_next() {
            self.finish(turn, done);
        }
    }

    fn take(&mut self, turn: &mut Turn, news: News) {
        match news {
            News::Observed(kind, observation) => {
                turn.troubles.well(kind);
                turn.dirty |= self.state.observe(*observation);
                self.complain_of_keys(turn);
            }
            News::Listing(observation) => turn.dirty |= self.state.observe(*observation),
            News::Idle(kind) => turn.troubles.well(kind),
            News::Trouble(kind, error) => {
                self.metrics.watch_failed(kind);
                turn.troubles.report(&self.server, kind, &error, now().monotonic);
            }
        }
    }

    /// Says, once, what is wrong with the Secret that holds the keys of heartbeats.
    fn complain_of_keys(&self, turn: &mut Turn) {
        let secret = self.state.secret.iter().next();
        let complaints = secret.map_or(&[][..], |(_, record)| record.complaints.as_slice());
        if turn.complaints == complaints {
            return;
        }
        if let Some((name, record)) = secret {
            let about = Subject {
                kind: SubjectKind::Secret,
                namespace: Some(self.policy.namespace.clone()),
                name: name.clone(),
                uid: record.seen.uid.clone(),
            };
            for complaint in complaints.iter().filter(|complaint| !turn.complaints.contains(complaint)) {
                tracing::error!("{complaint}");
                let reason = reason::HEARTBEAT_KEY_UNREADABLE.to_owned();
                self.events.tell(vec![Notice { about: about.clone(), warning: true, reason, note: complaint.clone() }]);
            }
        }
        turn.complaints = complaints.to_vec();
    }

    /// Whether everything has been listed at least once. Before that an address may look free that is not.
    fn is_ready(&self) -> bool {
        let missing = self.state.waiting_for();
        if missing.is_empty() {
            return true;
        }
        let text = format!("the list of {}", missing.join(", "));
        self.waiting_for.send_if_modified(|waiting| {
            let changed = waiting.as_ref() != Some(&text);
            *waiting = Some(text);
            changed
        });
        false
    }

    fn pass(&mut self, turn: &mut Turn) {
        let begun = now();
        self.state.review_network(begun.wall);
        let plan = allocation::plan(&self.state.cluster);
        let mut books = std::mem::take(&mut self.state.books);
        let capacity = LANES.saturating_sub(self.state.under_way());
        let difference = difference::between(&self.state, &plan, &self.policy, &mut books, begun, capacity);
        self.state.books = books;
        self.state.passes_over();
        for lane in difference.lanes {
            self.state.dispatched(&lane);
            turn.lanes.spawn(self.executor.clone().run(lane));
        }
        let refused = plan.services.values().filter(|outcome| outcome.refusal.is_some()).count();
        self.metrics.count_services(plan.services.len().saturating_sub(refused), refused);
        self.metrics.count_ledger(self.state.vips.len());
        self.metrics.count_pools(&plan.pools);
        self.metrics.count_network(self.state.cluster.silent.len(), self.state.cluster.occupied.len());
        self.metrics.count_keys(self.state.secret.values().map(|secret| secret.keys).sum());
        let took = now().monotonic.duration_since(begun.monotonic);
        self.metrics.passed(took);
        turn.dirty = false;
        turn.more = difference.more;
        turn.rest_until = begun.monotonic + took * (REST + 1);
        turn.passed = begun.monotonic;
        turn.full_pass = begun.monotonic + FULL_PASS_EVERY;
        if self.waiting_for.borrow().is_some() {
            tracing::info!(
                services = plan.services.len(),
                pools = plan.pools.len(),
                virtual_ips = self.state.vips.len(),
                "all lists are there, the first pass is done"
            );
            self.waiting_for.send_replace(None);
        }
    }

    fn finish(&mut self, turn: &mut Turn, done: Result<(Lane, Completion), tokio::task::JoinError>) {
        let (lane, completion) = match done {
            Ok(done) => done,
            // Lanes are never aborted, so this is a panic; the supervisor starts a process that knows nothing wrong.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match &completion.outcome {
            Ok(()) => self.events.tell(lane.notices),
            Err(failure) => self.report(turn, &lane.key, failure),
        }
        turn.dirty |= self.state.completed(completion, now().monotonic);
        // A pass for each freed place would be as many passes as lanes.
        turn.dirty |= turn.more && self.state.under_way() <= LANES / 2;
    }

    /// Says what a failure means: to the log, and in an event if it concerns a Service whose conditions can't tell.
    fn report(&mut self, turn: &mut Turn, lane: &LaneKey, failure: &Failure) {
        if let Some((service, uid)) = self.state.refuses(lane, failure)
            && !failure.effect.precedes_publication()
        {
            let about = Subject {
                kind: SubjectKind::Service,
                namespace: Some(service.namespace.to_string()),
                name: service.name.to_string(),
                uid: uid.clone(),
            };
            let note = format!("the API server refuses a write to the Service: {}", failure.message);
            self.events.tell(vec![Notice { about, warning: true, reason: reason::WRITE_REFUSED.to_owned(), note }]);
        }
        match failure.class {
            FailureClass::Conflict => {
                tracing::debug!(?lane, error = %failure, "had changed: look again");
            }
            FailureClass::Transient => tracing::warn!(?lane, error = %failure, "try again later"),
            FailureClass::Invalid => {
                tracing::error!(?lane, error = %failure, "the API server refuses this");
            }
            FailureClass::Forbidden if turn.forbidden.insert(failure.effect) => {
                let right = failure.effect.right();
                tracing::error!(
                    error = failure.message,
                    "missing right: {right}; give it to our account in the roles herald-controller (deploy/)"
                );
            }
            FailureClass::Forbidden => {}
        }
    }

    /// Lets what is under way come to its end: a lane that is cut short is finished by the next controller, but later.
    async fn drain(mut self, mut turn: Turn) {
        tracing::info!(under_way = turn.lanes.len(), "stopping");
        let end = tokio::time::Instant::now() + GRACE;
        loop {
            match tokio::time::timeout_at(end, turn.lanes.join_next()).await {
                Ok(Some(done)) => self.finish(&mut turn, done),
                Ok(None) => return,
                Err(_) => return tracing::warn!(left = turn.lanes.len(), "stopped with writes under way"),
            }
        }
    }
}
