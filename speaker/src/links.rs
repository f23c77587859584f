//! The node's Ethernet interfaces with their carrier, addresses and gateways, as the kernel tells by rtnetlink multicast.
//!
//! Every message is a reason to read the state again, so a lost one does no harm as long as the loss is noticed, which
//! the kernel reports. Nothing is polled. Which interfaces count is the caller's choice; loopback and whatever isn't Ethernet never do.

mod dump;
#[cfg(test)]
mod tests;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use herald_core::link::Links;
use herald_core::names::{IfIndex, InterfaceName};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkEvent, LinkMessage};
use netlink_sys::SocketAddr;
use rtnetlink::MulticastGroup;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the kernel has said that an interface's neighbours should relearn where it is: a bond has changed its active
/// port, a virtual machine has been moved. Only that the number has risen means something.
pub type Notices = BTreeMap<IfIndex, u64>;

/// Between two attempts to read the interfaces while the kernel refuses (out of memory, dump interrupted too often).
const RETRY: Duration = Duration::from_millis(500);

/// What the kernel announces and we want to hear: links, addresses, routes for their gateways.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// Why the interfaces can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// No netlink socket.
    #[error("opening a netlink socket to watch the network interfaces")]
    Open(#[source] std::io::Error),
    /// The kernel refused or the answer was no answer.
    #[error("reading the network interfaces by netlink")]
    Read(#[source] rtnetlink::Error),
    /// The connection to the kernel has ended.
    #[error("the kernel closed the netlink socket on which interfaces are watched")]
    Closed,
}

/// The interfaces as they are now, until this is dropped.
#[derive(Debug)]
pub struct Watched {
    /// All interfaces that count.
    pub links: watch::Receiver<Links>,
    /// Wishes to be announced again.
    pub notices: watch::Receiver<Notices>,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the interfaces and keeps watching them on the current runtime. `counts` says by name which interfaces matter.
///
/// # Errors
/// When the kernel can't be asked at the start. Later failures are logged and tried again.
pub async fn watch(counts: impl Fn(&InterfaceName) -> bool + Send + Sync + 'static) -> Result<Watched, LinksError> {
    let watcher = Watcher::open(Box::new(counts))?;
    let (links_sender, links) = watch::channel(watcher.read().await?);
    let (notices_sender, notices) = watch::channel(Notices::new());
    let task = tokio::spawn(async move { watcher.run(&links_sender, &notices_sender).await });
    Ok(Watched { links, notices, task })
}

type Messages = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

struct Watcher {
    counts: Box<dyn Fn(&InterfaceName) -> bool + Send + Sync>,
    connection: Connection,
}

struct Connection {
    handle: rtnetlink::Handle,
    messages: Messages,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    fn open() -> Result<Self, LinksError> {
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&GROUPS).map_err(LinksError::Open)?;
        Ok(Self { handle, messages, task: tokio::spawn(connection) })
    }
}

impl Watcher {
    fn open(counts: Box<dyn Fn(&InterfaceName) -> bool + Send + Sync>) -> Result<Self, LinksError> {
        Ok(Self { counts, connection: Connection::open()? })
    }

    async fn read(&self) -> Result<Links, LinksError> {
        dump::read(&self.connection.handle, &*self.counts).await
    }

    async fn run(mut self, links: &watch::Sender<Links>, notices: &watch::Sender<Notices>) {
        loop {
            match self.follow(links, notices).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(error = %describe(&error), "interfaces are read again after a failure"),
            }
            tokio::time::sleep_until(Instant::now() + RETRY).await;
            match Connection::open() {
                Ok(connection) => self.connection = connection,
                Err(error) => tracing::error!(error = %describe(&error), "network interfaces can't be watched"),
            }
        }
    }

    /// Publishes what changes, until nobody listens or the connection fails.
    async fn follow(
        &mut self,
        links: &watch::Sender<Links>,
        notices: &watch::Sender<Notices>,
    ) -> Result<(), LinksError> {
        loop {
            let now = self.read().await?;
            links.send_if_modified(|before| {
                let differs = *before != now;
                if differs {
                    *before = now;
                }
                differs
            });
            if links.is_closed() {
                return Ok(());
            }
            self.wait_for_change(notices).await?;
        }
    }

    /// Waits until the kernel says something that matters, and takes what has queued up behind it.
    async fn wait_for_change(&mut self, notices: &watch::Sender<Notices>) -> Result<(), LinksError> {
        let mut matters = false;
        while !matters {
            let (first, _) = self.connection.messages.next().await.ok_or(LinksError::Closed)?;
            matters = self.take(&first, notices);
            while let Ok((message, _)) = self.connection.messages.try_recv() {
                matters |= self.take(&message, notices);
            }
        }
        Ok(())
    }

    /// Whether the state must be read again because of a message. Pods come and go with interfaces that don't count, and
    /// routing daemons change routes that don't either.
    fn take(&self, message: &NetlinkMessage<RouteNetlinkMessage>, notices: &watch::Sender<Notices>) -> bool {
        let NetlinkPayload::InnerMessage(message) = &message.payload else {
            // An error or an overrun: something was lost.
            return true;
        };
        match message {
            RouteNetlinkMessage::NewLink(link) => {
                if let Some(index) = relearn_wish(link) {
                    notices.send_modify(|notices| *notices.entry(index).or_insert(0) += 1);
                }
                self.counts(link)
            }
            RouteNetlinkMessage::DelLink(link) => self.counts(link),
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                dump::next_hops(route).next().is_some()
            }
            _ => true,
        }
    }

    fn counts(&self, link: &LinkMessage) -> bool {
        dump::name(link).is_none_or(|name| (self.counts)(&name))
    }
}

/// The interface whose neighbours should relearn where it is, if that is what a message says.
fn relearn_wish(link: &LinkMessage) -> Option<IfIndex> {
    let wishes = |attribute: &LinkAttribute| {
        matches!(attribute, LinkAttribute::Event(LinkEvent::NotifyPeers | LinkEvent::BondingFailover))
    };
    link.attributes.iter().any(wishes).then_some(IfIndex(link.header.index))
}

/// An error with its causes.
fn describe(error: &LinksError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
