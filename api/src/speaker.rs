//! `Speaker`: what the speaker of one node reports about itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Speaker has nothing to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "herald-lb.io",
    version = "v1alpha1",
    kind = "Speaker",
    category = "herald",
    status = "SpeakerStatus",
    derive = "PartialEq",
    no_spec,
    doc = "What the speaker of one node reports about itself; named after the Node, written on change.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Draining", type_ = "boolean", json_path = ".status.draining"),
    printcolumn(name = "Interfaces", type_ = "string", json_path = ".status.segments[*].interface"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct SpeakerSpec {}

/// What a speaker reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatus {
    /// The node's interfaces that can announce.
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["interface".into()]))]
    #[serde(default)]
    pub segments: Vec<Segment>,
    /// Where the speakers of other nodes reach this one: at most one address of each family on each interface.
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["interface".into(), "address".into()]))]
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// What the network said when it was asked for addresses that nobody has been given yet; the latest answer for each.
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["address".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// Version of the speaker that wrote this.
    #[schemars(length(max = 63))]
    #[serde(default)]
    pub version: String,
    /// Whether it is about to stop and gives its addresses away.
    #[serde(default)]
    pub draining: bool,
    /// Ready: it can announce. Degraded: it works, but not as it should.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// An interface of the node, and the part of the network it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// The interface's name.
    #[schemars(length(min = 1, max = 15))]
    pub interface: String,
    /// The interface's MAC address.
    #[schemars(length(max = 17), regex(pattern = "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"))]
    pub mac: String,
    /// Networks that the node's own addresses on it are in, such as 192.0.2.0/24.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 43)))]
    pub subnets: Vec<String>,
    /// Whether it is up and has a signal.
    pub carrier: bool,
}

/// Where the speakers of other nodes reach this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The interface.
    #[schemars(length(min = 1, max = 15))]
    pub interface: String,
    /// The node's address on it, in its canonical form.
    #[schemars(length(min = 2, max = 39))]
    pub address: String,
    /// UDP port for heartbeats.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// What the network said when it was asked for an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// The address, in its canonical form.
    #[schemars(length(min = 2, max = 39))]
    pub address: String,
    /// When it was asked.
    pub at: MicroTime,
    /// The MAC address that answered: somebody else has the address. Absent: nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 17), regex(pattern = "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"))]
    pub mac: Option<String>,
}
