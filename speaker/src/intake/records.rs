//! What we read of each kind of object. Everything else is dropped on arrival, so that ten thousand objects stay
//! small and a change of what nobody reads wakes nobody.

use super::mirror::Reading;
use herald_api::address_pool::Advertise;
use herald_api::convert::ownership;
use herald_api::slim::{EndpointSlice, Node, Service, ServiceType, TrafficPolicy};
use herald_api::speaker::SpeakerStatus;
use herald_api::virtual_ip::{Announcer, Holder, HolderPort, PortProtocol};
use herald_api::{AddressPool, L2Advertisement, Speaker, VirtualIP};
use herald_core::address::Family;
use herald_core::names::{NodeName, PoolName, ServiceKey, Uid};
use herald_core::ownership::{Advertisement, Bar, Segment};
use herald_core::service::{Protocol, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use std::collections::{BTreeMap, BTreeSet};

/// A `VirtualIP`.
#[derive(Clone, Debug, PartialEq)]
pub struct VipRecord {
    /// The version these words are of.
    pub resource_version: String,
    /// The pool it came from.
    pub pool: PoolName,
    /// The Service that uses it.
    pub holder: Option<ServiceKey>,
    /// That Service's life.
    pub holder_uid: Option<Uid>,
    /// The ports it serves.
    pub ports: BTreeSet<ServicePort>,
    /// The last claim.
    pub announcer: Option<Announcer>,
    /// All conditions, also those of others: a write must keep them.
    pub conditions: Vec<Condition>,
}

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// This life of it.
    pub uid: Uid,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether `externalTrafficPolicy` is `Local`.
    pub local: bool,
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceRecord {
    /// Its Service.
    pub service: ServiceKey,
    /// The family of its addresses.
    pub family: Family,
    /// Its endpoints that run on a node.
    pub endpoints: Vec<EndpointRecord>,
}

/// An endpoint on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRecord {
    /// Its node.
    pub node: NodeName,
    /// Its address, as text: only compared.
    pub address: Box<str>,
    /// Whether new connections should go to it.
    pub ready: bool,
    /// Whether it still serves, although it is about to stop.
    pub last_resort: bool,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// This life of it.
    pub uid: Uid,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Why it must not announce.
    pub bar: Option<Bar>,
}

/// A `Speaker`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerRecord {
    /// The version these words are of.
    pub resource_version: String,
    /// Whether it announces and goes on doing so.
    pub running: bool,
    /// Its node's interfaces.
    pub segments: Vec<Segment>,
    /// All that it says.
    pub status: SpeakerStatus,
}

/// An `AddressPool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRecord {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its addresses are announced without an `L2Advertisement`.
    pub by_default: bool,
}

/// Reads a `VirtualIP`.
pub(super) fn virtual_ip(object: VirtualIP) -> Reading<VipRecord> {
    let holder: Option<Holder> = object.spec.holders.into_iter().next();
    let status = object.status.unwrap_or_default();
    Reading::Record(VipRecord {
        resource_version: object.metadata.resource_version.unwrap_or_default(),
        pool: object.spec.pool.into(),
        ports: holder.iter().flat_map(|holder| &holder.ports).copied().filter_map(port).collect(),
        holder_uid: holder.as_ref().map(|holder| Uid::new(&holder.uid)),
        holder: holder.map(|holder| ServiceKey::new(holder.namespace, holder.name)),
        announcer: status.announcer,
        conditions: status.conditions,
    })
}

fn port(port: HolderPort) -> Option<ServicePort> {
    let protocol = match port.protocol {
        PortProtocol::Tcp => Protocol::Tcp,
        PortProtocol::Udp => Protocol::Udp,
        PortProtocol::Sctp => Protocol::Sctp,
    };
    Some(ServicePort { protocol, port: u16::try_from(port.port).ok()? })
}

/// Reads a Service.
pub(super) fn service(object: Service) -> Reading<ServiceRecord> {
    if object.spec.type_ != ServiceType::LoadBalancer {
        return Reading::Irrelevant;
    }
    Reading::Record(ServiceRecord {
        uid: uid(&object.metadata),
        labels: object.metadata.labels.unwrap_or_default(),
        local: object.spec.external_traffic_policy == Some(TrafficPolicy::Local),
    })
}

/// Reads an EndpointSlice.
pub(super) fn endpoint_slice(object: EndpointSlice) -> Reading<SliceRecord> {
    let family = match object.address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        _ => return Reading::Irrelevant,
    };
    let (Some(namespace), Some(service)) = (object.metadata.namespace.as_deref(), object.service_name()) else {
        return Reading::Irrelevant;
    };
    let service = ServiceKey::new(namespace, service);
    let endpoints = object.endpoints.into_iter().filter_map(|endpoint| {
        let state = endpoint.conditions;
        Some(EndpointRecord {
            node: endpoint.node_name?.into(),
            address: endpoint.addresses.into_iter().next()?.into(),
            ready: state.ready(),
            last_resort: state.serving() && state.terminating(),
        })
    });
    Reading::Record(SliceRecord { service, family, endpoints: endpoints.collect() })
}

/// Reads a Node.
pub(super) fn node(object: Node) -> Reading<NodeRecord> {
    let (uid, bar) = (uid(&object.metadata), ownership::bar(&object));
    Reading::Record(NodeRecord { uid, labels: object.metadata.labels.unwrap_or_default(), bar })
}

/// Reads a `Speaker`.
pub(super) fn speaker(object: Speaker) -> Reading<SpeakerRecord> {
    let status = object.status.unwrap_or_default();
    Reading::Record(SpeakerRecord {
        resource_version: object.metadata.resource_version.unwrap_or_default(),
        running: ownership::runs(&status),
        segments: ownership::segments(&status),
        status,
    })
}

/// Reads an `AddressPool`.
pub(super) fn pool(object: AddressPool) -> Reading<PoolRecord> {
    Reading::Record(PoolRecord {
        labels: object.metadata.labels.unwrap_or_default(),
        by_default: object.spec.advertise == Advertise::Default,
    })
}

/// Reads an `L2Advertisement`.
#[expect(clippy::needless_pass_by_value, reason = "all kinds are read alike")]
pub(super) fn advertisement(object: L2Advertisement) -> Reading<Advertisement> {
    Reading::Record(ownership::advertisement(&object.spec))
}

fn uid(metadata: &ObjectMeta) -> Uid {
    Uid::new(metadata.uid.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
