//! What the kernel of a node does with packets addressed to a VIP, as a table of data.

use crate::address::Vip;
use crate::service::ServicePort;
use std::collections::{BTreeMap, BTreeSet};

/// All VIPs known to this node, owned or not, each with the ports that some holder has. Ports outside the set are
/// refused at once; those in it pass on to kube-proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Ports by VIP.
    pub vips: BTreeMap<Vip, BTreeSet<ServicePort>>,
}
