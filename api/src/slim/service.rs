//! Services: what allocation and announcement depend on.

use super::{default_if_null, metadata};
use crate::virtual_ip::PortProtocol;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use serde::Deserialize;

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = core::Service)]
pub struct Service {
    /// Identity, versions, labels, finalizers, and annotations of our group.
    #[serde(deserialize_with = "metadata::slim")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: ServiceSpec,
    /// What there is.
    #[serde(default)]
    pub status: ServiceStatus,
}

/// What is wanted of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// Whose it is, among load balancers.
    pub load_balancer_class: Option<String>,
    /// Address families, the primary first.
    #[serde(deserialize_with = "default_if_null")]
    pub ip_families: Vec<IpFamily>,
    /// One family or two.
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Ports.
    #[serde(deserialize_with = "default_if_null")]
    pub ports: Vec<ServicePort>,
    /// Which nodes' endpoints traffic from outside may reach.
    pub external_traffic_policy: Option<TrafficPolicy>,
}

/// The types of Service that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ServiceType {
    /// Has an external address.
    LoadBalancer,
    /// Any other.
    #[default]
    #[serde(other)]
    Other,
}

/// An address family of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum IpFamily {
    /// IPv4.
    IPv4,
    /// IPv6.
    IPv6,
}

/// One family or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two where the cluster has two.
    PreferDualStack,
    /// Two.
    RequireDualStack,
}

/// Which nodes' endpoints traffic may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TrafficPolicy {
    /// All nodes'.
    Cluster,
    /// Those on the node that it enters, with the client's address kept.
    Local,
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Transport protocol.
    #[serde(default)]
    pub protocol: PortProtocol,
    /// The port clients connect to.
    pub port: u16,
}

/// What there is of a Service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its external addresses.
    #[serde(default)]
    pub load_balancer: LoadBalancerStatus,
    /// Conditions, also those of others.
    #[serde(default, deserialize_with = "default_if_null")]
    pub conditions: Vec<Condition>,
}

/// The external addresses of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LoadBalancerStatus {
    /// Addresses; a single writer owns all of them.
    #[serde(default, deserialize_with = "default_if_null")]
    pub ingress: Vec<Ingress>,
}

/// An external address of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The address.
    pub ip: Option<String>,
    /// A name instead of an address; never ours.
    pub hostname: Option<String>,
    /// VIP or Proxy.
    pub ip_mode: Option<String>,
}
