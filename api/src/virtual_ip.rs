//! `VirtualIP`: the ledger. One object per address in use, named after the address.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An external address in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "herald-lb.io",
    version = "v1alpha1",
    kind = "VirtualIP",
    plural = "virtualips",
    shortname = "vip",
    category = "herald",
    status = "VirtualIPStatus",
    derive = "PartialEq",
    doc = "An external address in use. Its name is the address: IPv4 as it is (192.0.2.10), IPv6 with all digits and dashes \
           (2001-0db8-0000-0000-0000-0000-0000-0010), so that no address can be given out twice.",
    selectable = ".spec.pool",
    validation = Rule::new("!isIP(self.spec.address) || (ip(self.spec.address).family() == 4 \
        ? self.metadata.name == self.spec.address \
        : self.metadata.name.matches('^([0-9a-f]{4}-){7}[0-9a-f]{4}$') \
        && ip(self.metadata.name.replace('-', ':')) == ip(self.spec.address))")
        .message("metadata.name must be spec.address: IPv4 as it is (192.0.2.10), IPv6 with all digits and dashes \
            (2001-0db8-0000-0000-0000-0000-0000-0010)"),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool"),
    printcolumn(name = "Namespace", type_ = "string", json_path = ".spec.holders[0].namespace"),
    printcolumn(name = "Holder", type_ = "string", json_path = ".spec.holders[0].name"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.announcer.node"),
    printcolumn(name = "Interface", type_ = "string", json_path = ".status.announcer.interface", priority = "1"),
    printcolumn(name = "MAC", type_ = "string", json_path = ".status.announcer.mac", priority = "1"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.announcer.since", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPSpec {
    /// The address in its canonical form; immutable.
    #[schemars(length(min = 2, max = 39))]
    #[x_kube(validation = Rule::new("isIP(self) && ip.isCanonical(self)")
        .message("must be an IPv4 or IPv6 address in its canonical form, such as 192.0.2.10 or 2001:db8::10"))]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("is immutable: the object is the address; create another one for another address"))]
    pub address: String,
    /// The AddressPool it came from.
    #[schemars(length(min = 1, max = 253))]
    pub pool: String,
    /// The Service that uses the address.
    #[serde(default)]
    #[schemars(length(max = 1))]
    pub holders: Vec<Holder>,
}

/// A Service that uses the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The Service's namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The Service's UID: one of the same name created later is another Service.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// The ports it serves at the address; others are refused at once.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub ports: Vec<HolderPort>,
}

/// A port that a Service serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HolderPort {
    /// Transport protocol.
    pub protocol: PortProtocol,
    /// Port number.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PortProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What speakers and the controller say about an address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPStatus {
    /// The node that announces the address; written by that node's speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcer: Option<Announcer>,
    /// Announced: a node announces it. InPool: a pool holds it.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// The node that announces an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Announcer {
    /// The Node's name.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// The interface it announces on.
    #[schemars(length(min = 1, max = 15))]
    pub interface: String,
    /// The MAC address it announces.
    #[schemars(length(max = 17), regex(pattern = "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"))]
    pub mac: String,
    /// Grows with every change of the announcing node; the highest is right.
    #[schemars(range(min = 1))]
    pub epoch: i64,
    /// When it began.
    pub since: MicroTime,
    /// Why it began.
    pub cause: AnnouncementCause,
}

/// Why a node began to announce an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AnnouncementCause {
    /// Nobody announced it before.
    Allocated,
    /// The node before can announce it no more.
    Takeover,
    /// The node before left in order.
    Handover,
}
