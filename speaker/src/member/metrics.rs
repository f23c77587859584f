//! What the member counts. Labels are kinds and reasons, never addresses.

mod beats;

pub(super) use beats::Beats;

use herald_core::announce::Verdict;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

type ByKind = Family<[(&'static str, &'static str); 1], Counter>;

/// Counters of frames and heartbeats. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    beats: Beats,
    received: ByKind,
    malformed: ByKind,
    translated: Counter,
    sent: ByKind,
    unsent: ByKind,
    latency: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        // 20 us to 164 ms, doubling: an answer should take well under a millisecond.
        let buckets = std::iter::successors(Some(20e-6), |bound| Some(bound * 2.0)).take(14);
        Self {
            beats: Beats::default(),
            received: ByKind::default(),
            malformed: ByKind::default(),
            translated: Counter::default(),
            sent: ByKind::default(),
            unsent: ByKind::default(),
            latency: Histogram::new(buckets),
        }
    }
}

impl Metrics {
    /// Shows the metrics in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let Self { beats, received, malformed, translated, sent, unsent, latency } = self;
        beats.register(registry);
        let mut register = |name: &str, help: &str, family: &ByKind| registry.register(name, help, family.clone());
        register("frames_received", "ARP and neighbour discovery frames heard, by what became of them", received);
        register("frames_malformed", "Frames dropped because they are malformed, by reason", malformed);
        register("frames_sent", "Frames sent, by kind", sent);
        register("frames_unsent", "Frames the kernel did not take, by kind", unsent);
        registry.register(
            "frames_translated",
            "Frames whose Ethernet source is not the sender they name",
            translated.clone(),
        );
        registry.register(
            "answer_latency_seconds",
            "From a question's arrival in the kernel to its answer's departure",
            latency.clone(),
        );
    }

    pub(super) fn received(&self, verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Answered => "answered",
            Verdict::Limited => "rate_limited",
            Verdict::Overheard => "overheard",
            Verdict::Rival => "rival",
            Verdict::Translated => "translated",
            Verdict::Stale => "stale",
            Verdict::Unconcerned => "unconcerned",
        };
        self.received.get_or_create(&[("verdict", verdict)]).inc();
    }

    pub(super) fn malformed(&self, reason: &'static str) {
        self.malformed.get_or_create(&[("reason", reason)]).inc();
    }

    pub(super) fn translated(&self) {
        self.translated.inc();
    }

    pub(super) fn sent(&self, kind: &'static str) {
        self.sent.get_or_create(&[("kind", kind)]).inc();
    }

    pub(super) fn unsent(&self, kind: &'static str) {
        self.unsent.get_or_create(&[("kind", kind)]).inc();
    }

    pub(super) fn answered_after(&self, latency: Duration) {
        self.latency.observe(latency.as_secs_f64());
    }

    /// Those of heartbeats.
    pub(super) const fn beats(&self) -> &Beats {
        &self.beats
    }
}
