//! Carries out on real sockets what [`herald_core::member`] decides: exchanges heartbeats, hears ARP and neighbour discovery,
//! answers, announces, asks kernels.
//!
//! Owns one thread with the sockets and the multicast memberships, so that nothing else the speaker does delays a beat or an
//! answer. Decides nothing: what the cluster says comes in through channels, what happened goes out through another.

mod batch;
mod beat;
mod clocks;
mod driver;
mod frames;
mod groups;
mod hindrance;
mod metrics;
mod outbox;
mod packet;
mod priority;
mod questions;
mod sockets;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

pub use herald_core::announce::Pacing;
pub use metrics::Metrics;

use crate::links::Notices;
use driver::{Driver, Inputs};
use herald_core::link::Links;
use herald_core::liveness::Profile;
use herald_core::member::{self, Config, Outlook};
use herald_core::names::IfIndex;
use herald_wire::heartbeat::Keyring;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Events that wait for the speaker. When they are not taken, more of them wait inside the member, where only the latest
/// about each thing is kept; the fast path never waits.
const EVENTS_WAITING: usize = 1024;

/// Something the speaker should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What the core says.
    Member(member::Event),
    /// Something hinders the member on an interface, or does no more. It goes on trying.
    Hindered {
        /// The interface.
        link: IfIndex,
        /// What can't be done there.
        task: Task,
        /// Why not and what to do about it, in one sentence; `None`: it can be done (again).
        hindrance: Option<String>,
    },
}

/// What a member does on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Hearing and sending frames: without it nothing is announced.
    Frames,
    /// Exchanging heartbeats: without it other nodes hold this one's speaker for dead.
    Beats,
    /// Joining the groups in which IPv6 addresses are asked for.
    Groups,
    /// Announcing IPv6 addresses.
    Advertisements,
}

/// What moves a member besides frames, heartbeats and time.
#[derive(Clone, Debug)]
pub struct Feeds {
    /// The interfaces it speaks on.
    pub links: watch::Receiver<Links>,
    /// Wishes to be announced again.
    pub notices: watch::Receiver<Notices>,
    /// What heartbeats are sealed with. Without a key none are sent and none are believed.
    pub keys: watch::Receiver<Arc<Keyring>>,
    /// How fast silence is noticed.
    pub profile: watch::Receiver<Profile>,
}

/// Why a member can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The capability is missing.
    #[error("packet sockets are not permitted: the speaker needs the capability NET_RAW to answer ARP and NDP")]
    NotPermitted(#[source] std::io::Error),
    /// The kernel has none.
    #[error("the kernel gives no packet socket (CONFIG_PACKET), without which ARP and NDP can't be answered")]
    Unsupported(#[source] std::io::Error),
    /// No thread or event loop.
    #[error("starting the member's thread")]
    Thread(#[source] std::io::Error),
}

/// A running member. Falls silent when it is dropped.
#[derive(Debug)]
pub struct Member {
    /// What happens on the wire. Of what is told about the same thing, only the latest counts.
    pub events: mpsc::Receiver<Event>,
    outlook: watch::Sender<Arc<Outlook>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Starts the member's thread, in the calling thread's network namespace. Heartbeats go to and come from this UDP port.
    ///
    /// # Errors
    /// When packet sockets are not permitted or not there, or no thread can be started.
    pub fn start(config: Config, port: u16, feeds: Feeds, metrics: Metrics) -> Result<Self, StartError> {
        packet::check_permission()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let (events_sender, events) = mpsc::channel(EVENTS_WAITING);
        let (outlook, outlook_receiver) = watch::channel(Arc::new(Outlook::default()));
        let stop = CancellationToken::new();
        let inputs = Inputs { outlook: outlook_receiver, feeds, stop: stop.clone() };
        let thread = std::thread::Builder::new()
            .name("member".into())
            .spawn(move || runtime.block_on(Driver::new(config, port, metrics).run(inputs, events_sender)))
            .map_err(StartError::Thread)?;
        Ok(Self { events, outlook, stop, thread: Some(thread) })
    }

    /// Where to put what the cluster and this node say. The latest value counts.
    pub const fn outlook(&self) -> &watch::Sender<Arc<Outlook>> {
        &self.outlook
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.cancel();
        // A thread that panicked has said so; there is nothing more to do about it here.
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}
