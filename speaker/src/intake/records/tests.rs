use super::*;
use serde_json::json;

impl VipRecord {
    /// An address of pool `lan` that nobody uses.
    pub(crate) fn unused() -> Self {
        Self {
            uid: "v".into(),
            resource_version: "7".into(),
            pool: "lan".into(),
            holder: None,
            holder_uid: None,
            ports: BTreeSet::new(),
            preferred: None,
            pinned: false,
            announcer: None,
            last_move: None,
            verified: None,
            conditions: vec![],
        }
    }
}

impl SpeakerRecord {
    /// A speaker that says this.
    pub(crate) fn saying(status: SpeakerStatus) -> Self {
        Self { uid: "s".into(), resource_version: "1".into(), status }
    }
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
