//! What the speaker knows of the cluster: seven watches and the records they keep.
//!
//! Owns the last view of every kind and whether the API server answers; decides nothing. While the API server is
//! away the last view stays, so that every address stays where it is.

mod mirror;
mod records;
mod trouble;
mod watches;

pub use mirror::{Mirror, Reading, Seen};
pub use records::{EndpointRecord, NodeRecord, PoolRecord, ServiceRecord, SliceRecord, SpeakerRecord, VipRecord};
use trouble::Troubles;
pub(crate) use trouble::chain;

use futures::stream::{BoxStream, SelectAll, StreamExt};
use herald_core::address::Vip;
use herald_core::names::{NodeName, PoolName, ServiceKey};
use herald_core::ownership::Advertisement;
use kube::Client;
use kube::runtime::watcher;
use std::fmt;

/// A kind of object that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `VirtualIP`.
    VirtualIp,
    /// `Speaker`.
    Speaker,
    /// `AddressPool`.
    AddressPool,
    /// `L2Advertisement`.
    L2Advertisement,
    /// Node.
    Node,
    /// Service.
    Service,
    /// EndpointSlice.
    EndpointSlice,
}

impl Kind {
    /// Its plural with the API group, as roles name it.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::VirtualIp => "virtualips.herald-lb.io",
            Self::Speaker => "speakers.herald-lb.io",
            Self::AddressPool => "addresspools.herald-lb.io",
            Self::L2Advertisement => "l2advertisements.herald-lb.io",
            Self::Node => "nodes",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices.discovery.k8s.io",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource())
    }
}

/// One thing a watch says.
#[derive(Debug)]
pub enum Change {
    /// Of a `VirtualIP`.
    Ledger(Seen<Vip, VipRecord>),
    /// Of a `Speaker`.
    Speaker(Seen<NodeName, SpeakerRecord>),
    /// Of an `AddressPool`.
    Pool(Seen<PoolName, PoolRecord>),
    /// Of an `L2Advertisement`.
    Advertisement(Seen<String, Advertisement>),
    /// Of a Node.
    Node(Seen<NodeName, NodeRecord>),
    /// Of a Service.
    Service(Seen<ServiceKey, ServiceRecord>),
    /// Of an EndpointSlice, by its own namespace and name.
    EndpointSlice(Seen<ServiceKey, SliceRecord>),
    /// The watch failed; it goes on by itself.
    Trouble(Kind, watcher::Error),
}

impl Change {
    const fn kind(&self) -> Kind {
        match self {
            Self::Ledger(_) => Kind::VirtualIp,
            Self::Speaker(_) => Kind::Speaker,
            Self::Pool(_) => Kind::AddressPool,
            Self::Advertisement(_) => Kind::L2Advertisement,
            Self::Node(_) => Kind::Node,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Trouble(kind, _) => *kind,
        }
    }

    /// Whether the API server said this. That a list begins is only our own intention.
    const fn is_answer(&self) -> bool {
        !matches!(
            self,
            Self::Ledger(Seen::ListBegins)
                | Self::Speaker(Seen::ListBegins)
                | Self::Pool(Seen::ListBegins)
                | Self::Advertisement(Seen::ListBegins)
                | Self::Node(Seen::ListBegins)
                | Self::Service(Seen::ListBegins)
                | Self::EndpointSlice(Seen::ListBegins)
                | Self::Trouble(..)
        )
    }
}

/// The last view of everything watched.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Addresses in use.
    pub ledger: Mirror<Vip, VipRecord>,
    /// Speakers by node.
    pub speakers: Mirror<NodeName, SpeakerRecord>,
    /// Pools.
    pub pools: Mirror<PoolName, PoolRecord>,
    /// Advertisements.
    pub advertisements: Mirror<String, Advertisement>,
    /// Nodes.
    pub nodes: Mirror<NodeName, NodeRecord>,
    /// Services of type LoadBalancer.
    pub services: Mirror<ServiceKey, ServiceRecord>,
    /// EndpointSlices by their own namespace and name.
    pub slices: Mirror<ServiceKey, SliceRecord>,
}

impl World {
    /// Whether every kind has been listed at least once. Before that nothing can be decided.
    pub const fn is_complete(&self) -> bool {
        self.ledger.is_complete()
            && self.speakers.is_complete()
            && self.pools.is_complete()
            && self.advertisements.is_complete()
            && self.nodes.is_complete()
            && self.services.is_complete()
            && self.slices.is_complete()
    }

    /// Takes in a change and says whether anything we read is different now.
    fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Ledger(seen) => self.ledger.apply(seen),
            Change::Speaker(seen) => self.speakers.apply(seen),
            Change::Pool(seen) => self.pools.apply(seen),
            Change::Advertisement(seen) => self.advertisements.apply(seen),
            Change::Node(seen) => self.nodes.apply(seen),
            Change::Service(seen) => self.services.apply(seen),
            Change::EndpointSlice(seen) => self.slices.apply(seen),
            Change::Trouble(..) => false,
        }
    }
}

/// The watches and what they have shown.
pub struct Intake {
    watches: SelectAll<BoxStream<'static, Change>>,
    world: World,
    troubles: Troubles,
}

impl Intake {
    /// Starts all watches; nothing is asked of the API server before [`Intake::changed`] is awaited.
    pub fn new(client: &Client, server: String) -> Self {
        Self { watches: watches::all(client), world: World::default(), troubles: Troubles::new(client.clone(), server) }
    }

    /// The last view.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Since when the API server does not answer; `None` while it does.
    pub fn away_since(&self) -> Option<tokio::time::Instant> {
        self.troubles.away_since()
    }

    /// Asks the API server whether it is there: something happened that it should have told us about.
    pub fn doubt(&mut self) {
        self.troubles.doubt();
    }

    /// Waits until something we read is different, and takes in whatever else is there already, so that a burst is
    /// one change. Safe to abandon at any await: each item is taken in before the next is awaited.
    pub async fn changed(&mut self) {
        loop {
            let mut news = tokio::select! {
                change = self.watches.next() => self.take(change),
                () = self.troubles.settle() => true,
            };
            while let Some(change) = futures::FutureExt::now_or_never(self.watches.next()) {
                news |= self.take(change);
            }
            if news {
                return;
            }
        }
    }

    fn take(&mut self, change: Option<Change>) -> bool {
        match change {
            Some(Change::Trouble(kind, error)) => {
                self.troubles.report(kind, &error);
                false
            }
            Some(change) => {
                if change.is_answer() {
                    self.troubles.well(change.kind());
                }
                self.world.apply(change)
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
