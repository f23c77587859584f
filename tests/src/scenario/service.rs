//! Services of type LoadBalancer: how scenarios write them, and reading what has become of them.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use super::server::HTTP_PORT;

/// A Service of type LoadBalancer for the pods of the server of the same name: both families, HTTP at port 80, unless
/// `spec` has these or other fields of a Service's spec. A field that is `null` there is left out.
///
/// # Panics
/// When `spec` is no object, or no Service's: a mistake in the test.
pub fn service(name: &str, spec: Value) -> Service {
    let mut all = json!({
        "type": "LoadBalancer",
        "selector": {"app": name},
        "ipFamilyPolicy": "RequireDualStack",
        "ports": [{"port": 80, "targetPort": HTTP_PORT}],
    });
    let (Value::Object(all), Value::Object(spec)) = (&mut all, spec) else {
        panic!("the spec of Service {name} is no object")
    };
    for (field, value) in spec {
        match value {
            Value::Null => all.remove(&field),
            value => all.insert(field, value),
        };
    }
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": all}))
        .unwrap_or_else(|error| panic!("the spec of Service {name}: {error}"))
}

/// The addresses in its status, in their order.
pub fn addresses(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    ingress.iter().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

/// How many addresses it asks for, once the API server has completed it.
pub fn families(service: &Service) -> usize {
    service.spec.as_ref().and_then(|spec| spec.ip_families.as_ref()).map_or(1, Vec::len)
}

/// One of its conditions.
pub fn condition<'a>(service: &'a Service, kind: &str) -> Option<&'a Condition> {
    let conditions = service.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// What can be said about a Service in one line, for messages.
pub fn summary(service: &Service) -> String {
    let conditions = service.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let conditions: Vec<String> =
        conditions.iter().map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message)).collect();
    format!("addresses {:?}, conditions {conditions:?}", addresses(service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_scenario_replace_the_usual_ones() {
        let service = service("web", json!({"ipFamilyPolicy": "SingleStack", "selector": null}));
        let spec = service.spec.unwrap();
        assert_eq!(spec.ip_family_policy.as_deref(), Some("SingleStack"));
        assert_eq!(spec.selector, None);
        assert_eq!(spec.type_.as_deref(), Some("LoadBalancer"));
    }
}
