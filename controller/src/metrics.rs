//! The controller's metrics, all prefixed `herald_controller_`. Labels come from configuration (pools) or from the
//! code, never from Services, so their number is bounded.

use crate::effects::EffectKind;
use herald_core::allocation::{Counts, PoolReport};
use herald_core::names::PoolName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::time::Duration;

/// Seconds. A write to an idle API server takes a few milliseconds; the last bucket is the time limit of a call.
const CALL_SECONDS: [f64; 9] = [0.002, 0.004, 0.008, 0.016, 0.05, 0.2, 1.0, 5.0, 15.0];

/// Seconds. A pass takes 0.1 ms with a few Services and some milliseconds with ten thousand.
const PASS_SECONDS: [f64; 8] = [0.0001, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1, 1.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    effect: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabel {
    effect: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: String,
    family: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The controller's metrics. Clones share their values.
#[derive(Clone)]
pub struct Metrics {
    passes: Counter,
    pass_seconds: Histogram,
    effects: Family<EffectLabels, Counter>,
    effect_seconds: Family<EffectLabel, Histogram, fn() -> Histogram>,
    watch_errors: Family<KindLabel, Counter>,
    events_dropped: Counter,
    services: Family<StateLabel, Gauge>,
    ledger: Gauge,
    pool_addresses: Family<PoolLabels, Gauge>,
    probed: Family<StateLabel, Gauge>,
    heartbeat_keys: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            passes: Counter::default(),
            pass_seconds: Histogram::new(PASS_SECONDS),
            effects: Family::default(),
            effect_seconds: Family::new_with_constructor(call_histogram),
            watch_errors: Family::default(),
            events_dropped: Counter::default(),
            services: Family::default(),
            ledger: Gauge::default(),
            pool_addresses: Family::default(),
            probed: Family::default(),
            heartbeat_keys: Gauge::default(),
        }
    }
}

fn call_histogram() -> Histogram {
    Histogram::new(CALL_SECONDS)
}

impl Metrics {
    /// Adds all of them to the registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("herald_controller");
        registry.register("passes", "Comparisons of the whole cluster with what it should be", self.passes.clone());
        registry.register_with_unit("pass", "Time of one pass", Unit::Seconds, self.pass_seconds.clone());
        registry.register("effects", "Writes to the API server", self.effects.clone());
        let help = "Time of one write, from sending to its answer";
        registry.register_with_unit("effect", help, Unit::Seconds, self.effect_seconds.clone());
        registry.register("watch_errors", "Broken or refused watches", self.watch_errors.clone());
        let help = "Events not written because too many were waiting";
        registry.register("events_dropped", help, self.events_dropped.clone());
        registry.register("services", "Services that are ours", self.services.clone());
        registry.register("virtual_ips", "Addresses in use", self.ledger.clone());
        registry.register("pool_addresses", "Addresses of pools", self.pool_addresses.clone());
        let help = "Addresses that speakers asked the network for, by what they heard";
        registry.register("probed_addresses", help, self.probed.clone());
        registry.register("heartbeat_keys", "Keys that speakers can seal heartbeats with", self.heartbeat_keys.clone());
    }

    /// Counts a pass.
    pub fn passed(&self, took: Duration) {
        self.passes.inc();
        self.pass_seconds.observe(took.as_secs_f64());
    }

    /// Counts a write; `outcome` is `ok` or the class of the failure.
    pub fn effected(&self, effect: EffectKind, outcome: &'static str, took: Duration) {
        self.effects.get_or_create(&EffectLabels { effect: effect.name(), outcome }).inc();
        self.effect_seconds.get_or_create(&EffectLabel { effect: effect.name() }).observe(took.as_secs_f64());
    }

    /// Counts a watch that failed.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// Counts an event that was not written.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Shows how many Services have what they ask for, and how many don't.
    pub fn count_services(&self, allocated: usize, pending: usize) {
        for (state, count) in [("allocated", allocated), ("pending", pending)] {
            self.services.get_or_create(&StateLabel { state }).set(gauge(count));
        }
    }

    /// Shows how many addresses are in use.
    pub fn count_ledger(&self, entries: usize) {
        self.ledger.set(gauge(entries));
    }

    /// Shows how many addresses are known to be free, and how many somebody else has.
    pub fn count_network(&self, silent: usize, occupied: usize) {
        for (state, count) in [("silent", silent), ("occupied", occupied)] {
            self.probed.get_or_create(&StateLabel { state }).set(gauge(count));
        }
    }

    /// Shows how many keys of heartbeats there are.
    pub fn count_keys(&self, keys: usize) {
        self.heartbeat_keys.set(gauge(keys));
    }

    /// Shows the counts of exactly these pools.
    pub fn count_pools(&self, pools: &BTreeMap<PoolName, PoolReport>) {
        self.pool_addresses.clear();
        for (pool, report) in pools {
            self.count_pool(pool, "IPv4", report.ipv4);
            self.count_pool(pool, "IPv6", report.ipv6);
        }
    }

    fn count_pool(&self, pool: &PoolName, family: &'static str, counts: Counts) {
        let states = [("total", counts.total), ("assigned", counts.assigned), ("available", counts.available)];
        for (state, count) in states {
            let labels = PoolLabels { pool: pool.to_string(), family, state };
            self.pool_addresses.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_pools_series_vanish_with_the_pool() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let text = |metrics: &Metrics, pools: &[&str]| {
            let report = PoolReport { ipv4: Counts { total: 7, assigned: 3, available: 4 }, ..PoolReport::default() };
            let pools = pools.iter().map(|pool| (PoolName::new(pool), report.clone())).collect();
            metrics.count_pools(&pools);
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let both = text(&metrics, &["lan", "dmz"]);
        let line = r#"herald_controller_pool_addresses{pool="lan",family="IPv4",state="available"} 4"#;
        assert!(both.contains(line), "{both}");
        let one = text(&metrics, &["dmz"]);
        assert!(!one.contains("lan") && one.contains("dmz"), "{one}");
    }
}
