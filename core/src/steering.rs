//! What the kernel of a node does with packets addressed to a VIP, as a table of data, and the difference between the table
//! the kernel has and the one it should have. Owns neither the rules that look the data up nor their programming.

use crate::address::Vip;
use crate::service::ServicePort;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// All VIPs known to this node, owned or not, each with the ports that some holder has. Ports outside the set are
/// refused at once; those in it pass on to kube-proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Ports by VIP.
    pub vips: BTreeMap<Vip, BTreeSet<ServicePort>>,
}

/// The table as the kernel keeps it: keys of two sets. The kernel may hold ports of an address that is no VIP (they have no
/// effect), a table can not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    /// Addresses that are VIPs.
    pub vips: BTreeSet<Vip>,
    /// Served ports of VIPs.
    pub ports: BTreeSet<(Vip, ServicePort)>,
}

impl Elements {
    /// No element at all.
    pub fn is_empty(&self) -> bool {
        self.vips.is_empty() && self.ports.is_empty()
    }

    /// What these have and the others lack.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self {
            vips: self.vips.difference(&others.vips).copied().collect(),
            ports: self.ports.difference(&others.ports).copied().collect(),
        }
    }

    /// Adds others to these.
    pub fn insert(&mut self, others: Self) {
        self.vips.extend(others.vips);
        self.ports.extend(others.ports);
    }

    /// Takes others away from these.
    pub fn delete(&mut self, others: &Self) {
        self.vips.retain(|vip| !others.vips.contains(vip));
        self.ports.retain(|port| !others.ports.contains(port));
    }
}

impl From<&Table> for Elements {
    fn from(table: &Table) -> Self {
        let ports = table.vips.iter().flat_map(|(vip, ports)| ports.iter().map(|port| (*vip, *port)));
        Self { vips: table.vips.keys().copied().collect(), ports: ports.collect() }
    }
}

/// What makes the kernel's elements equal to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Missing: to be there before a VIP is announced.
    pub insert: Elements,
    /// Too many: to go after a VIP is withdrawn, when there is time (deleting takes the kernel milliseconds).
    pub delete: Elements,
}

impl Difference {
    /// Compares what is with what should be.
    pub fn between(is: &Elements, should: &Elements) -> Self {
        Self { insert: should.without(is), delete: is.without(should) }
    }

    /// Both are equal.
    pub fn is_empty(&self) -> bool {
        self.insert.is_empty() && self.delete.is_empty()
    }
}
