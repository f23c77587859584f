//! A pool of external addresses and who may use it.

use crate::address::{AddressRange, Vip};
use crate::names::{Namespace, PoolName};
use crate::selector::Selector;
use crate::service::{POOL_ANNOTATION, ServiceRequest};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Whether the network is asked for its addresses before they are used.
    pub probed: bool,
}

impl Pool {
    /// Whether the address is written in the pool, whoever it belongs to if pools overlap.
    pub fn holds(&self, vip: Vip) -> bool {
        self.ranges.iter().any(|range| range.contains(vip))
    }

    /// Orders pools: the one that is tried first, and that overlapped addresses belong to, sorts first.
    pub fn precedence(&self) -> (i32, &PoolName) {
        (self.priority, &self.name)
    }

    /// Whether the Service may have addresses from here at all.
    ///
    /// # Errors
    /// The first field of the pool that keeps it out.
    pub fn admit(
        &self,
        service: &ServiceRequest,
        namespace_labels: Option<&BTreeMap<String, String>>,
    ) -> Result<(), Exclusion> {
        let namespace = &service.key.namespace;
        if !self.namespaces.is_empty() && !self.namespaces.contains(namespace) {
            return Err(Exclusion::Namespaces { namespace: namespace.clone() });
        }
        let unlabelled = BTreeMap::new();
        let labels = namespace_labels.unwrap_or(&unlabelled);
        if self.namespace_selector.as_ref().is_some_and(|selector| !selector.matches(labels)) {
            return Err(Exclusion::NamespaceSelector { namespace: namespace.clone() });
        }
        if self.service_selector.as_ref().is_some_and(|selector| !selector.matches(&service.labels)) {
            return Err(Exclusion::ServiceSelector);
        }
        Ok(())
    }
}

/// Why a pool gives a Service nothing. `Display` names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exclusion {
    /// Its namespace is not among those named.
    #[error("spec.namespaces does not list {namespace}")]
    Namespaces {
        /// The Service's.
        namespace: Namespace,
    },
    /// Its namespace's labels don't match.
    #[error("spec.namespaceSelector does not select namespace {namespace}")]
    NamespaceSelector {
        /// The Service's.
        namespace: Namespace,
    },
    /// Its labels don't match.
    #[error("spec.serviceSelector does not select the Service's labels")]
    ServiceSelector,
    /// It must be asked for.
    #[error("spec.autoAssign is false: annotation {POOL_ANNOTATION} must ask for it")]
    NotAutomatic,
}
