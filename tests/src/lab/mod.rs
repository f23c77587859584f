//! The lab: a real Kubernetes cluster on one machine, in network namespaces.
//!
//! | question | module |
//! |---|---|
//! | what hosts and wires are there, with which addresses? | [`topology`], [`addresses`] |
//! | how is a program started on a host? | [`room`] |
//! | what runs on a node, and with what configuration? | `machine`, `node`, `control_plane` |
//! | what can be broken, and who else may be on the LAN? | `fault`, `stranger` |
//! | what is left after a crash, and how is it removed? | `state`, `cleanup`, `cgroups` |
//!
//! Nothing here builds programs and images: that is [`crate::artifacts`].

pub mod addresses;
mod capture;
mod cgroups;
mod cleanup;
mod control_plane;
mod dns;
mod evidence;
mod exec;
mod fault;
mod images;
mod limits;
mod machine;
mod node;
mod options;
mod parts;
mod pki;
mod process;
pub mod room;
mod shared;
mod state;
mod stranger;
pub mod topology;
mod up;
mod wait;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

pub use self::capture::{Capture, Frame};
pub use self::exec::{Output, Running};
pub use self::fault::{OneWay, SPEAKER};
pub use self::node::{Node, PAUSE_IMAGE};
pub use self::options::{MOST_NODES, Options, Proxy};
pub use self::process::{Process, ProcessId};
use self::room::Room;
pub use self::shared::{Act, LAB_VARIABLE, SharedLab};
use self::state::Record;
pub use self::state::{Condition, STATE_VARIABLE};
pub use self::stranger::STRANGER_MAC;
use self::topology::{CLIENT, CONTROL_PLANE, LAN_CLIENT, ROUTER, STRANGER, SWITCH, node_name};
pub use self::wait::{Seen, eventually, throughout};

/// The name of a lab when none is given.
pub const DEFAULT_NAME: &str = "herald";

/// The namespace into which `deploy/` installs Herald.
pub const HERALD_NAMESPACE: &str = "herald-system";

/// A lab that runs.
#[derive(Clone, Debug)]
pub struct Lab {
    record: Record,
    nodes: Vec<Node>,
}

impl Lab {
    fn of(record: Record) -> Self {
        let nodes =
            (1..=record.options.nodes).map(|number| Node::new(number, machine(&record, &node_name(number)))).collect();
        Self { record, nodes }
    }

    /// The lab of this name, which must be running.
    pub fn open(name: &str) -> Result<Self> {
        match Record::load(name)? {
            Some(record) => match record.condition() {
                Condition::Up => Ok(Self::of(record)),
                Condition::Building => bail!("lab {name} is still being built"),
                Condition::Remains => {
                    bail!("lab {name} does not run; what is left of it goes with `lab down --name {name}`")
                }
            },
            None => bail!("there is no lab {name}: `lab up --name {name}` makes one"),
        }
    }

    /// Ends a lab and removes all of it. Returns whether there was anything to remove.
    pub fn down(name: &str) -> Result<bool> {
        state::release(name)
    }

    /// The names of all labs of this machine, whatever has become of them.
    pub fn names() -> Result<Vec<String>> {
        state::names()
    }

    /// All labs of this machine, with what has become of each.
    pub fn all() -> Result<Vec<(Self, Condition)>> {
        let records = Self::names()?.into_iter().map(|name| Record::load(&name));
        let known = records.filter_map(Result::transpose);
        known
            .map(|record| record.map(|record| (record.condition(), Self::of(record))).map(|(now, lab)| (lab, now)))
            .collect()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.record.options.name
    }

    /// The choices it was made by.
    pub fn options(&self) -> &Options {
        &self.record.options
    }

    /// The directory of its state and logs.
    pub fn home(&self) -> PathBuf {
        state::home(self.name())
    }

    /// The kubeconfig of its administrator, usable from the host and from the client.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home().join("admin.kubeconfig")
    }

    /// Where its programs are: `kubectl`, `ctr`, ...
    pub fn bin(&self) -> PathBuf {
        self.home().join("bin")
    }

    /// A client with the administrator's rights. It belongs to the runtime it is made in.
    pub async fn client(&self) -> Result<Client> {
        connect(&self.kubeconfig()).await
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node by its name.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes.iter().find(|node| node.name() == name).with_context(|| {
            let names: Vec<&str> = self.nodes.iter().map(Node::name).collect();
            format!("lab {} has no node {name}; it has {}", self.name(), names.join(", "))
        })
    }

    /// A host by its name: a node, `client`, `lan-client`, `router`, `stranger`, `switch` or `control-plane`.
    pub fn host(&self, name: &str) -> Result<Room> {
        match name {
            SWITCH | ROUTER | CLIENT | LAN_CLIENT | STRANGER => Ok(Room::network(self.name(), name, &self.bin())),
            CONTROL_PLANE => Ok(machine(&self.record, name)),
            node => self.node(node).map(|node| node.room().clone()).with_context(|| {
                format!(
                    "no host {node}: hosts are the nodes, {CLIENT}, {LAN_CLIENT}, {ROUTER}, {STRANGER}, {SWITCH}, \
                     {CONTROL_PLANE}"
                )
            }),
        }
    }
}

fn machine(record: &Record, host: &str) -> Room {
    let home = state::home(&record.options.name);
    Room::machine(&record.options.name, host, &home.join("bin"), home.join(host))
}

async fn connect(kubeconfig: &Path) -> Result<Client> {
    let config = Kubeconfig::read_from(kubeconfig).with_context(|| format!("reading {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("making a client of the API server")
}
