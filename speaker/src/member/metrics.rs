//! What the member counts. Labels are kinds and reasons, never addresses.

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

    /// A heartbeat was opened.
    pub(super) fn beat_received(&self) {
        self.beats.received.inc();
    }

    /// A datagram was no heartbeat for this node.
    pub(super) fn beat_dropped(&self, reason: &'static str) {
        self.beats.dropped.get_or_create(&[("reason", reason)]).inc();
    }

    /// A peer's kernel has refused a heartbeat.
    pub(super) fn beat_refused(&self) {
        self.beats.refused.inc();
    }

    /// A heartbeat has left.
    pub(super) fn beat_sent(&self) {
        self.beats.sent.inc();
    }

    /// A heartbeat has not left.
    pub(super) fn beat_unsent(&self, reason: &'static str) {
        self.beats.unsent.get_or_create(&[("reason", reason)]).inc();
    }

    /// A kernel has answered an echo request.
    pub(super) fn echo_received(&self) {
        self.beats.echoes.inc();
    }

    /// The member acted so late.
    pub(super) fn late(&self, lateness: Duration) {
        self.beats.lateness.observe(lateness.as_secs_f64());
    }
}

/// Counters of heartbeats.
#[derive(Clone, Debug)]
struct Beats {
    received: Counter,
    dropped: ByKind,
    refused: Counter,
    sent: Counter,
    unsent: ByKind,
    echoes: Counter,
    lateness: Histogram,
}

impl Default for Beats {
    fn default() -> Self {
        // 0.1 ms to 13 s, tripling: from 100 ms on a speaker doesn't trust its own judgement for a while.
        let buckets = std::iter::successors(Some(1e-4), |bound| Some(bound * 3.0)).take(11);
        Self {
            received: Counter::default(),
            dropped: ByKind::default(),
            refused: Counter::default(),
            sent: Counter::default(),
            unsent: ByKind::default(),
            echoes: Counter::default(),
            lateness: Histogram::new(buckets),
        }
    }
}

impl Beats {
    fn register(&self, registry: &mut Registry) {
        let Self { received, dropped, refused, sent, unsent, echoes, lateness } = self;
        let mut register = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        register("heartbeats_sent", "Messages sent to other speakers", sent);
        register("heartbeats_received", "Messages of other speakers that were authentic and for this node", received);
        register("heartbeats_refused", "Messages that a peer's kernel refused (ICMP port unreachable)", refused);
        register("echo_replies", "Answers of kernels to this node's echo requests", echoes);
        let mut register = |name: &str, help: &str, family: &ByKind| registry.register(name, help, family.clone());
        register("heartbeats_unsent", "Messages that could not be sent, by reason", unsent);
        register("heartbeats_dropped", "Datagrams dropped as no message for this node, by reason", dropped);
        registry.register(
            "lateness_seconds",
            "How long after it was due this node's fast path did something",
            lateness.clone(),
        );
    }
}
