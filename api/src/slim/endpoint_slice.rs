//! EndpointSlices: where a Service's pods are, and in which state.

use super::{default_if_null, metadata};
use crate::keys;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// Some endpoints of a Service, of one address type.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = discovery::EndpointSlice)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Namespace, name, and the label that names the Service.
    #[serde(deserialize_with = "metadata::slim")]
    pub metadata: ObjectMeta,
    /// IPv4, IPv6 or FQDN.
    #[serde(default)]
    pub address_type: String,
    /// The endpoints.
    #[serde(default, deserialize_with = "default_if_null")]
    pub endpoints: Vec<Endpoint>,
    /// The ports that each of the endpoints serves.
    #[serde(default, deserialize_with = "default_if_null")]
    pub ports: Vec<EndpointPort>,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its addresses; only the first has a meaning.
    #[serde(default, deserialize_with = "default_if_null")]
    pub addresses: Vec<String>,
    /// Its state.
    #[serde(default)]
    pub conditions: EndpointConditions,
    /// The node it runs on.
    pub node_name: Option<String>,
}

/// The state of an endpoint. Absent values are read as Kubernetes defines: ready and serving, not terminating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

impl EndpointConditions {
    /// States a condition in full.
    pub const fn new(ready: bool, serving: bool, terminating: bool) -> Self {
        Self { ready: Some(ready), serving: Some(serving), terminating: Some(terminating) }
    }

    /// Whether new connections should go to it.
    pub fn ready(self) -> bool {
        self.ready.unwrap_or(true)
    }

    /// Whether it answers, terminating or not.
    pub fn serving(self) -> bool {
        self.serving.unwrap_or(true)
    }

    /// Whether it is about to stop.
    pub fn terminating(self) -> bool {
        self.terminating.unwrap_or(false)
    }
}

/// A port of all endpoints of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointPort {
    /// The Service port's name.
    pub name: Option<String>,
    /// Port number; absent means all.
    pub port: Option<u16>,
    /// TCP, UDP or SCTP.
    pub protocol: Option<String>,
}

impl EndpointSlice {
    /// The name of its Service.
    pub fn service_name(&self) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(keys::SERVICE_NAME_LABEL).map(String::as_str)
    }
}
