//! From the text of Kubernetes objects to the types that decide, and back. Errors are sentences for conditions.

pub mod config;
pub mod heartbeat;
pub mod ledger;
pub mod ownership;
pub mod pool;
pub mod service;

use std::collections::BTreeMap;

/// Labels, also where the object has none.
pub fn labels(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> BTreeMap<String, String> {
    metadata.labels.clone().unwrap_or_default()
}
