//! The CustomResourceDefinitions a cluster installs.

use crate::{AddressPool, HeraldConfig, L2Advertisement, Speaker, VirtualIP};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// All definitions, in the order of their names.
pub fn all() -> [CustomResourceDefinition; 5] {
    [AddressPool::crd(), HeraldConfig::crd(), L2Advertisement::crd(), Speaker::crd(), VirtualIP::crd()]
}
