//! A Service as allocation, ownership and steering see it.

use crate::address::{Family, Vip};
use crate::names::{ServiceKey, Uid};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Service annotation: the AddressPool to take addresses from, or several in order of preference, separated by commas.
pub const POOL_ANNOTATION: &str = "herald-lb.io/address-pool";

/// Service annotation: the addresses asked for, at most one per family, separated by commas.
pub const ADDRESSES_ANNOTATION: &str = "herald-lb.io/addresses";

/// A transport protocol of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServicePort {
    /// Transport protocol.
    pub protocol: Protocol,
    /// The port clients connect to.
    pub port: u16,
}

/// What a Service that is ours asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRequest {
    /// Namespace and name.
    pub key: ServiceKey,
    /// This life of the Service.
    pub uid: Uid,
    /// The Service's labels, for pools' selectors.
    pub labels: BTreeMap<String, String>,
    /// Families in the Service's order: one or two, never the same twice.
    pub families: Vec<Family>,
    /// `RequireDualStack`: two families or nothing. Otherwise (`PreferDualStack`) a missing second family is no failure.
    pub require_all_families: bool,
    /// Pools named by annotation, in order of preference; empty = any.
    pub pools: Vec<String>,
    /// Requested addresses, at most one per family.
    pub addresses: Vec<Vip>,
    /// Why the request can't be understood at all, in one sentence naming the field: nothing is allocated then.
    pub invalid: Option<String>,
    /// Ports with their protocols.
    pub ports: BTreeSet<ServicePort>,
    /// The addresses that the Service's status shows now.
    pub published: Vec<Vip>,
}
