//! From objects to records: what is read of each kind, and which Services concern us.

use crate::effects::Seen;
use crate::records::{
    AdvertisementRecord, Announcing, Finding, Invalid, NodeRecord, Observation, PoolRecord, Report, SecretRecord,
    ServiceFacts, ServiceRecord, SpeakerRecord, Version, VipFacts, VipRecord,
};
use crate::state::withholder;
use herald_api::address_pool::{AddressPoolStatus, Advertise};
use herald_api::class::LoadBalancerClass;
use herald_api::convert::heartbeat::Garbled;
use herald_api::convert::{heartbeat, labels, ledger, ownership, pool, service};
use herald_api::keys::{condition, reason};
use herald_api::l2_advertisement::L2AdvertisementStatus;
use herald_api::slim::{Namespace, Node, Service, ServiceType, TrafficPolicy};
use herald_api::speaker::Probe;
use herald_api::virtual_ip::Announcer;
use herald_api::{AddressPool, L2Advertisement, Speaker, VirtualIP};
use herald_core::address::Vip;
use herald_core::allocation::{Holder, LedgerEntry};
use herald_core::liveness::Claim;
use herald_core::names::Uid;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads objects. Clones share the configuration.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Which Services are ours.
    pub class: Arc<LoadBalancerClass>,
    /// The finalizer that our Services get.
    pub finalizer: Option<Arc<str>>,
}

impl Reader {
    /// Whether the Service is ours and to be served: one that is being deleted is not.
    pub fn wants_address(&self, object: &Service) -> bool {
        self.class.claims(object) && object.metadata.deletion_timestamp.is_none()
    }

    /// Reads a Service: gone, for us, is one that neither wants an address nor bears our conditions.
    pub fn service(&self, object: &Service) -> Observation {
        let key = service::key(object);
        let uid = uid(&object.metadata);
        let ours = self.wants_address(object);
        // Another controller's Services are none of our business, whatever they bear.
        let others = object.spec.type_ == ServiceType::LoadBalancer && !self.class.claims(object);
        let conditions: Vec<_> = object
            .status
            .conditions
            .iter()
            .filter(|is| is.type_ == condition::ALLOCATED || is.type_ == condition::SERVICE_ANNOUNCED)
            .cloned()
            .collect();
        if others || (!ours && conditions.is_empty()) {
            return Observation::Service(Report::Gone(key, Some(uid)));
        }
        let request = ours.then(|| service::request(object));
        let ingress = &object.status.load_balancer.ingress;
        let is_vip = |mode: &Option<String>| mode.as_deref().is_none_or(|mode| mode == "VIP");
        let plain = ingress.iter().all(|entry| entry.hostname.is_none() && is_vip(&entry.ip_mode));
        let understood = request.as_ref().is_none_or(|request| request.published.len() == ingress.len());
        let finalizers = object.metadata.finalizers.as_ref();
        let finalizer = self.finalizer.as_deref().is_some_and(|key| {
            finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == key))
        });
        let version = version(&object.metadata);
        let foreign_ingress = !plain || !understood;
        let local = object.spec.external_traffic_policy == Some(TrafficPolicy::Local);
        let facts = ServiceFacts { uid, version, foreign_ingress, conditions, finalizer, local };
        Observation::Service(Report::Is(key, ServiceRecord { request, facts }))
    }

    /// Reads a `VirtualIP`; `None`: its name is no address.
    pub fn virtual_ip(&self, object: VirtualIP) -> Option<Observation> {
        let (vip, entry) = match ledger::entry(&object) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "set this object aside");
                return withheld(&object.metadata);
            }
        };
        let status = object.status.unwrap_or_default();
        let facts = VipFacts {
            uid: uid(&object.metadata),
            version: version(&object.metadata),
            announcer: status.announcer.map(announcing),
            preferred: object.spec.preferred_node.map(Into::into),
            pinned: object.spec.pinned,
            conditions: status.conditions,
        };
        Some(Observation::Vip(Report::Is(vip, VipRecord { entry, facts })))
    }

    pub(super) fn guarded_virtual_ip(&self, object: DeserializeGuard<VirtualIP>) -> Option<Observation> {
        match object.0 {
            Ok(object) => self.virtual_ip(object),
            Err(invalid) => {
                let name = invalid.metadata.name.as_deref().unwrap_or_default();
                tracing::error!(
                    vip = name,
                    error = invalid.error,
                    "can't read this VirtualIP: its address is set aside"
                );
                withheld(&invalid.metadata)
            }
        }
    }

    #[expect(clippy::unused_self, reason = "all kinds are read alike")]
    pub(super) fn pool(&self, object: DeserializeGuard<AddressPool>) -> Option<Observation> {
        let (metadata, read) = match object.0 {
            Ok(object) => {
                let read = pool::pool(&object)
                    .map_err(|error| Invalid { reason: reason::INVALID_ADDRESSES, message: error.to_string() });
                (object.metadata, Ok((read, object.spec.advertise, object.status.unwrap_or_default())))
            }
            Err(invalid) => (invalid.metadata, Err(unreadable(&invalid.error))),
        };
        let (pool, advertise, status) =
            read.unwrap_or_else(|invalid| (Err(invalid), Advertise::default(), AddressPoolStatus::default()));
        let record = PoolRecord {
            pool,
            labels: labels(&metadata),
            advertise,
            uid: uid(&metadata),
            generation: metadata.generation,
            status,
        };
        Some(Observation::Pool(Report::Is(metadata.name?.into(), record)))
    }

    #[expect(clippy::unused_self, reason = "all kinds are read alike")]
    pub(super) fn advertisement(&self, object: DeserializeGuard<L2Advertisement>) -> Option<Observation> {
        let (metadata, advertisement, status) = match object.0 {
            Ok(object) => {
                let read = ownership::advertisement(&object.spec);
                (object.metadata, Ok(read), object.status.unwrap_or_default())
            }
            Err(invalid) => (invalid.metadata, Err(unreadable(&invalid.error)), L2AdvertisementStatus::default()),
        };
        let record = AdvertisementRecord {
            advertisement,
            uid: uid(&metadata),
            generation: metadata.generation,
            conditions: status.conditions,
        };
        Some(Observation::Advertisement(Report::Is(metadata.name?, record)))
    }

    #[expect(clippy::unused_self, reason = "all kinds are read alike")]
    pub(super) fn speaker(&self, object: DeserializeGuard<Speaker>) -> Option<Observation> {
        let object = object.0.ok()?;
        let status = object.status.unwrap_or_default();
        let record = SpeakerRecord {
            running: ownership::runs(&status),
            segments: ownership::segments(&status),
            findings: status.probes.iter().filter_map(finding).collect(),
        };
        Some(Observation::Speaker(Report::Is(object.metadata.name?.into(), record)))
    }

    #[expect(clippy::unused_self, reason = "all kinds are read alike")]
    pub(super) fn node(&self, object: Node) -> Option<Observation> {
        let record = NodeRecord {
            labels: labels(&object.metadata),
            bar: ownership::bar(&object),
            leaving: ownership::is_draining(&object),
            cordoned: object.spec.unschedulable,
        };
        Some(Observation::Node(Report::Is(object.metadata.name?.into(), record)))
    }

    /// Reads the Secret that holds the keys of heartbeats.
    pub fn secret(&self, object: &Secret) -> Option<Observation> {
        let read = heartbeat::read(object);
        let Version(version) = version(&object.metadata);
        // The name of the cluster is added at once where it is missing.
        let garbled = read.garbled.iter().filter(|garbled| **garbled != Garbled::ClusterId);
        let record = SecretRecord {
            seen: Seen { uid: uid(&object.metadata), version },
            keys: read.keys.len(),
            names_cluster: read.cluster_id.is_some(),
            complaints: garbled.map(ToString::to_string).collect(),
        };
        Some(Observation::Secret(Report::Is(object.metadata.name.clone()?, record)))
    }

    #[expect(clippy::unused_self, reason = "all kinds are read alike")]
    pub(super) fn namespace(&self, object: Namespace) -> Option<Observation> {
        let labels = labels(&object.metadata);
        Some(Observation::Namespace(Report::Is(object.metadata.name?.into(), labels)))
    }
}

fn announcing(announcer: Announcer) -> Announcing {
    let epoch = u64::try_from(announcer.epoch).unwrap_or_default();
    Announcing { claim: Claim { epoch, node: announcer.node.into() }, interface: announcer.interface.into() }
}

/// One that can't be read is none.
fn finding(probe: &Probe) -> Option<(Vip, Finding)> {
    let vip = Vip::new(probe.address.parse().ok()?).ok()?;
    let answer = match &probe.mac {
        None => None,
        Some(mac) => Some(mac.parse().ok()?),
    };
    Some((vip, Finding { at: probe.at.0, answer }))
}

/// A record that can't be understood still takes its address: a holder that is no Service keeps it from being given out
/// and from being released.
fn withheld(metadata: &ObjectMeta) -> Option<Observation> {
    let vip = Vip::from_object_name(metadata.name.as_deref()?)?;
    let uid = uid(metadata);
    let holder = Holder { key: withholder(vip), uid: uid.clone(), ports: BTreeSet::new() };
    let version = version(metadata);
    let facts = VipFacts { uid, version, announcer: None, preferred: None, pinned: false, conditions: Vec::new() };
    let entry = LedgerEntry { pool: "".into(), holder: Some(holder) };
    Some(Observation::Vip(Report::Is(vip, VipRecord { entry, facts })))
}

fn unreadable(error: &str) -> Invalid {
    Invalid { reason: reason::INVALID_SPEC, message: format!("the object can't be read: {error}") }
}

fn uid(metadata: &ObjectMeta) -> Uid {
    Uid::new(metadata.uid.as_deref().unwrap_or_default())
}

fn version(metadata: &ObjectMeta) -> Version {
    Version(metadata.resource_version.clone().unwrap_or_default())
}
