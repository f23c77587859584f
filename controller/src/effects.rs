//! What the controller does to the cluster, as data. Which effects a difference calls for is [`crate::difference`]'s
//! matter, carrying them out [`crate::executor`]'s.

use herald_api::address_pool::AddressPoolStatus;
use herald_core::address::Vip;
use herald_core::allocation::LedgerEntry;
use herald_core::names::{NodeName, PoolName, ServiceKey, Uid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::BTreeSet;

/// One write, or one check that a write depends on.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Puts the finalizer on the Service, and with the same write a condition if it has none of ours yet: without one a
    /// later process could not tell whose the finalizer is.
    HoldService {
        /// The Service.
        service: ServiceKey,
        /// The condition.
        condition: Option<Condition>,
    },
    /// Records an address as given out. The object's name is the address, so a second creation fails.
    CreateVip {
        /// The address.
        vip: Vip,
        /// Its pool and holder.
        entry: LedgerEntry,
        /// The node that should announce it.
        preferred: Option<NodeName>,
    },
    /// Changes pool, holder or ports of an address in use.
    UpdateVip {
        /// The address.
        vip: Vip,
        /// Its pool and holder as they should be.
        entry: LedgerEntry,
        /// The object that was seen.
        seen: Seen,
    },
    /// Writes addresses and conditions into the Service's status.
    PublishStatus(Publication),
    /// Asks the API server itself, past all caches, whether the holder may lose the addresses, and clears its status if
    /// it still shows them.
    ConfirmRelease {
        /// The Service that holds them, as the ledger says.
        holder: ServiceKey,
        /// That life of it.
        uid: Uid,
        /// The addresses.
        vips: BTreeSet<Vip>,
        /// The Service is ours and stays so: it may lose these addresses once its status doesn't show them.
        stays_ours: bool,
    },
    /// Names another node that should announce an address.
    PreferNode {
        /// The address.
        vip: Vip,
        /// The node.
        node: NodeName,
        /// The object that was seen.
        seen: Seen,
    },
    /// Deletes the record of an address, which makes the address free.
    DeleteVip {
        /// The address.
        vip: Vip,
        /// The object that was seen.
        seen: Seen,
    },
    /// Takes our conditions and finalizer, in one write, off a Service that is not ours any more and holds nothing.
    LetGo {
        /// The Service.
        service: ServiceKey,
        /// That life of it.
        uid: Uid,
    },
    /// Reads the record of an address anew.
    RefetchVip {
        /// The address.
        vip: Vip,
    },
    /// Writes a pool's counts and conditions.
    PoolStatus {
        /// The pool.
        pool: PoolName,
        /// All of its status.
        status: AddressPoolStatus,
    },
    /// Writes whether a pool holds an address in use.
    VipStatus {
        /// The address.
        vip: Vip,
        /// The condition.
        condition: Condition,
    },
    /// Writes an advertisement's conditions.
    AdvertisementStatus {
        /// The advertisement's name.
        name: String,
        /// All of its conditions.
        conditions: Vec<Condition>,
    },
    /// Makes the Secret with the keys of heartbeats, or adds to it what it lacks; nothing in it is overwritten.
    MakeHeartbeatKey {
        /// The Secret that was seen; `None` = there is none.
        seen: Option<Seen>,
        /// Add a new key.
        key: bool,
        /// Add the name of the cluster.
        cluster: bool,
    },
}

/// An object's life and version: a write that names both fails if anything happened in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The life.
    pub uid: Uid,
    /// The version, as the API server wrote it.
    pub version: String,
}

/// What a Service's status should say.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// The Service.
    pub service: ServiceKey,
    /// The addresses in the order of its families.
    pub addresses: Vec<Vip>,
    /// The conditions of ours that change; others, ours too, stay as they are.
    pub conditions: Vec<Condition>,
}

/// An event: what people should be told of a transition, once it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which object it is about.
    pub about: Subject,
    /// Something that a human should look at.
    pub warning: bool,
    /// One CamelCase word, the condition's reason.
    pub reason: String,
    /// One sentence.
    pub note: String,
}

/// An object that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// API version and kind.
    pub kind: SubjectKind,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its life.
    pub uid: Uid,
}

/// The kinds that events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// A Service.
    Service,
    /// An `AddressPool`.
    AddressPool,
    /// A `VirtualIP`.
    VirtualIp,
    /// An `L2Advertisement`.
    L2Advertisement,
    /// A Secret.
    Secret,
}

impl SubjectKind {
    /// API version and kind.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Service => ("v1", "Service"),
            Self::AddressPool => ("herald-lb.io/v1alpha1", "AddressPool"),
            Self::VirtualIp => ("herald-lb.io/v1alpha1", "VirtualIP"),
            Self::L2Advertisement => ("herald-lb.io/v1alpha1", "L2Advertisement"),
            Self::Secret => ("v1", "Secret"),
        }
    }
}

/// Effects on one object that must happen in this order; the first failure ends them.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Whose they are: no two lanes of one key are under way at once.
    pub key: LaneKey,
    /// The Service object that was seen; effects on it build on its version.
    pub service: Option<Seen>,
    /// The effects.
    pub effects: Vec<Effect>,
    /// What to tell people once all of them succeeded.
    pub notices: Vec<Notice>,
}

/// What a lane is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKey {
    /// One life of a Service and the addresses it holds.
    Service(Uid),
    /// An address nobody holds, or its condition.
    Vip(Vip),
    /// A pool's status.
    Pool(PoolName),
    /// An advertisement's status.
    Advertisement(String),
    /// The Secret with the keys of heartbeats.
    Secret,
}

impl Lane {
    /// Addresses that this lane is about to record, with what it records and the node that each is for.
    pub fn creations(&self) -> impl Iterator<Item = (Vip, &LedgerEntry, Option<&NodeName>)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::CreateVip { vip, entry, preferred } => Some((*vip, entry, preferred.as_ref())),
            _ => None,
        })
    }

    /// Whether it frees an address that somebody may wait for.
    pub fn frees(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::DeleteVip { .. }))
    }
}

/// The kinds of effects, for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectKind {
    /// [`Effect::HoldService`].
    HoldService,
    /// [`Effect::CreateVip`].
    CreateVip,
    /// [`Effect::UpdateVip`].
    UpdateVip,
    /// [`Effect::PreferNode`].
    PreferNode,
    /// [`Effect::PublishStatus`].
    PublishStatus,
    /// [`Effect::ConfirmRelease`].
    ConfirmRelease,
    /// [`Effect::DeleteVip`].
    DeleteVip,
    /// [`Effect::LetGo`].
    LetGo,
    /// [`Effect::RefetchVip`].
    RefetchVip,
    /// [`Effect::PoolStatus`].
    PoolStatus,
    /// [`Effect::VipStatus`].
    VipStatus,
    /// [`Effect::AdvertisementStatus`].
    AdvertisementStatus,
    /// [`Effect::MakeHeartbeatKey`].
    MakeHeartbeatKey,
}

impl Effect {
    /// Its kind.
    pub const fn kind(&self) -> EffectKind {
        match self {
            Self::HoldService { .. } => EffectKind::HoldService,
            Self::CreateVip { .. } => EffectKind::CreateVip,
            Self::UpdateVip { .. } => EffectKind::UpdateVip,
            Self::PreferNode { .. } => EffectKind::PreferNode,
            Self::PublishStatus(_) => EffectKind::PublishStatus,
            Self::ConfirmRelease { .. } => EffectKind::ConfirmRelease,
            Self::DeleteVip { .. } => EffectKind::DeleteVip,
            Self::LetGo { .. } => EffectKind::LetGo,
            Self::RefetchVip { .. } => EffectKind::RefetchVip,
            Self::PoolStatus { .. } => EffectKind::PoolStatus,
            Self::VipStatus { .. } => EffectKind::VipStatus,
            Self::AdvertisementStatus { .. } => EffectKind::AdvertisementStatus,
            Self::MakeHeartbeatKey { .. } => EffectKind::MakeHeartbeatKey,
        }
    }
}

impl EffectKind {
    /// Whether a Service must have it behind it before its address may show.
    pub const fn precedes_publication(self) -> bool {
        matches!(self, Self::HoldService | Self::CreateVip | Self::UpdateVip)
    }

    /// Its name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HoldService => "hold_service",
            Self::CreateVip => "create_vip",
            Self::UpdateVip => "update_vip",
            Self::PreferNode => "prefer_node",
            Self::PublishStatus => "publish_status",
            Self::ConfirmRelease => "confirm_release",
            Self::DeleteVip => "delete_vip",
            Self::LetGo => "let_go",
            Self::RefetchVip => "refetch_vip",
            Self::PoolStatus => "pool_status",
            Self::VipStatus => "vip_status",
            Self::AdvertisementStatus => "advertisement_status",
            Self::MakeHeartbeatKey => "make_heartbeat_key",
        }
    }

    /// The right that the ServiceAccount needs for it: verbs, API group and resource.
    pub const fn right(self) -> &'static str {
        match self {
            Self::HoldService | Self::PublishStatus | Self::LetGo => "patch on services/status",
            Self::ConfirmRelease => "get on services and patch on services/status",
            Self::CreateVip => "create on virtualips.herald-lb.io",
            Self::UpdateVip | Self::PreferNode => "patch on virtualips.herald-lb.io",
            Self::DeleteVip => "delete on virtualips.herald-lb.io",
            Self::RefetchVip => "get on virtualips.herald-lb.io",
            Self::PoolStatus => "patch on addresspools.herald-lb.io/status",
            Self::VipStatus => "patch on virtualips.herald-lb.io/status",
            Self::AdvertisementStatus => "patch on l2advertisements.herald-lb.io/status",
            Self::MakeHeartbeatKey => {
                "create on secrets and patch on secret herald-heartbeat-key in Herald's namespace, list on namespaces"
            }
        }
    }
}
