//! Nodes, `Speaker`s and `L2Advertisement`s as ownership sees them.

use crate::condition::status;
use crate::keys::{self, condition};
use crate::l2_advertisement::L2AdvertisementSpec;
use crate::slim::Node;
use crate::speaker::{self, SpeakerStatus};
use herald_core::names::{InterfaceName, PoolName};
use herald_core::ownership::{Advertisement, Bar, InterfacePattern, Preference, Segment};
use herald_core::selector::Selector;

/// Why the node must not announce anything; `None` = it may.
pub fn bar(node: &Node) -> Option<Bar> {
    if node.metadata.deletion_timestamp.is_some() {
        Some(Bar::Deletion)
    } else if is_labelled(node, keys::EXCLUDE_NODE_LABEL) {
        Some(Bar::Label)
    } else if node.spec.taints.iter().any(|taint| taint.key == keys::DELETION_TAINT) {
        Some(Bar::Taint)
    } else if node.ready() != Some(true) {
        Some(Bar::NotReady)
    } else {
        None
    }
}

/// Whether somebody wants the node to give its addresses away.
pub fn is_draining(node: &Node) -> bool {
    is_labelled(node, keys::DRAIN_NODE_LABEL)
}

/// Anything that is no boolean counts as true: the exclusion label once counted by its mere presence.
fn is_labelled(node: &Node, label: &str) -> bool {
    let value = node.metadata.labels.as_ref().and_then(|labels| labels.get(label));
    value.is_some_and(|value| parse_bool(value).unwrap_or(true))
}

/// The spellings of booleans that Kubernetes accepts in labels.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Whether the speaker announces and goes on doing so.
pub fn runs(speaker: &SpeakerStatus) -> bool {
    !speaker.draining && speaker.conditions.iter().any(|is| is.type_ == condition::READY && is.status == status(true))
}

/// The interfaces that the speaker reports. A subnet or an address that can't be read is left out.
pub fn segments(speaker: &SpeakerStatus) -> Vec<Segment> {
    let segment = |reported: &speaker::Segment| Segment {
        interface: InterfaceName::new(&reported.interface),
        subnets: reported.subnets.iter().filter_map(|subnet| subnet.parse().ok()).collect(),
        carrier: reported.carrier,
        mac: reported.mac.parse().ok(),
        addresses: speaker
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.interface == reported.interface)
            .filter_map(|endpoint| endpoint.address.parse().ok())
            .collect(),
    };
    speaker.segments.iter().map(segment).collect()
}

/// Reads an advertisement.
pub fn advertisement(spec: &L2AdvertisementSpec) -> Advertisement {
    let preferred = spec.preferred_nodes.iter();
    Advertisement {
        pools: spec.pools.iter().map(PoolName::new).collect(),
        pool_selector: spec.pool_selector.as_ref().map(Selector::from),
        service_selector: spec.service_selector.as_ref().map(Selector::from),
        node_selectors: spec.node_selectors.iter().map(Selector::from).collect(),
        preferred_nodes: preferred
            .map(|preferred| Preference { weight: preferred.weight, nodes: Selector::from(&preferred.selector) })
            .collect(),
        interfaces: spec.interfaces.iter().map(InterfacePattern::new).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn bar_of(metadata: &Value, spec: &Value, ready: &str) -> Option<Bar> {
        let status = json!({ "conditions": [{ "type": "Ready", "status": ready }] });
        bar(&serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap())
    }

    #[test]
    fn the_exclusion_label_is_a_boolean_and_anything_else_excludes() {
        for (value, excluded) in
            [("false", false), ("False", false), ("0", false), ("true", true), ("", true), ("no", true)]
        {
            let metadata = json!({ "name": "n", "labels": { keys::EXCLUDE_NODE_LABEL: value } });
            assert_eq!(bar_of(&metadata, &json!({}), "True"), excluded.then_some(Bar::Label), "{value:?}");
            let metadata = json!({ "name": "n", "labels": { keys::DRAIN_NODE_LABEL: value } });
            let node = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
            assert_eq!((is_draining(&node), bar(&node)), (excluded, Some(Bar::NotReady)), "{value:?}");
        }
    }

    #[test]
    fn a_node_about_to_go_or_not_ready_is_barred_and_a_cordoned_one_is_not() {
        let metadata = || json!({ "name": "n" });
        assert_eq!(bar_of(&metadata(), &json!({ "unschedulable": true }), "True"), None);
        assert_eq!(bar_of(&metadata(), &json!({}), "Unknown"), Some(Bar::NotReady));
        assert_eq!(bar_of(&metadata(), &json!({}), "False"), Some(Bar::NotReady));
        let taints = json!({ "taints": [{ "key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule" }] });
        assert_eq!(bar_of(&metadata(), &taints, "True"), Some(Bar::Taint));
        let leaving = json!({ "name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z" });
        assert_eq!(bar_of(&leaving, &json!({}), "True"), Some(Bar::Deletion));
    }

    #[test]
    fn a_speaker_runs_when_it_is_ready_and_not_draining() {
        let runs = |ready: &str, draining: bool| {
            let status: SpeakerStatus = serde_json::from_value(json!({
                "segments": [], "version": "0.1.0", "draining": draining,
                "conditions": [{ "type": "Ready", "status": ready, "reason": "Ready", "message": "",
                                 "lastTransitionTime": "2026-01-01T00:00:00Z" }],
            }))
            .unwrap();
            runs(&status)
        };
        assert_eq!((runs("True", false), runs("True", true), runs("False", false)), (true, false, false));
    }
}
