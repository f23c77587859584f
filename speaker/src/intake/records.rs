//! What we read of each kind of object. Everything else is dropped on arrival, so that ten thousand objects stay
//! small and a change of what nobody reads wakes nobody.

use super::mirror::Reading;
use herald_api::address_pool::AddressPoolSpec;
use herald_api::convert::{heartbeat, ownership};
use herald_api::herald_config::{self, HeraldConfigSpec};
use herald_api::l2_advertisement::L2AdvertisementSpec;
use herald_api::slim::{EndpointSlice, Node, Service, ServiceType, TrafficPolicy};
use herald_api::speaker::SpeakerStatus;
use herald_api::virtual_ip::{Announcer, Holder, LastMove, Verified};
use herald_api::{AddressPool, HeraldConfig, L2Advertisement, Speaker, VirtualIP};
use herald_core::address::Family;
use herald_core::names::{NodeName, PoolName, ServiceKey, Uid};
use herald_core::ownership::Bar;
use herald_core::service::ServicePort;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A `VirtualIP`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VipRecord {
    /// This life of the object.
    pub uid: Uid,
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
    /// Where it should be announced.
    pub preferred: Option<NodeName>,
    /// Whether somebody wants it there whatever else speaks for another node.
    pub pinned: bool,
    /// The last claim.
    pub announcer: Option<Announcer>,
    /// How the claim changed nodes last.
    pub last_move: Option<LastMove>,
    /// What another node heard from the wire.
    pub verified: Option<Verified>,
    /// All conditions, also those of others: a write must keep them. They are not remembered: no write is based on memory.
    #[serde(skip)]
    pub conditions: Vec<Condition>,
}

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// This life of it.
    pub uid: Uid,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether `externalTrafficPolicy` is `Local`.
    pub local: bool,
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRecord {
    /// Its Service.
    pub service: ServiceKey,
    /// The family of its addresses.
    pub family: Family,
    /// Its endpoints that run on a node.
    pub endpoints: Vec<EndpointRecord>,
}

/// An endpoint on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// This life of it.
    pub uid: Uid,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Why it must not announce.
    pub bar: Option<Bar>,
    /// Whether somebody wants it to give its addresses away.
    pub draining: bool,
    /// Whether new pods are kept off it.
    pub cordoned: bool,
}

/// A `Speaker`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeakerRecord {
    /// This life of the object.
    pub uid: Uid,
    /// The version these words are of.
    pub resource_version: String,
    /// All that it says.
    pub status: SpeakerStatus,
}

/// An `AddressPool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    pub spec: AddressPoolSpec,
}

/// An `L2Advertisement`.
pub type AdvertisementRecord = L2AdvertisementSpec;

/// The keys of heartbeats. Never printed.
pub type KeyRecord = heartbeat::HeartbeatKeys;

/// Reads a `VirtualIP`.
pub(super) fn virtual_ip(object: VirtualIP) -> Reading<VipRecord> {
    let holder: Option<Holder> = object.spec.holders.into_iter().next();
    let status = object.status.unwrap_or_default();
    Reading::Record(VipRecord {
        uid: uid(&object.metadata),
        resource_version: object.metadata.resource_version.unwrap_or_default(),
        pool: object.spec.pool.into(),
        ports: holder.iter().flat_map(|holder| &holder.ports).filter_map(|port| port.try_into().ok()).collect(),
        holder_uid: holder.as_ref().map(|holder| Uid::new(&holder.uid)),
        holder: holder.map(|holder| ServiceKey::new(holder.namespace, holder.name)),
        preferred: object.spec.preferred_node.map(NodeName::from),
        pinned: object.spec.pinned,
        announcer: status.announcer,
        last_move: status.last_move,
        verified: status.verified,
        conditions: status.conditions,
    })
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
    let (draining, cordoned) = (ownership::is_draining(&object), object.spec.unschedulable);
    Reading::Record(NodeRecord { uid, labels: object.metadata.labels.unwrap_or_default(), bar, draining, cordoned })
}

/// Reads a `Speaker`.
pub(super) fn speaker(object: Speaker) -> Reading<SpeakerRecord> {
    Reading::Record(SpeakerRecord {
        uid: uid(&object.metadata),
        resource_version: object.metadata.resource_version.unwrap_or_default(),
        status: object.status.unwrap_or_default(),
    })
}

/// Reads an `AddressPool`.
pub(super) fn pool(object: AddressPool) -> Reading<PoolRecord> {
    Reading::Record(PoolRecord { labels: object.metadata.labels.unwrap_or_default(), spec: object.spec })
}

/// Reads an `L2Advertisement`.
pub(super) fn advertisement(object: L2Advertisement) -> Reading<AdvertisementRecord> {
    Reading::Record(object.spec)
}

/// Reads a `HeraldConfig`; only one name counts.
#[expect(clippy::needless_pass_by_value, reason = "all kinds are read alike")]
pub(super) fn config(object: HeraldConfig) -> Reading<HeraldConfigSpec> {
    match object.metadata.name.as_deref() {
        Some(herald_config::NAME) => Reading::Record(object.spec),
        _ => Reading::Irrelevant,
    }
}

/// Reads the Secret with the keys of heartbeats.
#[expect(clippy::needless_pass_by_value, reason = "all kinds are read alike")]
pub(super) fn keys(object: Secret) -> Reading<KeyRecord> {
    Reading::Record(heartbeat::read(&object))
}

fn uid(metadata: &ObjectMeta) -> Uid {
    Uid::new(metadata.uid.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
