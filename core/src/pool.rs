//! A pool of external addresses and who may use it.

use crate::address::AddressRange;
use crate::names::{Namespace, PoolName};
use crate::selector::Selector;
use std::collections::BTreeSet;

/// A pool that passed the checks of its text forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The `AddressPool`'s name.
    pub name: PoolName,
    /// Its ranges in the order written: addresses are given out from the first to the last.
    pub ranges: Vec<AddressRange>,
    /// Whether Services get addresses from here without asking for this pool or an address of it.
    pub auto_assign: bool,
    /// Lower is tried first; ties go by name.
    pub priority: i32,
    /// Services admitted by label; `None` admits all.
    pub service_selector: Option<Selector>,
    /// Namespaces admitted by label; `None` admits all.
    pub namespace_selector: Option<Selector>,
    /// Namespaces admitted by name; empty admits all.
    pub namespaces: BTreeSet<Namespace>,
}
