//! Core objects with only the fields that Herald reads, so that ten thousand of them are a few megabytes.
//!
//! They are read-only: writing one back would erase what it leaves out.

mod endpoint_slice;
mod metadata;
mod namespace;
mod node;
mod service;

pub use endpoint_slice::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
pub use namespace::Namespace;
pub use node::{Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, Taint};
pub use service::{
    Ingress, IpFamily, IpFamilyPolicy, LoadBalancerStatus, Service, ServicePort, ServiceSpec, ServiceStatus,
    ServiceType, TrafficPolicy,
};

use serde::{Deserialize, Deserializer};

/// Reads an absent or null field as its default: both mean the same to Kubernetes.
fn default_if_null<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Option::deserialize(input).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
