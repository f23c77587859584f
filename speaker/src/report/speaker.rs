//! What a speaker writes about itself: its interfaces, where it hears others, what it asked the wire, how it is.

use super::{Author, Report, with};
use crate::intake::SpeakerRecord;
use crate::picture;
use crate::situation::Probed;
use herald_api::condition::Verdict;
use herald_api::keys::{condition, reason};
use herald_api::speaker::{Endpoint, Probe, Segment, SpeakerStatus};
use herald_core::address::Vip;
use herald_core::link::Links;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::json;
use std::collections::BTreeMap;

/// The most interfaces, networks of one, and answers to probes that a `Speaker` can hold.
const MOST_SEGMENTS: usize = 128;
const MOST_SUBNETS: usize = 64;
const MOST_PROBES: usize = 64;

/// An answer to a probe that says the same as the one on record is written when that is so old: well before the
/// controller ceases to count on it, which is after 10 min. Or so far in the future: the clock has been set back.
const PROBE_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What the speaker has to say of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it gives its addresses away.
    pub draining: bool,
    /// What keeps it from announcing anything: a reason of the condition `Ready`, and the sentence.
    pub unable: Option<(&'static str, String)>,
    /// What doesn't work as it should: a reason of the condition `Degraded`, and the sentence.
    pub degraded: Option<(&'static str, String)>,
}

/// What else it reports.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How it is.
    pub health: &'a Health,
    /// The UDP port at which it hears others.
    pub port: u16,
    /// What the wire said about free addresses.
    pub probed: &'a BTreeMap<Vip, Probed>,
}

/// Says what this node has and how its speaker is. `None` if it is said already.
pub fn speaker(record: &SpeakerRecord, facts: Facts<'_>, author: Author<'_>) -> Option<Report> {
    let Facts { health, port, probed } = facts;
    let verdicts = [ready(health), degraded(health)];
    let mut status = SpeakerStatus {
        segments: segments(author.links),
        endpoints: endpoints(author.links, port),
        probes: probes(&record.status.probes, probed),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        draining: health.draining,
        conditions: record.status.conditions.clone(),
    };
    let said = verdicts.iter().all(|verdict| verdict.is_said_by(&record.status.conditions, None));
    if said && status == record.status {
        return None;
    }
    for verdict in &verdicts {
        status.conditions = with(&status.conditions, verdict, author.now);
    }
    // An absent list would stay as it was.
    let mut status = json!(status);
    if status.get("probes").is_none() {
        status["probes"] = json!([]);
    }
    Some(Report::Speaker { based_on: record.resource_version.clone(), patch: json!({ "status": status }) })
}

fn segments(links: &Links) -> Vec<Segment> {
    let segment = |link: &herald_core::link::Link| Segment {
        interface: link.name.to_string(),
        mac: link.mac.to_string(),
        subnets: link.addresses.iter().take(MOST_SUBNETS).map(|net| net.trunc().to_string()).collect(),
        carrier: link.carrier,
    };
    links.values().take(MOST_SEGMENTS).map(segment).collect()
}

fn endpoints(links: &Links, port: u16) -> Vec<Endpoint> {
    let links = links.values().take(MOST_SEGMENTS);
    let endpoints = links.flat_map(|link| picture::endpoints(link).map(move |address| (link, address)));
    endpoints
        .map(|(link, address)| Endpoint {
            interface: link.name.to_string(),
            address: address.to_string(),
            port: port.into(),
        })
        .collect()
}

/// The answers on record as long as they say the same and are not old; else all of them anew, so that many are one write.
fn probes(on_record: &[Probe], probed: &BTreeMap<Vip, Probed>) -> Vec<Probe> {
    let said: BTreeMap<&str, &Probe> = on_record.iter().map(|probe| (probe.address.as_str(), probe)).collect();
    let now: Vec<_> = probed
        .iter()
        .take(MOST_PROBES)
        .map(|(vip, probed)| Probe {
            address: vip.to_string(),
            at: MicroTime(probed.at),
            mac: probed.answer.map(|mac| mac.to_string()),
        })
        .collect();
    let is_said = |probe: &Probe| {
        said.get(probe.address.as_str())
            .is_some_and(|said| said.mac == probe.mac && probe.at.0.duration_since(said.at.0).abs() < PROBE_AFTER)
    };
    if now.len() == on_record.len() && now.iter().all(is_said) { on_record.to_vec() } else { now }
}

fn ready(health: &Health) -> Verdict {
    match &health.unable {
        Some((reason, message)) => Verdict::new(condition::READY, false, reason, message),
        None => Verdict::new(condition::READY, true, reason::READY, "the speaker announces what this node owns"),
    }
}

fn degraded(health: &Health) -> Verdict {
    match &health.degraded {
        Some((reason, message)) => Verdict::new(condition::DEGRADED, true, reason, message),
        None => Verdict::new(condition::DEGRADED, false, reason::ALL_WELL, "everything works as it should"),
    }
}
