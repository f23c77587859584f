//! Everybody who watches one address while something happens to it: a client on the LAN and one behind the router that
//! connect over and over, a newcomer that asks the wire, and the neighbour tables of the LAN client and the router.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use herald_core::address::Vip;

use super::caller::SOON;
use super::observer::{Gap, Manner, Newcomer, Observed, Traffic};
use super::trial::{Change, Neighbours, Trial};
use crate::invariants::{Client, Way};
use crate::lab::topology::{CLIENT, LAN_CLIENT, ROUTER};
use crate::lab::{Frame, Lab, Seen, eventually};

/// The clients in the order of their numbers.
const HOSTS: [&str; 3] = [LAN_CLIENT, CLIENT, ROUTER];

/// The number of a host as a client.
fn client(host: &str) -> Client {
    let position = HOSTS.iter().position(|one| *one == host).unwrap_or(HOSTS.len());
    Client(u32::try_from(position).unwrap_or(u32::MAX))
}

/// They watch.
#[derive(Debug)]
pub struct Audience {
    vip: Vip,
    traffic: Vec<(&'static str, Traffic)>,
    newcomer: Newcomer,
    tables: Vec<(&'static str, Neighbours)>,
}

impl Audience {
    /// Lets them begin, and waits until each client has been answered, and the newcomer by `frames` of the switch.
    pub async fn seated(
        lab: &Lab,
        vip: Vip,
        port: u16,
        frames: impl Fn(SystemTime) -> Result<Vec<Frame>>,
    ) -> Result<Self> {
        let to = SocketAddr::new(vip.address(), port);
        let mut tables = Vec::new();
        for host in [LAN_CLIENT, ROUTER] {
            tables.push((host, Neighbours::watch(lab, host)?));
        }
        let mut traffic = Vec::new();
        for host in [LAN_CLIENT, CLIENT] {
            traffic.push((host, Traffic::start(lab, host, to, Manner::OBSERVING)?));
        }
        eventually(SOON, &format!("both clients are answered by {to}"), async || {
            let answered: Vec<bool> = traffic.iter().map(|(_, traffic)| traffic.is_answered()).collect();
            Ok(Seen::when(answered.iter().all(|one| *one), (), answered))
        })
        .await?;
        let newcomer = Newcomer::start(lab, vip.address())?;
        eventually(SOON, &format!("a newcomer is told who has {vip}"), async || {
            let seen = newcomer.seen(&frames(newcomer.since())?);
            Ok(Seen::when(seen.attempts.iter().any(|attempt| attempt.answer.is_ok()), (), seen.failures()))
        })
        .await?;
        Ok(Self { vip, traffic, newcomer, tables })
    }

    /// What the newcomer has seen so far.
    pub fn newcomer(&self, frames: &[Frame]) -> Observed {
        self.newcomer.seen(frames)
    }

    /// Ends it; `frames` takes those of the switch, since everybody was seated, once nobody asks any more.
    pub async fn leave(self, frames: impl FnOnce(SystemTime) -> Result<Vec<Frame>>) -> Result<Review> {
        let mut traffic = Vec::new();
        for (host, one) in self.traffic {
            traffic.push((host, one.stop().await?));
        }
        let mut tables = Vec::new();
        for (host, one) in self.tables {
            tables.push((host, one.stop().await?));
        }
        let frames = frames(self.newcomer.since())?;
        let newcomer = self.newcomer.seen(&frames);
        self.newcomer.stop().await?;
        Ok(Review { vip: self.vip, traffic, newcomer, tables, frames })
    }
}

/// What they saw.
#[derive(Debug)]
pub struct Review {
    vip: Vip,
    traffic: Vec<(&'static str, Observed)>,
    newcomer: Observed,
    tables: Vec<(&'static str, Vec<Change>)>,
    /// The frames of the switch.
    pub frames: Vec<Frame>,
}

impl Review {
    /// The longest gap of any client that connects.
    pub fn outage(&self) -> Result<Gap> {
        let mut longest = None;
        for (_, observed) in &self.traffic {
            let gap = observed.longest_gap()?;
            longest = longest.filter(|other: &Gap| other.length >= gap.length).or(Some(gap));
        }
        longest.ok_or_else(|| anyhow::anyhow!("nobody watched {}", self.vip))
    }

    /// The newcomer's longest wait for an answer.
    pub fn silence(&self) -> Result<Gap> {
        self.newcomer.longest_gap()
    }

    /// How many connections were tried, and how many were not answered.
    pub fn connections(&self) -> (usize, usize) {
        let all = self.traffic.iter().map(|(_, observed)| observed.attempts.len()).sum();
        (all, self.traffic.iter().flat_map(|(_, observed)| observed.failures().into_values()).sum())
    }

    /// Puts it into a trial's record.
    pub fn tell(&self, trial: &mut Trial) {
        for (host, observed) in &self.traffic {
            trial.saw(client(host), Way::Traffic, self.vip, observed);
        }
        trial.saw(client(LAN_CLIENT), Way::Newcomer, self.vip, &self.newcomer);
        for (host, changes) in &self.tables {
            trial.learned(client(host), changes);
        }
    }
}

impl std::fmt::Display for Review {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |gap: Result<Gap>| gap.map_or_else(|_| "no answer".to_owned(), |gap| show(gap.length));
        let (all, failed) = self.connections();
        write!(
            f,
            "{}: clients' longest gap {}, newcomer's {}, {failed} of {all} connections failed",
            self.vip,
            milliseconds(self.outage()),
            milliseconds(self.silence())
        )
    }
}

fn show(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
