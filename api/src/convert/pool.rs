//! `AddressPool` to and from what allocation knows of a pool.

use crate::address_pool::{AddressCounts, AddressPool, AddressPoolStatus, ProbePolicy};
use herald_core::address::RangeError;
use herald_core::allocation::{Counts, PoolReport};
use herald_core::names::Namespace;
use herald_core::pool::Pool;
use kube::ResourceExt;

/// Why a pool is set aside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.addresses[{index}]: {source}")]
pub struct PoolError {
    /// Which entry, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    #[source]
    pub source: RangeError,
}

/// Reads a pool.
///
/// # Errors
/// The first entry of `spec.addresses` that is no range, or holds addresses no Service can have. The API server refuses
/// most of them; those it can't judge (a wide CIDR with loopback addresses in its middle) end here.
pub fn pool(object: &AddressPool) -> Result<Pool, PoolError> {
    let spec = &object.spec;
    let range = |(index, text): (usize, &String)| text.parse().map_err(|source| PoolError { index, source });
    Ok(Pool {
        name: object.name_any().into(),
        ranges: spec.addresses.iter().enumerate().map(range).collect::<Result<_, _>>()?,
        auto_assign: spec.auto_assign,
        priority: spec.priority,
        service_selector: spec.service_selector.as_ref().map(Into::into),
        namespace_selector: spec.namespace_selector.as_ref().map(Into::into),
        namespaces: spec.namespaces.iter().map(Namespace::new).collect(),
        probed: spec.probe == ProbePolicy::BeforeUse,
    })
}

/// The counts of a pool's status; its conditions are the caller's.
pub fn status(report: &PoolReport) -> AddressPoolStatus {
    let (ipv4, ipv6) = (counts(report.ipv4), counts(report.ipv6));
    AddressPoolStatus {
        assigned: ipv4.assigned.saturating_add(ipv6.assigned),
        available: ipv4.available.saturating_add(ipv6.available),
        ipv4,
        ipv6,
        conditions: Vec::new(),
    }
}

fn counts(counts: Counts) -> AddressCounts {
    let count = |value| i64::try_from(value).unwrap_or(i64::MAX);
    AddressCounts { total: count(counts.total), assigned: count(counts.assigned), available: count(counts.available) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address_pool::AddressPoolSpec;
    use serde_json::json;

    fn object(spec: serde_json::Value) -> AddressPool {
        AddressPool::new("lan", serde_json::from_value::<AddressPoolSpec>(spec).unwrap())
    }

    #[test]
    fn a_pool_of_five_lines_has_the_documented_defaults() {
        let pool = pool(&object(json!({ "addresses": ["192.0.2.0/24", "2001:db8::/64"] }))).unwrap();
        assert_eq!((pool.name.as_str(), pool.priority, pool.auto_assign, pool.probed), ("lan", 100, true, true));
        assert_eq!(pool.ranges.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.0/24", "2001:db8::/64"]);
        assert_eq!((pool.service_selector, pool.namespace_selector, pool.namespaces.len()), (None, None, 0));
    }

    #[test]
    fn the_entry_that_sets_a_pool_aside_is_named() {
        let error = pool(&object(json!({ "addresses": ["192.0.2.0/24", "126.0.0.0/7"] }))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.addresses[1]: 126.0.0.0/7 holds loopback addresses, which no Service can have: leave them out"
        );
    }

    #[test]
    fn counts_end_at_the_largest_number_the_schema_knows() {
        let ipv6 = Counts { total: u64::MAX, assigned: 3, available: u64::MAX - 3 };
        let ipv4 = Counts { total: 256, assigned: 1, available: 255 };
        let status = status(&PoolReport { ipv4, ipv6, ..PoolReport::default() });
        assert_eq!((status.ipv6.total, status.available, status.assigned), (i64::MAX, i64::MAX, 4));
        assert_eq!(status.ipv4, AddressCounts { total: 256, assigned: 1, available: 255 });
    }
}
