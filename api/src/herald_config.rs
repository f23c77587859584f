//! `HeraldConfig`: what holds for all of Herald in a cluster.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the one object of this kind that counts.
pub const NAME: &str = "default";

/// What holds for all of Herald in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "herald-lb.io",
    version = "v1alpha1",
    kind = "HeraldConfig",
    category = "herald",
    derive = "PartialEq",
    doc = "What holds for all of Herald in a cluster. One object named default is enough, and none is needed: without it \
           every field has its default. Changes take effect at once, without a restart.",
    validation = Rule::new("self.metadata.name == 'default'")
        .message("metadata.name must be default: there is one HeraldConfig in a cluster"),
    printcolumn(name = "Liveness", type_ = "string", json_path = ".spec.liveness"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct HeraldConfigSpec {
    /// How fast the death of a node is noticed. While nodes have different settings, the slower one's bounds hold between
    /// them.
    #[serde(default)]
    pub liveness: Liveness,
}

/// How fast the death of a node is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// For machines of one's own: another node takes over after 0.5 s, 1 s at most.
    #[default]
    Balanced,
    /// For machines of one's own on which the speaker gets real-time priority: after 0.4 s at most.
    Fast,
    /// For virtual machines, which stand still for seconds while they are moved: after 5 s at most.
    Virtual,
}
