//! Which Service gets which address: one pure function from a snapshot of the cluster to the ledger as it should be.
//!
//! Owns the rules of allocation and the sentences that explain a refusal; writes nothing.

use crate::address::{AddressRange, Family, Vip};
use crate::names::{Namespace, PoolName, ServiceKey, Uid};
use crate::pool::Pool;
use crate::service::{ServicePort, ServiceRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Who uses an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The Service.
    pub key: ServiceKey,
    /// Its life.
    pub uid: Uid,
    /// The ports it serves at the address.
    pub ports: BTreeSet<ServicePort>,
}

/// An address in use: one `VirtualIP` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The pool it came from, which may be gone since.
    pub pool: PoolName,
    /// The Service that uses it; at most one.
    pub holder: Option<Holder>,
}

/// All that allocation depends on, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Pools that are well-formed.
    pub pools: BTreeMap<PoolName, Pool>,
    /// Pools that can't be read, each with the reason. Nothing is allocated from them, and what was stays as it is.
    pub pools_set_aside: BTreeMap<PoolName, String>,
    /// Labels of all namespaces.
    pub namespaces: BTreeMap<Namespace, BTreeMap<String, String>>,
    /// The Services that are ours and not being deleted.
    pub services: BTreeMap<ServiceKey, Arc<ServiceRequest>>,
    /// Every address in use.
    pub ledger: BTreeMap<Vip, LedgerEntry>,
    /// Addresses that nobody answered for when speakers asked lately. They are given out before others.
    pub silent: BTreeSet<Vip>,
    /// Addresses that somebody else on the network answers for. They are given out after all others.
    pub occupied: BTreeSet<Vip>,
}

/// What should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The ledger as it should be; an address not in it is to be released.
    pub ledger: BTreeMap<Vip, LedgerEntry>,
    /// What each Service gets, and why not more.
    pub services: BTreeMap<ServiceKey, Outcome>,
    /// What each pool's status should say.
    pub pools: BTreeMap<PoolName, PoolReport>,
    /// Addresses in use that no pool holds any more, and why.
    pub outside: BTreeMap<Vip, OutsidePool>,
}

/// What one Service gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its addresses with their pools, in the order of its families.
    pub addresses: Vec<(Vip, PoolName)>,
    /// Why it lacks an address that it needs.
    pub refusal: Option<Refusal>,
}

/// Why a Service lacks an address. `reason` is the condition's reason, `Display` its message: one sentence that names
/// the object to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no pool at all.
    #[error("there is no AddressPool: create one")]
    NoPool,
    /// No pool admits this Service.
    #[error("{message}")]
    NoMatchingPool {
        /// Which pools there are and what each one's selector or `autoAssign` demands.
        message: String,
    },
    /// Every pool that would do is full.
    #[error("{message}")]
    PoolExhausted {
        /// Which pools are full and how large they are.
        message: String,
    },
    /// A requested address lies in no pool.
    #[error("{message}")]
    AddressNotInPool {
        /// The address, and the pools there are.
        message: String,
    },
    /// A requested address is somebody else's.
    #[error("{message}")]
    AddressInUse {
        /// The address and its holder.
        message: String,
    },
    /// No pool that admits the Service has addresses of the family.
    #[error("{message}")]
    FamilyUnavailable {
        /// The family, the pools looked at, and which field to change.
        message: String,
        /// The family.
        family: Family,
    },
    /// The request can't be understood.
    #[error("{message}")]
    InvalidRequest {
        /// The field and what is wrong with it.
        message: String,
    },
}

impl Refusal {
    /// The reason of the condition: one CamelCase word.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoPool => "NoPool",
            Self::NoMatchingPool { .. } => "NoMatchingPool",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::AddressNotInPool { .. } => "AddressNotInPool",
            Self::AddressInUse { .. } => "AddressInUse",
            Self::FamilyUnavailable { .. } => "FamilyUnavailable",
            Self::InvalidRequest { .. } => "InvalidRequest",
        }
    }
}

/// What a pool's status should say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolReport {
    /// IPv4 counts; overlapped addresses count where they belong.
    pub ipv4: Counts,
    /// IPv6 counts.
    pub ipv6: Counts,
    /// Pools that hold some of the same addresses. An overlapped address belongs to the pool that comes first by
    /// priority and name; nothing else of the pool is set aside.
    pub overlaps: BTreeMap<PoolName, Overlap>,
}

/// Addresses that a pool has in common with another one. `Display` is a sentence for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The other pool.
    pub with: PoolName,
    /// The first addresses they have in common.
    pub range: AddressRange,
    /// Whether the addresses belong to this pool rather than to the other.
    pub belongs_here: bool,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { with, range, belongs_here } = self;
        let whose = if *belongs_here { "this pool" } else { "that one" };
        write!(
            f,
            "AddressPool {with} holds {range} too, which belongs to {whose} by spec.priority and name: \
             take it out of spec.addresses of one of them"
        )
    }
}

/// Addresses of one family in a pool; saturating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// In use.
    pub assigned: u64,
    /// Free to be given out.
    pub available: u64,
}

/// Why an address in use is in no pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsidePool {
    /// The pool it came from is there, without this address.
    OutsidePool,
    /// The pool it came from is gone.
    PoolGone,
}

/// Decides who gets what.
///
/// - An address held stays with its Service, whatever becomes of pools, as long as the Service wants one of its family.
/// - A holder that is no Service of the snapshot, by key and UID, loses its address. The address can be given out again
///   only once it has left the ledger: the caller makes sure that its Service is really gone.
/// - Requested addresses are given out before others, Services in the order of their keys, the lowest free address
///   first: the same snapshot always has the same plan, and planning again from a plan changes nothing.
/// - Of the [`UPCOMING`] lowest free addresses of a pool, one that was found silent goes before the others. One that
///   somebody else answers for goes last, and a Service that got such a one without asking for it, and doesn't show it
///   yet, gets another.
/// - A Service that asks for another address or pool keeps what it has until it can have what it asks for.
pub fn plan(snapshot: &Snapshot) -> Plan {
    planner::Planner::new(snapshot).plan()
}

mod planner;
mod refusal;
mod territory;
mod upcoming;
mod vacancy;

pub use upcoming::{UPCOMING, upcoming};

#[cfg(test)]
mod tests;
