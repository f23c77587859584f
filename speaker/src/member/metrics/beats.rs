//! What is counted about heartbeats, and what the member makes of them.

use super::ByKind;
use herald_core::liveness::Counts;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Counters of heartbeats. Clones count together.
#[derive(Clone, Debug)]
pub(in crate::member) struct Beats {
    received: Counter,
    dropped: ByKind,
    refused: Counter,
    sent: Counter,
    unsent: ByKind,
    echoes: Counter,
    verdicts: ByKind,
    duplicates: Counter,
    lateness: Histogram,
}

impl Default for Beats {
    fn default() -> Self {
        // 0.1 ms to 6 s, tripling: from 100 ms on a speaker doesn't trust its own judgement for a while.
        let buckets = std::iter::successors(Some(1e-4), |bound| Some(bound * 3.0)).take(11);
        Self {
            received: Counter::default(),
            dropped: ByKind::default(),
            refused: Counter::default(),
            sent: Counter::default(),
            unsent: ByKind::default(),
            echoes: Counter::default(),
            verdicts: ByKind::default(),
            duplicates: Counter::default(),
            lateness: Histogram::new(buckets),
        }
    }
}

impl Beats {
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { received, dropped, refused, sent, unsent, echoes, verdicts, duplicates, lateness } = self;
        let mut register = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        register("heartbeats_sent", "Messages sent to other speakers", sent);
        register("heartbeats_received", "Messages of other speakers that were authentic and for this node", received);
        register("heartbeats_refused", "Messages that a peer's kernel refused (ICMP port unreachable)", refused);
        register("echo_replies", "Answers of kernels to this node's echo requests", echoes);
        register("duplicate_names", "Times that two processes spoke under one node's name", duplicates);
        let mut register = |name: &str, help: &str, family: &ByKind| registry.register(name, help, family.clone());
        register("heartbeats_unsent", "Messages that could not be sent, by reason", unsent);
        register("heartbeats_dropped", "Datagrams and messages that were not believed, by reason", dropped);
        register(
            "verdicts",
            "What became of peers that were silent or accused, and of accusations of this node",
            verdicts,
        );
        let help = "How long after it was due this node's fast path acted";
        registry.register("lateness_seconds", help, lateness.clone());
    }

    /// A message was opened.
    pub(in crate::member) fn received(&self) {
        self.received.inc();
    }

    /// A datagram was no message for this node.
    pub(in crate::member) fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&[("reason", reason)]).inc();
    }

    /// A peer's kernel has refused a message.
    pub(in crate::member) fn refused(&self) {
        self.refused.inc();
    }

    /// A message has left.
    pub(in crate::member) fn sent(&self) {
        self.sent.inc();
    }

    /// A message has not left.
    pub(in crate::member) fn unsent(&self, reason: &'static str) {
        self.unsent.get_or_create(&[("reason", reason)]).inc();
    }

    /// A kernel has answered an echo request.
    pub(in crate::member) fn echoed(&self) {
        self.echoes.inc();
    }

    /// The member acted so late.
    pub(in crate::member) fn late(&self, lateness: Duration) {
        self.lateness.observe(lateness.as_secs_f64());
    }

    /// What has been counted on an interface, of which `before` is counted here already. An interface that was made again
    /// begins at nothing.
    pub(in crate::member) fn follow(&self, before: &Counts, now: &Counts) {
        let dropped = [
            ("stranger", before.strangers, now.strangers),
            ("own_name", before.impostors, now.impostors),
            ("replayed", before.replayed, now.replayed),
            ("superseded", before.superseded, now.superseded),
            ("unproven", before.unproven, now.unproven),
        ];
        let verdicts = [
            ("suspected", before.suspected, now.suspected),
            ("acquitted", before.acquitted, now.acquitted),
            ("withdrawn", before.dropped, now.dropped),
            ("gone", before.gone, now.gone),
            ("starved", before.starved, now.starved),
            ("dead", before.dead, now.dead),
            ("unconfirmed", before.unconfirmed, now.unconfirmed),
            ("told", before.told, now.told),
            ("refuted", before.refuted, now.refuted),
        ];
        for (family, label, counts) in [(&self.dropped, "reason", &dropped[..]), (&self.verdicts, "verdict", &verdicts)]
        {
            for (kind, before, now) in counts {
                match grown(*before, *now) {
                    0 => {}
                    more => drop(family.get_or_create(&[(label, kind)]).inc_by(more)),
                }
            }
        }
        self.duplicates.inc_by(grown(before.duplicates, now.duplicates));
    }
}

fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(beats: &Beats) -> String {
        let mut registry = Registry::default();
        beats.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn what_was_counted_before_is_not_counted_again_and_a_new_interface_begins_at_nothing() {
        let beats = Beats::default();
        let before = Counts { replayed: 3, suspected: 1, ..Counts::default() };
        beats.follow(&Counts::default(), &before);
        beats.follow(&before, &Counts { replayed: 5, ..before });
        beats.follow(&Counts { replayed: 5, ..before }, &Counts { replayed: 1, ..Counts::default() });
        let text = shown(&beats);
        assert!(text.contains("heartbeats_dropped_total{reason=\"replayed\"} 6"), "{text}");
        assert!(text.contains("verdicts_total{verdict=\"suspected\"} 1"), "{text}");
        assert!(!text.contains("stranger"), "what never happened has no series: {text}");
    }
}
