//! Programs the kernel so that packets to a VIP reach kube-proxy's rules or are refused at once, and nothing leaks.
//!
//! Owns the nf_tables tables `ip herald` and `ip6 herald`: their reading, making and removing. Owns no decision: the table of VIPs
//! and ports is given. Needs the capability NET_ADMIN and Linux 5.10.
//!
//! The tables outlive the process: a speaker that stops or restarts cuts no connection, and finds on its start what its
//! predecessor left.
//!
//! All calls block for as long as the kernel works: see [`Steering::insert`] and [`Steering::reconcile`].

mod count;
mod element;
mod guard;
mod kernel;

pub use count::{Count, Counts, GuardMetrics, Reason};

use guard::{Guard, IPVS_INTERFACE, OWNER, TABLE};
use herald_core::steering::{Difference, Elements, Table};
use herald_wire::nft::{Batch, DecodeError, EncodeError, Family, Item, Request, Set, Statement};
use kernel::{Kernel, Refusal};
use std::io;

/// Why the kernel's tables are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum SteeringError {
    /// The process may not change firewall tables.
    #[error(
        "steering needs the capability NET_ADMIN: add it to securityContext.capabilities of the speaker, or start it with --steering=off"
    )]
    MissingCapability,
    /// The kernel has no nf_tables.
    #[error(
        "the kernel has no nf_tables: load the module (modprobe nf_tables) or use a kernel with CONFIG_NF_TABLES, or start the speaker with --steering=off"
    )]
    MissingNfTables {
        /// What the kernel said.
        #[source]
        errno: io::Error,
    },
    /// A table of our name that we did not make.
    #[error(
        "table {family} {name} exists and is not Herald's: rename it or delete it (nft delete table {family} {name})"
    )]
    ForeignTable {
        /// Its family.
        family: Family,
        /// Its name.
        name: &'static str,
    },
    /// The kernel refused one statement, and with it the batch.
    #[error("the kernel refused {what}")]
    Refused {
        /// The statement in words.
        what: String,
        /// Why. `No such file or directory` for a rule means that the kernel lacks one of its expressions.
        #[source]
        errno: io::Error,
    },
    /// The socket failed.
    #[error("the netlink socket to nf_tables failed")]
    Socket(#[source] io::Error),
    /// The kernel answered what can't be read.
    #[error("nf_tables answered something unreadable")]
    Unreadable(#[from] DecodeError),
    /// A batch can't be written.
    #[error("a change can't be written")]
    Unwritable(#[from] EncodeError),
    /// Others change rules all the time.
    #[error(
        "the rules changed during each of {attempts} attempts to read them: find out who keeps changing them (nft monitor)"
    )]
    Interrupted {
        /// How often it was tried.
        attempts: usize,
    },
}

impl From<Refusal> for SteeringError {
    fn from(Refusal { what, errno }: Refusal) -> Self {
        match errno {
            libc::EPERM => Self::MissingCapability,
            libc::EOPNOTSUPP => Self::MissingNfTables { errno: io::Error::from_raw_os_error(errno) },
            _ => Self::Refused { what, errno: io::Error::from_raw_os_error(errno) },
        }
    }
}

/// The node's steering tables.
#[derive(Debug)]
pub struct Steering {
    kernel: Kernel,
    /// What the kernel holds; `None` after a failure, until it has been read again.
    known: Option<Elements>,
}

impl Steering {
    /// Reads back what is there, and makes what is missing or differs; elements stay.
    ///
    /// # Errors
    /// The capability or nf_tables is missing, a foreign table has our name, or the kernel lacks something the rules use.
    pub fn open() -> Result<Self, SteeringError> {
        let mut steering = Self { kernel: Kernel::open()?, known: None };
        steering.known = Some(steering.restore()?);
        Ok(steering)
    }

    /// Adds what the table has and the kernel lacks; removes nothing. To be called before a VIP is announced. About 0.3 ms.
    ///
    /// # Errors
    /// As [`Steering::open`]; the kernel's elements are then as before.
    pub fn insert(&mut self, table: &Table) -> Result<(), SteeringError> {
        let should = Elements::from(table);
        if let Some(mut known) = self.known.take() {
            let missing = should.without(&known);
            match self.apply(&Difference { insert: missing.clone(), delete: Elements::default() }) {
                Ok(()) => {
                    known.insert(missing);
                    self.known = Some(known);
                    return Ok(());
                }
                // Somebody deleted the table: make it again below.
                Err(SteeringError::Refused { errno, .. }) if errno.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        let mut known = self.restore()?;
        let missing = should.without(&known);
        self.apply(&Difference { insert: missing.clone(), delete: Elements::default() })?;
        known.insert(missing);
        self.known = Some(known);
        Ok(())
    }

    /// Makes the kernel equal to the table, whatever it holds now. To be called after a VIP is withdrawn, off the fast path:
    /// tens of milliseconds if something is to be deleted. Live connections go on.
    ///
    /// # Errors
    /// As [`Steering::open`].
    pub fn reconcile(&mut self, table: &Table) -> Result<(), SteeringError> {
        self.known = None;
        let should = Elements::from(table);
        let known = self.restore()?;
        self.apply(&Difference::between(&known, &should))?;
        self.known = Some(should);
        Ok(())
    }

    /// What the guard has counted.
    ///
    /// # Errors
    /// As [`Steering::open`].
    pub fn counts(&mut self) -> Result<Counts, SteeringError> {
        count::read(&mut self.kernel)
    }

    /// Removes both tables: for uninstalling, since without them a VIP that other nodes' clients still send here leaks.
    /// Returns those that were there. A speaker that merely stops leaves them.
    ///
    /// # Errors
    /// As [`Steering::open`]; a foreign table stays.
    pub fn remove() -> Result<Vec<Family>, SteeringError> {
        let mut kernel = Kernel::open()?;
        let mut there = Vec::new();
        for family in Family::ALL {
            if held(&mut kernel, family)?.is_some() {
                there.push(family);
            }
        }
        kernel.execute(&there.iter().map(|family| delete(*family)).collect())?;
        Ok(there)
    }

    /// Makes the guard whole in both families and returns the elements that are there.
    fn restore(&mut self) -> Result<Elements, SteeringError> {
        let mut all = Elements::default();
        let mut repairs = Batch::default();
        let ipvs = nix::net::if_::if_nametoindex(IPVS_INTERFACE).is_ok();
        for family in Family::ALL {
            let Some(holds) = held(&mut self.kernel, family)? else {
                Guard::of(family, ipvs).statements().for_each(|statement| repairs.push(statement));
                continue;
            };
            let mut elements = Elements::default();
            let guard = Guard::of(family, ipvs);
            let intact = self.read_elements(&guard, &mut elements)? && self.is_whole(&guard, holds)?;
            if !intact {
                repairs.push(delete(family));
                guard.statements().for_each(|statement| repairs.push(statement));
                element::write(family, &elements).for_each(|set| repairs.push(Statement::AddElements(set)));
            }
            all.insert(elements);
        }
        self.kernel.execute(&repairs)?;
        Ok(all)
    }

    /// Whether the table holds the guard and nothing else, elements aside.
    fn is_whole(&mut self, guard: &Guard, holds: u32) -> Result<bool, SteeringError> {
        let family = guard.table.family;
        if usize::try_from(holds).ok() != Some(guard.holds()) {
            return Ok(false);
        }
        let table = TABLE.to_owned();
        for set in &guard.sets {
            let request = Request::Set { family, table: table.clone(), name: set.name.clone() };
            if self.kernel.ask(&request)? != [Item::Set(set.clone())] {
                return Ok(false);
            }
        }
        for chain in &guard.chains {
            let request = Request::Chain { family, table: table.clone(), name: chain.name.clone() };
            if self.kernel.ask(&request)? != [Item::Chain(chain.clone())] {
                return Ok(false);
            }
        }
        let counters = self.kernel.ask(&Request::Counters { family, table: table.clone() })?;
        if counters.len() != guard.counters.len() {
            return Ok(false);
        }
        // The kernel lists chain by chain in the order they were made, which is ours.
        let rules = self.kernel.ask(&Request::Rules { family, table })?;
        Ok(rules == guard.rules.iter().cloned().map(Item::Rule).collect::<Vec<_>>())
    }

    /// Reads both sets; `false` if something in them can't be ours.
    fn read_elements(&mut self, guard: &Guard, into: &mut Elements) -> Result<bool, SteeringError> {
        let mut ours = true;
        for Set { family, table, name, .. } in guard.sets.clone() {
            let request = Request::Elements { family, table, set: name };
            for item in self.kernel.ask(&request)? {
                let Item::Elements(elements) = item else { continue };
                ours &= element::read(&elements, into);
            }
        }
        Ok(ours)
    }

    fn apply(&mut self, Difference { insert, delete }: &Difference) -> Result<(), SteeringError> {
        let mut batch = Batch::default();
        for family in Family::ALL {
            element::write(family, insert).for_each(|set| batch.push(Statement::AddElements(set)));
            element::write(family, delete).for_each(|set| batch.push(Statement::DeleteElements(set)));
        }
        self.kernel.execute(&batch)
    }
}

fn delete(family: Family) -> Statement {
    Statement::DeleteTable { family, name: TABLE.to_owned() }
}

/// How many objects our table holds; `None` if there is no table.
fn held(kernel: &mut Kernel, family: Family) -> Result<Option<u32>, SteeringError> {
    let answer = kernel.ask(&Request::Table { family, name: TABLE.to_owned() }).map_err(|error| match error {
        // The first question of all: it can't be wrong in any other way than that nobody is there to answer it.
        SteeringError::Refused { errno, .. } if errno.raw_os_error() == Some(libc::EINVAL) => {
            SteeringError::MissingNfTables { errno }
        }
        other => other,
    })?;
    match answer.first() {
        Some(Item::Table { table, holds, flags }) if table.comment.starts_with(OWNER) => {
            // A dormant table guards nothing: as if it held something else than ours.
            Ok(Some(if *flags == 0 { *holds } else { u32::MAX }))
        }
        Some(_) => Err(SteeringError::ForeignTable { family, name: TABLE }),
        None => Ok(None),
    }
}
