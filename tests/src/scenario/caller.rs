//! Clients: hosts of the lab, and pods, which call Services.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::call::{self, Outcome, PATIENCE};
use crate::lab::room::Room;
use crate::lab::{Lab, Seen, eventually};

/// A call that isn't answered at first may wait for a pod, for kube-proxy's next pass (at most 1 s) and for the ends of
/// timeouts; this is several times all of them on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A host of the lab as a client.
#[derive(Clone, Debug)]
pub struct Caller {
    lab: Lab,
    room: Room,
}

impl Caller {
    /// The host of this name: a node, `client`, `lan-client`, `router`.
    pub fn on(lab: &Lab, host: &str) -> Result<Self> {
        Ok(Self { lab: lab.clone(), room: lab.host(host)? })
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        self.room.host()
    }

    /// Gets `path` by HTTP.
    pub async fn get(&self, to: SocketAddr, path: &str) -> Result<Outcome> {
        let path = path.to_owned();
        self.there(move || call::get(to, None, &path, PATIENCE)).await
    }

    /// Gets `path` of one of the hosts that a server has names for.
    pub async fn get_of(&self, to: SocketAddr, host: &str, path: &str) -> Result<Outcome> {
        let (host, path) = (host.to_owned(), path.to_owned());
        self.there(move || call::get(to, Some(&host), &path, PATIENCE)).await
    }

    /// Sends a datagram and takes the answer.
    pub async fn ask(&self, to: SocketAddr, question: &str) -> Result<Outcome> {
        let question = question.to_owned();
        self.there(move || call::ask(to, &question, PATIENCE)).await
    }

    /// Runs something that blocks in the host's network namespace.
    pub async fn there<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let room = self.room.clone();
        tokio::task::spawn_blocking(move || room.within(work)).await?
    }

    /// Runs a program there and returns what it printed.
    ///
    /// # Errors
    /// It can't be started, or ended badly: with all it said.
    pub async fn run(&self, command: &[&str]) -> Result<String> {
        self.lab.exec(self.host(), command).await?.text()
    }

    /// Whether one of up to three echo requests is answered.
    pub async fn pings(&self, address: IpAddr) -> Result<bool> {
        let ping = ["ping", "-n", "-c", "1", "-w", "3", &address.to_string()];
        Ok(self.lab.exec(self.host(), &ping).await?.is_ok())
    }

    /// Waits until a server's name is the answer, and returns that name.
    pub async fn reaches(&self, to: SocketAddr) -> Result<String> {
        eventually(SOON, &format!("{} is answered by http://{to}/hostname", self.host()), async || {
            let outcome = self.get(to, "/hostname").await?;
            Ok(match outcome.answer() {
                Some(answer) => Seen::Yes(answer.to_owned()),
                None => Seen::NotYet(outcome.to_string()),
            })
        })
        .await
    }

    /// Waits until a server's name is the answer to a datagram, and returns that name.
    pub async fn reaches_udp(&self, to: SocketAddr) -> Result<String> {
        eventually(SOON, &format!("{} is answered by UDP {to}", self.host()), async || {
            let outcome = self.ask(to, "hostname").await?;
            Ok(match outcome.answer() {
                Some(answer) => Seen::Yes(answer.to_owned()),
                None => Seen::NotYet(outcome.to_string()),
            })
        })
        .await
    }
}

/// A pod with the test server in it as a client: it is asked to call, and tells how that ended.
#[derive(Clone, Debug)]
pub struct PodCaller {
    asking: Caller,
    /// The pod's address and its server's port.
    pod: SocketAddr,
}

/// The test server's answer to `/dial`.
#[derive(Deserialize)]
struct Dialled {
    #[serde(default)]
    responses: Vec<String>,
    #[serde(default)]
    errors: Vec<String>,
}

impl PodCaller {
    /// A pod asked by a host that reaches pods.
    pub fn new(asking: Caller, pod: IpAddr) -> Self {
        Self { asking, pod: SocketAddr::new(pod, super::server::HTTP_PORT) }
    }

    /// Gets `path` (without its first slash) by HTTP.
    ///
    /// # Errors
    /// The pod itself can't be asked; a call of the pod that failed is [`Outcome::Unreachable`] with its own words.
    pub async fn get(&self, to: SocketAddr, path: &str) -> Result<Outcome> {
        let (host, port) = (to.ip(), to.port());
        let question = format!("/dial?host={host}&port={port}&protocol=http&request={path}&tries=1");
        let told = match self.asking.get(self.pod, &question).await? {
            // "Expectation failed" is how the server says that its own call failed.
            Outcome::Answered(told) | Outcome::Failed(417, told) => told,
            other => bail!("the pod at {} can't be asked to call: {other}", self.pod),
        };
        let told: Dialled =
            serde_json::from_str(&told).with_context(|| format!("the pod at {} said {told:?}", self.pod))?;
        Ok(match (told.responses.into_iter().next(), told.errors.into_iter().next()) {
            (Some(response), _) => Outcome::Answered(response),
            (None, error) => Outcome::Unreachable(error.unwrap_or_else(|| "it gave no reason".to_owned())),
        })
    }
}
