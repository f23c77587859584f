//! When the kernel's rules follow the ledger: additions before an address is announced, removals later.
//!
//! Owns the waiting and trying again; [`crate::steering`] programs the kernel.

use crate::intake::chain;
use crate::steering::Steering;
use herald_core::address::Vip;
use herald_core::steering::Table;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Deleting waits for the kernel, tens of milliseconds. So much later it is in nobody's way, and a burst of removals is
/// one.
const REMOVE_AFTER: Duration = Duration::from_millis(500);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The kernel's rules.
#[derive(Debug)]
pub enum Guard {
    /// Not ours to program.
    Off,
    /// Programmed by us.
    Native(Box<Native>),
}

/// Rules programmed by us.
#[derive(Debug)]
pub struct Native {
    steering: Steering,
    /// What was added last; `None` until something was, and after a failure.
    added: Option<Table>,
    /// The addresses that the kernel has known rules for.
    prepared: BTreeSet<Vip>,
    /// When to remove what the table lacks.
    remove: Option<Instant>,
    retry: Option<Instant>,
    failure: Option<String>,
}

/// The kernel refuses the rules; [`Guard::failure`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel refuses the rules that guard the addresses")]
pub struct Unguarded;

impl Guard {
    /// With rules of an earlier life still in the kernel, which the first table clears up.
    pub fn native(steering: Steering) -> Self {
        Self::Native(Box::new(Native {
            steering,
            added: None,
            prepared: BTreeSet::new(),
            remove: None,
            retry: None,
            failure: None,
        }))
    }

    /// Adds what the table has and the kernel lacks, and plans the removal of the rest.
    ///
    /// # Errors
    /// The kernel refuses, or did a moment ago.
    pub fn prepare(&mut self, table: &Table, now: Instant) -> Result<(), Unguarded> {
        match self {
            Self::Off => Ok(()),
            Self::Native(native) => native.prepare(table, now),
        }
    }

    /// Removes what the table lacks, if it is time.
    pub fn tidy(&mut self, table: &Table, now: Instant) {
        if let Self::Native(native) = self {
            native.tidy(table, now);
        }
    }

    /// Why the kernel refuses the rules.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Off => None,
            Self::Native(native) => native.failure.as_deref(),
        }
    }

    /// Whether the kernel has had rules for the address: with older ones it goes on, without any it must not begin.
    pub fn has(&self, vip: Vip) -> bool {
        match self {
            Self::Off => true,
            Self::Native(native) => native.prepared.contains(&vip),
        }
    }

    /// When to come back.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Off => None,
            Self::Native(native) => native.remove.into_iter().chain(native.retry).min(),
        }
    }
}

impl Native {
    fn prepare(&mut self, table: &Table, now: Instant) -> Result<(), Unguarded> {
        if self.added.as_ref() == Some(table) {
            return Ok(());
        }
        if self.retry.is_some_and(|retry| now < retry) {
            return Err(Unguarded);
        }
        let done = self.steering.insert(table);
        self.settle(done, now)?;
        self.remove = self.remove.or_else(|| now.checked_add(REMOVE_AFTER));
        self.prepared = table.vips.keys().copied().collect();
        self.added = Some(table.clone());
        Ok(())
    }

    fn tidy(&mut self, table: &Table, now: Instant) {
        if self.remove.is_some_and(|remove| remove <= now) {
            self.remove = None;
            let done = self.steering.reconcile(table);
            // After a failure the next pass adds, and plans the removal, again.
            let _ = self.settle(done, now);
        }
    }

    /// Keeps what came of a change.
    fn settle(&mut self, done: Result<(), crate::steering::SteeringError>, now: Instant) -> Result<(), Unguarded> {
        let Err(error) = done else {
            if self.failure.take().is_some() {
                tracing::info!("the kernel takes the rules again");
            }
            self.retry = None;
            return Ok(());
        };
        let sentence = chain(&error);
        if self.failure.as_ref() != Some(&sentence) {
            tracing::error!(
                error = sentence,
                "the kernel refuses the rules that guard the addresses: none is announced anew"
            );
        }
        self.failure = Some(sentence);
        self.added = None;
        self.retry = now.checked_add(RETRY);
        Err(Unguarded)
    }
}
