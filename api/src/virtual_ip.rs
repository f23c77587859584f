//! `VirtualIP`: the ledger. One object per address in use, named after the address.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An external address in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.pinned) || !self.pinned || has(self.preferredNode)")
    .message("pinned needs preferredNode: name the node that the address is to stay on"))]
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
    /// The Node that should announce the address. A change makes the node that announces it hand it over; it moves nothing
    /// while the named node can't announce. Herald keeps it in step with what happens, unless it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub preferred_node: Option<String>,
    /// Whether preferredNode was set by hand and stays: Herald neither changes it nor moves the address elsewhere while
    /// that node can announce it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pinned: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_false(it: &bool) -> bool {
    !*it
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
    /// The last change of the announcing node; written by the new one's speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_move: Option<LastMove>,
    /// That another node asked the network for the address and got an answer; written on change and at most once an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Announced: a node announces it. Conflict: somebody else on the network answers for it. InPool: a pool holds it.
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
    /// It was moved on purpose, by hand or to spread addresses evenly.
    Moved,
}

/// A change of the announcing node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastMove {
    /// The Node that announced the address before.
    #[schemars(length(min = 1, max = 253))]
    pub from: String,
    /// The Node that announces it since.
    #[schemars(length(min = 1, max = 253))]
    pub to: String,
    /// When the new node began.
    pub at: MicroTime,
    /// Why.
    pub cause: AnnouncementCause,
    /// How long nobody announced it, in seconds, such as 0.512s: from the old node's last sign of life to the new one's
    /// first announcement; 0.000s if the new one began before the old one stopped. Absent where nobody saw it stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20), regex(pattern = r"^[0-9]+(\.[0-9]+)?s$"))]
    pub gap: Option<String>,
}

/// What another node saw when it asked the network who has the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// When.
    pub at: MicroTime,
    /// The Node that asked.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// The MAC address that answered; it should be that of the announcer.
    #[schemars(length(max = 17), regex(pattern = "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"))]
    pub mac: String,
}
