//! What the driver counts. The announcer and steering register their own.

use crate::report::writer::Outcome;
use herald_api::virtual_ip::AnnouncementCause;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The driver's metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    known: Gauge,
    owned: Gauge,
    leaving: Gauge,
    moves: Family<MoveLabels, Counter>,
    writes: Family<WriteLabels, Counter>,
    passes: Counter,
    pass_seconds: Counter<f64, AtomicU64>,
    staleness: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MoveLabels {
    cause: Cause,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Cause {
    Allocated,
    Takeover,
    Handover,
    Moved,
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

impl Metrics {
    /// Makes them known.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("vips_known", "Addresses in the ledger", self.known.clone());
        registry.register("vips_owned", "Addresses this node announces", self.owned.clone());
        registry.register("vips_leaving", "Of these, addresses another node is to take over", self.leaving.clone());
        registry.register("moves", "Addresses this node began to announce, by cause", self.moves.clone());
        registry.register("status_writes", "Writes to the API server, by result", self.writes.clone());
        registry.register("passes", "Times everything was computed anew", self.passes.clone());
        registry.register("pass_seconds", "Time spent on it", self.pass_seconds.clone());
        registry.register(
            "api_staleness_seconds",
            "How long the API server has not answered; 0 while it does",
            self.staleness.clone(),
        );
    }

    /// A pass took so long, and ended with so many addresses.
    pub(crate) fn passed(&self, took: Duration, known: usize, owned: usize, leaving: usize) {
        self.passes.inc();
        self.pass_seconds.inc_by(took.as_secs_f64());
        for (gauge, count) in [(&self.known, known), (&self.owned, owned), (&self.leaving, leaving)] {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A write ended.
    pub(crate) fn wrote(&self, outcome: &Outcome) {
        let result = match outcome {
            Outcome::Written(_) => WriteResult::Written,
            Outcome::Outrun => WriteResult::Outrun,
            Outcome::Failed => WriteResult::Failed,
        };
        self.writes.get_or_create(&WriteLabels { result }).inc();
        if let Outcome::Written(Some(cause)) = outcome {
            let cause = match cause {
                AnnouncementCause::Allocated => Cause::Allocated,
                AnnouncementCause::Takeover => Cause::Takeover,
                AnnouncementCause::Handover => Cause::Handover,
                AnnouncementCause::Moved => Cause::Moved,
            };
            self.moves.get_or_create(&MoveLabels { cause }).inc();
        }
    }

    /// The API server has not answered for so long.
    pub(crate) fn stale(&self, age: Duration) {
        self.staleness.set(age.as_secs_f64());
    }
}
