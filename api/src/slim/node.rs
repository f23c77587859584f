//! Nodes: what decides whether one may announce, and where it can be reached.

use super::{default_if_null, metadata};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = core::Node)]
pub struct Node {
    /// Name, labels, UID, deletion.
    #[serde(deserialize_with = "metadata::slim")]
    pub metadata: ObjectMeta,
    /// What is demanded of it.
    #[serde(default)]
    pub spec: NodeSpec,
    /// What it reports.
    #[serde(default)]
    pub status: NodeStatus,
}

/// What is demanded of a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// Cordoned: no new pods.
    #[serde(default)]
    pub unschedulable: bool,
    /// Taints.
    #[serde(default, deserialize_with = "default_if_null")]
    pub taints: Vec<Taint>,
}

/// A taint; its value is nothing to us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
}

/// What a node reports.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct NodeStatus {
    /// Conditions.
    #[serde(default, deserialize_with = "default_if_null")]
    pub conditions: Vec<NodeCondition>,
    /// Its addresses.
    #[serde(default, deserialize_with = "default_if_null")]
    pub addresses: Vec<NodeAddress>,
}

/// A condition without its prose and times, which change every few minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NodeCondition {
    /// Type, such as Ready.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
}

/// An address of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NodeAddress {
    /// Type, such as InternalIP.
    #[serde(rename = "type")]
    pub type_: String,
    /// The address or name.
    pub address: String,
}

impl Node {
    /// Whether the kubelet is well, as far as the API server knows: `None` when nobody knows.
    pub fn ready(&self) -> Option<bool> {
        match self.status.conditions.iter().find(|condition| condition.type_ == "Ready")?.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }
    }
}
