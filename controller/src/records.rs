//! What is kept of each object, and the reports of watches and writes in these terms.

use crate::effects::Seen;
use herald_api::address_pool::{AddressPoolStatus, Advertise};
use herald_core::address::Vip;
use herald_core::allocation::LedgerEntry;
use herald_core::balance::Placement;
use herald_core::liveness::Claim;
use herald_core::mac::MacAddr;
use herald_core::names::{InterfaceName, Namespace, NodeName, PoolName, ServiceKey, Uid};
use herald_core::ownership::{Advertisement, Bar, Segment};
use herald_core::pool::Pool;
use herald_core::service::ServiceRequest;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::BTreeMap;

/// An object's version. The API server's versions of one kind grow, but for one that can't be read as a number the
/// order is unknown and the newcomer is taken to be newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

impl Version {
    /// Whether this is an older state of the object than the other.
    pub fn is_older_than(&self, other: &Self) -> bool {
        matches!((self.0.parse::<u64>(), other.0.parse::<u64>()), (Ok(this), Ok(other)) if this < other)
    }
}

/// A Service that is ours, or bears traces of having been.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRecord {
    /// What it asks for; `None`: it asks for nothing from us (any more), or is being deleted.
    pub request: Option<ServiceRequest>,
    /// The rest.
    pub facts: ServiceFacts,
}

/// What is kept of a Service beside its request.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceFacts {
    /// This life of it.
    pub uid: Uid,
    /// Its version.
    pub version: Version,
    /// Whether its status has entries that aren't addresses with `ipMode: VIP`.
    pub foreign_ingress: bool,
    /// The conditions of ours in its status.
    pub conditions: Vec<Condition>,
    /// Whether it bears the finalizer that we were told to use.
    pub finalizer: bool,
    /// Whether `externalTrafficPolicy` is `Local`: then its endpoints decide which nodes may announce its addresses.
    pub local: bool,
}

impl ServiceFacts {
    /// The object, for a write that must not meet another version.
    pub fn seen(&self) -> Seen {
        Seen { uid: self.uid.clone(), version: self.version.0.clone() }
    }
}

/// A `VirtualIP`.
#[derive(Clone, Debug, PartialEq)]
pub struct VipRecord {
    /// Its pool and holder.
    pub entry: LedgerEntry,
    /// The rest.
    pub facts: VipFacts,
}

/// What is kept of a `VirtualIP` beside its pool and holder.
#[derive(Clone, Debug, PartialEq)]
pub struct VipFacts {
    /// Its life.
    pub uid: Uid,
    /// Its version.
    pub version: Version,
    /// Who announces it.
    pub announcer: Option<Announcing>,
    /// The node that should.
    pub preferred: Option<NodeName>,
    /// A person has chosen that node.
    pub pinned: bool,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// Who announces an address, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcing {
    /// The node and the epoch.
    pub claim: Claim,
    /// On which of its interfaces.
    pub interface: InterfaceName,
}

impl VipFacts {
    /// The address as the balancer sees it.
    pub fn placement(&self, vip: Vip, movable: bool) -> Placement<'_> {
        Placement {
            vip,
            at: self.announcer.as_ref().map(|announcer| &announcer.claim),
            preferred: self.preferred.as_ref(),
            pinned: self.pinned,
            movable,
        }
    }

    /// The object, for a write that must not meet another version.
    pub fn seen(&self) -> Seen {
        Seen { uid: self.uid.clone(), version: self.version.0.clone() }
    }
}

/// An `AddressPool`.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRecord {
    /// The pool, or why it can't be used.
    pub pool: Result<Pool, Invalid>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where its addresses are announced.
    pub advertise: Advertise,
    /// Its life.
    pub uid: Uid,
    /// Its generation.
    pub generation: Option<i64>,
    /// What its status says.
    pub status: AddressPoolStatus,
}

/// An `L2Advertisement`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvertisementRecord {
    /// The advertisement, or why it can't be used.
    pub advertisement: Result<Advertisement, Invalid>,
    /// Its life.
    pub uid: Uid,
    /// Its generation.
    pub generation: Option<i64>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// Why an object is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The condition's reason.
    pub reason: &'static str,
    /// One sentence that names the field.
    pub message: String,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Why it must not announce.
    pub bar: Option<Bar>,
    /// Whether somebody wants it to give its addresses away.
    pub leaving: bool,
    /// Whether new pods are kept off it.
    pub cordoned: bool,
}

/// A `Speaker`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerRecord {
    /// Whether it can announce and is not on its way out.
    pub running: bool,
    /// Its node's interfaces.
    pub segments: Vec<Segment>,
    /// What it heard when it asked for addresses that nobody had.
    pub findings: BTreeMap<Vip, Finding>,
}

/// What a speaker heard when it asked the network for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When it asked.
    pub at: Timestamp,
    /// Who answered; `None` = nobody.
    pub answer: Option<MacAddr>,
}

/// The Secret that holds the keys of heartbeats. Not the keys: nobody here needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRecord {
    /// Its life and version.
    pub seen: Seen,
    /// How many keys it holds.
    pub keys: usize,
    /// Whether it says which cluster this is.
    pub names_cluster: bool,
    /// What is wrong with it, one sentence each.
    pub complaints: Vec<String>,
}

/// What a watch or a write says of the objects of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Report<K, V> {
    /// All objects follow as [`Report::Is`], then [`Report::Listed`].
    Listing,
    /// The object is like this now.
    Is(K, V),
    /// The object is gone, or bears nothing of interest any more.
    Gone(K, Option<Uid>),
    /// What was not named since [`Report::Listing`] is gone.
    Listed,
}

/// What a watch says.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// Of Services.
    Service(Report<ServiceKey, ServiceRecord>),
    /// Of `VirtualIP`s.
    Vip(Report<Vip, VipRecord>),
    /// Of `AddressPool`s.
    Pool(Report<PoolName, PoolRecord>),
    /// Of Namespaces.
    Namespace(Report<Namespace, BTreeMap<String, String>>),
    /// Of Nodes.
    Node(Report<NodeName, NodeRecord>),
    /// Of `Speaker`s.
    Speaker(Report<NodeName, SpeakerRecord>),
    /// Of `L2Advertisement`s.
    Advertisement(Report<String, AdvertisementRecord>),
    /// Of the Secret that holds the keys of heartbeats, by its name.
    Secret(Report<String, SecretRecord>),
}

impl Observation {
    /// The same object, deleted.
    #[must_use]
    pub fn gone(self) -> Self {
        match self {
            Self::Service(report) => Self::Service(report.gone(|record| Some(record.facts.uid))),
            Self::Vip(report) => Self::Vip(report.gone(|record| Some(record.facts.uid))),
            Self::Pool(report) => Self::Pool(report.gone(|_| None)),
            Self::Namespace(report) => Self::Namespace(report.gone(|_| None)),
            Self::Node(report) => Self::Node(report.gone(|_| None)),
            Self::Speaker(report) => Self::Speaker(report.gone(|_| None)),
            Self::Advertisement(report) => Self::Advertisement(report.gone(|_| None)),
            Self::Secret(report) => Self::Secret(report.gone(|_| None)),
        }
    }
}

impl<K, V> Report<K, V> {
    fn gone(self, uid: fn(V) -> Option<Uid>) -> Self {
        match self {
            Self::Is(key, value) => Self::Gone(key, uid(value)),
            other => other,
        }
    }
}
