use super::*;
use serde_json::{Value, json};

fn bar(node_as: Value) -> Option<Bar> {
    match node(serde_json::from_value(node_as).unwrap()) {
        Reading::Record(record) => record.bar,
        other => panic!("{other:?}"),
    }
}

fn node_with(metadata: &Value, spec: &Value, ready: &str) -> Value {
    json!({ "metadata": metadata, "spec": spec, "status": { "conditions": [{ "type": "Ready", "status": ready }] } })
}

#[test]
fn the_exclusion_label_is_a_boolean_and_anything_else_excludes() {
    for (value, expected) in [
        ("false", None),
        ("False", None),
        ("0", None),
        ("true", Some(Bar::Label)),
        ("", Some(Bar::Label)),
        ("no", Some(Bar::Label)),
    ] {
        let labels = json!({ "name": "n", "labels": { keys::EXCLUDE_NODE_LABEL: value } });
        assert_eq!(bar(node_with(&labels, &json!({}), "True")), expected, "{value:?}");
    }
}

#[test]
fn a_node_about_to_go_or_not_ready_is_barred_and_a_cordoned_one_is_not() {
    let metadata = json!({ "name": "n" });
    assert_eq!(bar(node_with(&metadata, &json!({ "unschedulable": true }), "True")), None);
    assert_eq!(bar(node_with(&metadata, &json!({}), "Unknown")), Some(Bar::NotReady));
    assert_eq!(bar(node_with(&metadata, &json!({}), "False")), Some(Bar::NotReady));
    let taints = json!({ "taints": [{ "key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule" }] });
    assert_eq!(bar(node_with(&metadata, &taints, "True")), Some(Bar::Taint));
    let leaving = json!({ "name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z" });
    assert_eq!(bar(node_with(&leaving, &json!({}), "True")), Some(Bar::Deletion));
}

#[test]
fn only_services_of_type_load_balancer_are_kept() {
    let read = |type_: &str| {
        let object = json!({ "metadata": { "name": "web", "uid": "u" }, "spec": { "type": type_ } });
        service(serde_json::from_value(object).unwrap())
    };
    assert_eq!(read("ClusterIP"), Reading::Irrelevant);
    assert!(matches!(read("LoadBalancer"), Reading::Record(ServiceRecord { local: false, .. })));
}

#[test]
fn a_slice_keeps_endpoints_that_have_a_node_and_says_which_only_serve_to_the_end() {
    let slice = json!({
        "metadata": { "namespace": "default", "name": "web-1", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv6",
        "endpoints": [
            { "addresses": ["fd00::1"], "nodeName": "a" },
            { "addresses": ["fd00::2"], "nodeName": "b",
              "conditions": { "ready": false, "serving": true, "terminating": true } },
            { "addresses": ["fd00::3"], "nodeName": "c", "conditions": { "ready": false, "serving": false } },
            { "addresses": ["2001:db8::1"] },
        ],
    });
    let Reading::Record(record) = endpoint_slice(serde_json::from_value(slice).unwrap()) else { panic!() };
    assert_eq!((record.service.to_string().as_str(), record.family), ("default/web", Family::V6));
    let states: Vec<_> = record.endpoints.iter().map(|e| (e.node.as_str(), e.ready, e.last_resort)).collect();
    assert_eq!(states, [("a", true, false), ("b", false, true), ("c", false, false)]);
}

#[test]
fn a_speaker_runs_when_it_is_ready_and_not_draining() {
    let running = |ready: &str, draining: bool| {
        let object = json!({
            "apiVersion": "herald-lb.io/v1alpha1", "kind": "Speaker", "metadata": { "name": "node-1" },
            "status": {
                "segments": [{ "interface": "eth0", "mac": "52:54:00:00:00:01", "subnets": ["192.0.2.0/24"],
                               "carrier": true }],
                "version": "0.1.0", "draining": draining,
                "conditions": [{ "type": "Ready", "status": ready, "reason": "Ready", "message": "",
                                 "lastTransitionTime": "2026-01-01T00:00:00Z" }],
            },
        });
        match speaker(serde_json::from_value(object).unwrap()) {
            Reading::Record(record) => (record.running, record.segments.len()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(running("True", false), (true, 1));
    assert_eq!(running("True", true), (false, 1));
    assert_eq!(running("False", false), (false, 1));
}
