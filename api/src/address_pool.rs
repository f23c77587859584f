//! `AddressPool`: external addresses, and who may have them.

use crate::selector::LabelSelector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses that Services of type LoadBalancer get.
#[derive(Clone, Debug, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "herald-lb.io",
    version = "v1alpha1",
    kind = "AddressPool",
    shortname = "pool",
    category = "herald",
    status = "AddressPoolStatus",
    derive = "PartialEq",
    doc = "Addresses that Services of type LoadBalancer get.",
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses"),
    printcolumn(name = "Assigned", type_ = "integer", json_path = ".status.assigned"),
    printcolumn(name = "Available", type_ = "integer", json_path = ".status.available"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "IPv4 free", type_ = "integer", json_path = ".status.ipv4.available", priority = "1"),
    printcolumn(name = "IPv6 free", type_ = "integer", json_path = ".status.ipv6.available", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AddressPoolSpec {
    /// CIDRs (192.0.2.0/24), ranges (192.0.2.10-192.0.2.20) and single addresses, IPv4 and IPv6 mixed freely. They are
    /// given out in this order, each from its lowest address.
    #[schemars(schema_with = "rules::addresses")]
    pub addresses: Vec<String>,
    /// Whether Services get addresses from here without asking for this pool or an address of it.
    #[serde(default = "default_auto_assign")]
    pub auto_assign: bool,
    /// Pools with a lower number are tried first; pools with the same number in the order of their names.
    #[serde(default = "default_priority")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: i32,
    /// Only Services with these labels may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<LabelSelector>,
    /// Only Services in namespaces with these labels may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Only Services in these namespaces may use the pool; empty admits all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    #[x_kube(validation = Rule::new("self.all(name, !format.dns1123Label().validate(name).hasValue())")
        .message("must hold names of namespaces: small letters, digits and dashes"))]
    pub namespaces: Vec<String>,
    /// Where the pool's addresses are announced.
    #[serde(default)]
    pub advertise: Advertise,
    /// Whether the network is asked for an address before a Service gets it, so that no address is given out that some
    /// other machine has already.
    #[serde(default)]
    pub probe: ProbePolicy,
}

/// Whether the network is asked for an address before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProbePolicy {
    /// An address enters a Service's status once a speaker asked for it by ARP or NDP and nobody answered. Speakers ask for
    /// the next free addresses beforehand, so that a new Service need not wait.
    #[default]
    BeforeUse,
    /// Addresses are used unasked.
    Never,
}

/// Where a pool's addresses are announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Advertise {
    /// On layer 2, on every interface whose subnet holds the address.
    #[default]
    Default,
    /// Only as an L2Advertisement says that selects the pool.
    Selected,
}

/// What the controller says about a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressPoolStatus {
    /// Addresses in use, of both families.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub assigned: i64,
    /// Addresses that can be given out, of both families; counts end at the largest 64-bit number.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub available: i64,
    /// IPv4 counts.
    #[serde(default)]
    pub ipv4: AddressCounts,
    /// IPv6 counts.
    #[serde(default)]
    pub ipv6: AddressCounts,
    /// Ready: addresses can be given out. Overlap: another pool holds some of the same addresses. Exhausted: a family
    /// has no address left.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Addresses of one family in a pool. Counts end at the largest 64-bit number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressCounts {
    /// All that belong to the pool.
    #[schemars(range(min = 0))]
    pub total: i64,
    /// In use.
    #[schemars(range(min = 0))]
    pub assigned: i64,
    /// Free to be given out.
    #[schemars(range(min = 0))]
    pub available: i64,
}

const fn default_auto_assign() -> bool {
    true
}

const fn default_priority() -> i32 {
    100
}

mod rules;
