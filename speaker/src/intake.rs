//! What the speaker knows of the cluster: nine watches and the records they keep.
//!
//! Owns the last view of every kind and whether the API server answers; decides nothing. While the API server is
//! away the last view stays, so that every address stays where it is.

mod memory;
mod mirror;
mod records;
mod trouble;
mod watches;
mod world;

pub use memory::Memory;
pub use mirror::{Mirror, Reading, Seen};
pub use records::{
    AdvertisementRecord, EndpointRecord, KeyRecord, NodeRecord, PoolRecord, ServiceRecord, SliceRecord, SpeakerRecord,
    VipRecord,
};
use trouble::Troubles;
pub(crate) use trouble::chain;
pub use world::{News, World};

use futures::stream::{BoxStream, SelectAll, StreamExt};
use herald_api::herald_config::HeraldConfigSpec;
use herald_core::address::Vip;
use herald_core::names::{NodeName, PoolName, ServiceKey};
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
    /// `HeraldConfig`.
    HeraldConfig,
    /// The Secret with the keys of heartbeats.
    Secret,
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
            Self::HeraldConfig => "heraldconfigs.herald-lb.io",
            Self::Secret => "secrets",
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
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum Change {
    /// Of a `VirtualIP`.
    Ledger(Seen<Vip, VipRecord>),
    /// Of a `Speaker`.
    Speaker(Seen<NodeName, SpeakerRecord>),
    /// Of an `AddressPool`.
    Pool(Seen<PoolName, PoolRecord>),
    /// Of an `L2Advertisement`.
    Advertisement(Seen<String, AdvertisementRecord>),
    /// Of a Node.
    Node(Seen<NodeName, NodeRecord>),
    /// Of a Service.
    Service(Seen<ServiceKey, ServiceRecord>),
    /// Of an EndpointSlice, by its own namespace and name.
    EndpointSlice(Seen<ServiceKey, SliceRecord>),
    /// Of a `HeraldConfig`.
    Config(Seen<String, HeraldConfigSpec>),
    /// Of the Secret with the keys of heartbeats.
    Keys(Seen<String, KeyRecord>),
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
            Self::Config(_) => Kind::HeraldConfig,
            Self::Keys(_) => Kind::Secret,
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
                | Self::Config(Seen::ListBegins)
                | Self::Keys(Seen::ListBegins)
                | Self::Trouble(..)
        )
    }
}

/// The watches and what they have shown.
pub struct Intake {
    watches: SelectAll<BoxStream<'static, Change>>,
    world: World,
    news: News,
    troubles: Troubles,
}

impl Intake {
    /// Starts all watches; nothing is asked of the API server before [`Intake::changed`] is awaited. `namespace` is where
    /// the Secret with the keys of heartbeats lies.
    pub fn new(client: &Client, server: String, namespace: &str) -> Self {
        Self {
            watches: watches::all(client, namespace),
            world: World::default(),
            news: News::default(),
            troubles: Troubles::new(client.clone(), server),
        }
    }

    /// The last view.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// What is different since this was called last.
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Takes the view of an earlier life for every kind that the API server has not listed yet.
    pub fn remember(&mut self, memory: Memory<'_>) {
        self.world.remember(memory, &mut self.news);
    }

    /// Since when the API server does not answer; `None` while it does.
    pub fn away_since(&self) -> Option<tokio::time::Instant> {
        self.troubles.away_since()
    }

    /// Why the API server refuses to show a kind of object; `None` while it does not.
    pub fn refusal(&self, kind: Kind) -> Option<&str> {
        self.troubles.refused.get(&kind).map(String::as_str)
    }

    /// Asks the API server whether it is there: something happened that it should have told us about.
    pub fn doubt(&mut self) {
        self.troubles.doubt();
    }

    /// Waits until something we read is different, and takes in whatever else is there already, so that a burst is
    /// one change. Safe to abandon at any await: each item is taken in before the next is awaited.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                change = self.watches.next() => self.take(change),
                () = self.troubles.settle() => self.news.standing = true,
            }
            while let Some(change) = futures::FutureExt::now_or_never(self.watches.next()) {
                self.take(change);
            }
            if !self.news.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Trouble(kind, error)) => self.news.standing |= self.troubles.report(kind, &error),
            Some(change) => {
                if change.is_answer() {
                    self.troubles.well(change.kind());
                }
                self.world.apply(change, &mut self.news);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
