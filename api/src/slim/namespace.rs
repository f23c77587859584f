//! Namespaces: their names and labels.

use super::metadata;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = core::Namespace)]
pub struct Namespace {
    /// Name and labels.
    #[serde(deserialize_with = "metadata::slim")]
    pub metadata: ObjectMeta,
}
