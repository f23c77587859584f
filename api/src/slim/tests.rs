use super::*;
use serde_json::json;

#[test]
fn a_service_keeps_what_is_read_and_nothing_else() {
    let service: Service = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "7",
            "labels": { "app": "web" },
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{ a whole manifest }",
                "herald-lb.io/address-pool": "lan",
            },
            "managedFields": [{ "manager": "kubectl", "operation": "Apply" }],
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.7", "ipFamilies": ["IPv6", "IPv4"],
            "ipFamilyPolicy": "RequireDualStack", "externalTrafficPolicy": "Local",
            "ports": [{ "port": 53, "protocol": "UDP", "targetPort": "dns", "nodePort": 30053 }, { "port": 80 }],
        },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1", "ipMode": "VIP" }] } },
    }))
    .unwrap();
    let annotations = service.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations.keys().collect::<Vec<_>>(), ["herald-lb.io/address-pool"]);
    assert_eq!(service.metadata.managed_fields, None);
    assert_eq!(service.spec.type_, ServiceType::LoadBalancer);
    assert_eq!(service.spec.ip_families, [IpFamily::IPv6, IpFamily::IPv4]);
    assert_eq!(service.spec.external_traffic_policy, Some(TrafficPolicy::Local));
    assert_eq!(service.spec.ports.iter().map(|port| port.port).collect::<Vec<_>>(), [53, 80]);
    assert_eq!(service.status.load_balancer.ingress[0].ip.as_deref(), Some("192.0.2.1"));
}

#[test]
fn absent_and_null_fields_read_alike() {
    let bare: Service = serde_json::from_value(json!({ "metadata": { "name": "web" } })).unwrap();
    let null: Service = serde_json::from_value(json!({
        "metadata": { "name": "web", "labels": null },
        "spec": { "type": "ExternalName", "ipFamilies": null, "ports": null },
        "status": { "loadBalancer": { "ingress": null }, "conditions": null },
    }))
    .unwrap();
    assert_eq!(bare, null);
    let slice: EndpointSlice =
        serde_json::from_value(json!({ "metadata": {}, "addressType": "IPv4", "endpoints": null, "ports": null }))
            .unwrap();
    assert_eq!((slice.endpoints, slice.ports), (vec![], vec![]));
}

#[test]
fn an_endpoint_without_conditions_is_ready() {
    let endpoint: Endpoint =
        serde_json::from_value(json!({ "addresses": ["10.0.0.1"], "nodeName": "node-1" })).unwrap();
    let state = endpoint.conditions;
    assert_eq!((state.ready(), state.serving(), state.terminating()), (true, true, false));
}

#[test]
fn a_node_whose_readiness_nobody_knows_is_neither_ready_nor_unready() {
    let ready = |status: &str| {
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": "node-1" },
            "status": { "conditions": [{ "type": "MemoryPressure", "status": "True" }, { "type": "Ready", "status": status }] },
        }))
        .unwrap();
        node.ready()
    };
    assert_eq!((ready("True"), ready("False"), ready("Unknown")), (Some(true), Some(false), None));
    assert_eq!(Node::default().ready(), None);
}
