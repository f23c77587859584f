//! Carries out on real sockets what [`herald_core::announce`] decides: hears ARP and neighbour discovery, answers, announces.
//!
//! Owns one thread with the packet sockets and the multicast memberships, so that nothing else the speaker does delays an
//! answer. Decides nothing: which VIPs to announce where comes in through a channel, what happened goes out through another.

mod drive;
mod frames;
mod groups;

mod metrics;
mod socket;

pub use herald_core::announce::{Announcements, Config, Pacing};
pub use metrics::Metrics;

use crate::links::Notices;
use drive::{Driver, Inputs};
use herald_core::address::Vip;
use herald_core::link::Links;
use herald_core::mac::MacAddr;
use herald_core::names::IfIndex;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Events that wait for the speaker. When they are not taken, more of them wait inside the announcer, where only the
/// latest of each kind is kept for a VIP and interface; the answer path never waits.
const EVENTS_WAITING: usize = 1024;

/// Something the speaker should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first announcement of a VIP on an interface has left.
    Announced {
        /// The VIP.
        vip: Vip,
        /// The interface.
        link: IfIndex,
        /// The MAC address it was announced with.
        mac: MacAddr,
        /// When.
        at: Instant,
    },
    /// The VIP is silent on all interfaces.
    Withdrawn {
        /// The VIP.
        vip: Vip,
    },
    /// Another station claims a VIP that is announced here.
    Rival {
        /// The VIP.
        vip: Vip,
        /// The interface it was heard on.
        link: IfIndex,
        /// The other station's MAC address.
        mac: MacAddr,
    },
    /// Something hinders the announcer on an interface. It goes on trying whenever the interface changes.
    Hindered {
        /// The interface.
        link: IfIndex,
        /// What, and what to do about it, in one sentence.
        hindrance: String,
    },
}

/// Why the announcer can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The capability is missing.
    #[error("packet sockets are not permitted: the speaker needs the capability NET_RAW to answer ARP and NDP")]
    NotPermitted(#[source] std::io::Error),
    /// The kernel has none.
    #[error("the kernel gives no packet socket (CONFIG_PACKET), without which ARP and NDP can't be answered")]
    Unsupported(#[source] std::io::Error),
    /// No thread or event loop.
    #[error("starting the announcer's thread")]
    Thread(#[source] std::io::Error),
}

/// A running announcer. Falls silent when it is dropped.
#[derive(Debug)]
pub struct Announcer {
    /// What happens on the wire, in order.
    pub events: mpsc::Receiver<Event>,
    announcements: watch::Sender<Announcements>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Announcer {
    /// Starts the announcer's thread, in the calling thread's network namespace.
    ///
    /// # Errors
    /// When packet sockets are not permitted or not there, or no thread can be started.
    pub fn start(
        config: Config,
        links: watch::Receiver<Links>,
        notices: watch::Receiver<Notices>,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        socket::check_permission()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let (events_sender, events) = mpsc::channel(EVENTS_WAITING);
        let (announcements, announcements_receiver) = watch::channel(Announcements::default());
        let stop = CancellationToken::new();
        let inputs = Inputs { announcements: announcements_receiver, links, notices, stop: stop.clone() };
        let driver = Driver::new(config, metrics);
        let thread = std::thread::Builder::new()
            .name("announcer".into())
            .spawn(move || runtime.block_on(driver.run(inputs, events_sender)))
            .map_err(StartError::Thread)?;
        Ok(Self { events, announcements, stop, thread: Some(thread) })
    }

    /// Where to put what to announce. The latest value counts; the same value again does nothing.
    pub const fn announcements(&self) -> &watch::Sender<Announcements> {
        &self.announcements
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.stop.cancel();
        // A thread that panicked has said so; there is nothing more to do about it here.
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}
