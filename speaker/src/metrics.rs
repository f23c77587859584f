//! What the driver counts. The member and steering register their own.

use crate::report::writer::Outcome;
use crate::situation::{Situation, Verification};
use herald_core::liveness::Standing;
use herald_core::member::{self, Came, Tenure};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Upper bounds of the gaps of takeovers, in seconds: fine around what the profiles promise.
const GAPS: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 2.0, 3.5, 5.0, 10.0];

/// The driver's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    known: Gauge,
    vips: Family<VipLabels, Gauge>,
    conflicts: Gauge,
    peers: Family<PeerLabels, Gauge>,
    moves: Family<MoveLabels, Counter>,
    gaps: Histogram,
    verifications: Family<VerificationLabels, Counter>,
    lateness: Gauge<f64, AtomicU64>,
    able: Gauge,
    writes: Family<WriteLabels, Counter>,
    state_file_failures: Counter,
    passes: Counter,
    pass_seconds: Counter<f64, AtomicU64>,
    staleness: Gauge<f64, AtomicU64>,
    garbled_keys: Gauge,
    events_dropped: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VipLabels {
    state: VipState,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum VipState {
    Unowned,
    Probing,
    Announcing,
    Yielding,
    Suspended,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabels {
    standing: PeerStanding,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum PeerStanding {
    Unheard,
    Alive,
    Suspected,
    Gone,
    Starved,
    Dead,
    Left,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MoveLabels {
    cause: Cause,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Cause {
    Allocated,
    Resumed,
    Dead,
    Gone,
    Starved,
    Left,
    Unfit,
    Handover,
    Moved,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerificationLabels {
    answer: Answer,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Answer {
    Right,
    Wrong,
    None,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WriteLabels {
    result: WriteResult,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum WriteResult {
    Written,
    Outrun,
    Failed,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            known: Gauge::default(),
            vips: Family::default(),
            conflicts: Gauge::default(),
            peers: Family::default(),
            moves: Family::default(),
            gaps: Histogram::new(GAPS),
            verifications: Family::default(),
            lateness: Gauge::default(),
            able: Gauge::default(),
            writes: Family::default(),
            state_file_failures: Counter::default(),
            passes: Counter::default(),
            pass_seconds: Counter::default(),
            staleness: Gauge::default(),
            garbled_keys: Gauge::default(),
            events_dropped: Counter::default(),
        }
    }
}

impl Metrics {
    /// Makes them known.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("vips_known", "Addresses in the ledger", self.known.clone());
        registry.register("vips", "Addresses this node does something about, by what", self.vips.clone());
        registry.register("vip_conflicts", "Addresses that somebody else answers for", self.conflicts.clone());
        registry.register("peers", "Other nodes on each interface, by how they stand", self.peers.clone());
        registry.register("moves", "Addresses this node began to announce, by cause", self.moves.clone());
        let help = "From the last sign of life of the node before to the first announcement";
        registry.register_with_unit("move_gap", help, Unit::Seconds, self.gaps.clone());
        let help = "Questions to the network about other nodes' addresses, by answer";
        registry.register("verifications", help, self.verifications.clone());
        registry.register_with_unit(
            "last_lateness",
            "Of the last time it was late",
            Unit::Seconds,
            self.lateness.clone(),
        );
        registry.register("able", "1 while addresses announced here lead somewhere", self.able.clone());
        registry.register("status_writes", "Writes to the API server, by result", self.writes.clone());
        registry.register("state_file_failures", "Failed writes of --state-file", self.state_file_failures.clone());
        registry.register("passes", "Times the cluster was looked at anew", self.passes.clone());
        registry.register("pass_seconds", "Time spent on it", self.pass_seconds.clone());
        registry.register(
            "api_staleness_seconds",
            "How long the API server has not answered; 0 while it does",
            self.staleness.clone(),
        );
        registry.register("garbled_keys", "Entries of the Secret that can't be read", self.garbled_keys.clone());
        registry.register("events_dropped", "Kubernetes events not written in a burst", self.events_dropped.clone());
    }

    /// An event found no room among those that wait.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// A pass took so long, with so many addresses known.
    pub(crate) fn passed(&self, took: Duration, known: usize) {
        self.passes.inc();
        self.pass_seconds.inc_by(took.as_secs_f64());
        set(&self.known, known);
    }

    /// What the member says changed.
    pub(crate) fn situation(&self, situation: &Situation) {
        let states =
            [VipState::Unowned, VipState::Probing, VipState::Announcing, VipState::Yielding, VipState::Suspended];
        let mut counts = [0; 5];
        let mut conflicts = 0;
        for held in situation.vips().values() {
            conflicts += usize::from(held.state.conflict.is_some());
            let state = match held.state.tenure {
                Tenure::Idle => continue,
                Tenure::Unowned(_) => 0,
                Tenure::Probing => 1,
                Tenure::Announcing { .. } => 2,
                Tenure::Yielding { .. } => 3,
                Tenure::Suspended { .. } => 4,
            };
            counts[state] += 1;
        }
        for (state, count) in states.into_iter().zip(counts) {
            set(&self.vips.get_or_create(&VipLabels { state }), count);
        }
        set(&self.conflicts, conflicts);
        self.peers(situation);
    }

    fn peers(&self, situation: &Situation) {
        use PeerStanding::{Alive, Dead, Gone, Left, Starved, Suspected, Unheard};
        let of = |standing: &Standing| match standing {
            Standing::Unheard => Unheard,
            Standing::Alive(_) => Alive,
            Standing::Suspected => Suspected,
            Standing::Gone { .. } => Gone,
            Standing::Starved { .. } => Starved,
            Standing::Dead { .. } => Dead,
            Standing::Left => Left,
        };
        for standing in [Unheard, Alive, Suspected, Gone, Starved, Dead, Left] {
            let count = situation.peers().values().filter(|peer| of(peer) == standing).count();
            set(&self.peers.get_or_create(&PeerLabels { standing }), count);
        }
    }

    /// This node began to announce an address.
    pub(crate) fn moved(&self, came: &Came) {
        let cause = match came.cause {
            member::Cause::Allocated => Cause::Allocated,
            member::Cause::Resumed => Cause::Resumed,
            member::Cause::Dead => Cause::Dead,
            member::Cause::Gone => Cause::Gone,
            member::Cause::Starved => Cause::Starved,
            member::Cause::Left => Cause::Left,
            member::Cause::Unfit => Cause::Unfit,
            member::Cause::Handover => Cause::Handover,
            member::Cause::Moved => Cause::Moved,
        };
        self.moves.get_or_create(&MoveLabels { cause }).inc();
        if let (Some(gap), true) = (came.gap, came.from.is_some()) {
            self.gaps.observe(gap.as_secs_f64());
        }
    }

    /// The network was asked about another node's address.
    pub(crate) fn verified(&self, verification: &Verification) {
        let answer = match (verification.right, verification.answer) {
            (true, _) => Answer::Right,
            (false, Some(_)) => Answer::Wrong,
            (false, None) => Answer::None,
        };
        self.verifications.get_or_create(&VerificationLabels { answer }).inc();
    }

    /// This node was late.
    pub(crate) fn late(&self, lateness: Duration) {
        self.lateness.set(lateness.as_secs_f64());
    }

    /// Whether this node can serve, and how many keys can't be read.
    pub(crate) fn health(&self, able: bool, garbled_keys: usize) {
        self.able.set(able.into());
        set(&self.garbled_keys, garbled_keys);
    }

    /// A write ended.
    pub(crate) fn wrote(&self, outcome: Outcome) {
        let result = match outcome {
            Outcome::Written => WriteResult::Written,
            Outcome::Outrun => WriteResult::Outrun,
            Outcome::Failed => WriteResult::Failed,
        };
        self.writes.get_or_create(&WriteLabels { result }).inc();
    }

    /// The state file could not be written.
    pub(crate) fn state_file_failed(&self) {
        self.state_file_failures.inc();
    }

    /// The API server has not answered for so long.
    pub(crate) fn stale(&self, age: Duration) {
        self.staleness.set(age.as_secs_f64());
    }
}

fn set(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}
