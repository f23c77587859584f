//! A Service's spec and annotations as a request for addresses.

use crate::keys::{ADDRESSES_ANNOTATION, POOL_ANNOTATION};
use crate::slim::{IpFamily, IpFamilyPolicy, Service};
use herald_core::address::{Family, Vip};
use herald_core::names::ServiceKey;
use herald_core::service::{ServicePort, ServiceRequest};
use kube::ResourceExt;
use std::net::IpAddr;

/// The most pools one annotation may name.
const MAX_POOLS: usize = 16;

/// Names a Service.
pub fn key(service: &Service) -> ServiceKey {
    ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any())
}

/// Reads what a Service asks for; what can't be understood is said in [`ServiceRequest::invalid`]. Whether the Service
/// is ours at all is for [`LoadBalancerClass`](crate::class::LoadBalancerClass) to say.
pub fn request(service: &Service) -> ServiceRequest {
    let families: Vec<_> = service.spec.ip_families.iter().copied().map(Family::from).collect();
    let pools = listed(service, POOL_ANNOTATION);
    let (addresses, invalid) = match addresses(service, &families).and_then(|addresses| {
        well_formed(&pools, &families)?;
        Ok(addresses)
    }) {
        Ok(addresses) => (addresses, None),
        Err(invalid) => (Vec::new(), Some(invalid.to_string())),
    };
    ServiceRequest {
        key: key(service),
        uid: service.uid().unwrap_or_default().into(),
        labels: super::labels(&service.metadata),
        families,
        require_all_families: service.spec.ip_family_policy == Some(IpFamilyPolicy::RequireDualStack),
        pools,
        addresses,
        invalid,
        ports: ports(service),
        published: published(service),
    }
}

/// Why a request can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum RequestError {
    #[error("annotation {ADDRESSES_ANNOTATION}: {text:?} is not an IPv4 or IPv6 address")]
    Garbage { text: String },
    #[error("annotation {ADDRESSES_ANNOTATION}: {0}")]
    Unusable(#[from] herald_core::address::VipError),
    #[error(
        "annotation {ADDRESSES_ANNOTATION}: {first} and {second} are both {family}: at most one per family is possible"
    )]
    SameFamily { first: Vip, second: Vip, family: Family },
    #[error(
        "annotation {ADDRESSES_ANNOTATION}: {address} is {family}, but spec.ipFamilies of the Service has {families} only: \
         change one of them"
    )]
    OtherFamily { address: Vip, family: Family, families: String },
    #[error("annotation {POOL_ANNOTATION} names {count} pools: at most {MAX_POOLS} are possible")]
    ManyPools { count: usize },
    #[error("spec.ipFamilies of the Service is empty: it needs a cluster IP to have a family")]
    NoFamily,
}

fn well_formed(pools: &[String], families: &[Family]) -> Result<(), RequestError> {
    if families.is_empty() {
        return Err(RequestError::NoFamily);
    }
    let count = pools.len();
    if count > MAX_POOLS { Err(RequestError::ManyPools { count }) } else { Ok(()) }
}

fn addresses(service: &Service, families: &[Family]) -> Result<Vec<Vip>, RequestError> {
    let mut addresses: Vec<Vip> = Vec::new();
    for text in listed(service, ADDRESSES_ANNOTATION) {
        let address: IpAddr = text.parse().map_err(|_| RequestError::Garbage { text })?;
        let vip = Vip::new(address)?;
        let family = vip.family();
        if !families.is_empty() && !families.contains(&family) {
            let families = families.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            return Err(RequestError::OtherFamily { address: vip, family, families });
        }
        match addresses.iter().find(|other| other.family() == family) {
            None => addresses.push(vip),
            Some(first) if *first == vip => {}
            Some(first) => return Err(RequestError::SameFamily { first: *first, second: vip, family }),
        }
    }
    Ok(addresses)
}

/// The entries of an annotation that is a list, separated by commas.
fn listed(service: &Service, annotation: &str) -> Vec<String> {
    let text = service.annotations().get(annotation).map_or("", String::as_str);
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

fn ports(service: &Service) -> std::collections::BTreeSet<ServicePort> {
    let port = |port: &crate::slim::ServicePort| ServicePort { protocol: port.protocol.into(), port: port.port };
    service.spec.ports.iter().map(port).collect()
}

fn published(service: &Service) -> Vec<Vip> {
    let ingress = &service.status.load_balancer.ingress;
    ingress.iter().filter_map(|ingress| Vip::new(ingress.ip.as_ref()?.parse().ok()?).ok()).collect()
}

impl From<IpFamily> for Family {
    fn from(family: IpFamily) -> Self {
        match family {
            IpFamily::IPv4 => Self::V4,
            IpFamily::IPv6 => Self::V6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(annotations: &serde_json::Value) -> Service {
        serde_json::from_value(json!({
            "metadata": { "namespace": "default", "name": "web", "uid": "u1", "annotations": annotations },
            "spec": {
                "type": "LoadBalancer", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{ "port": 80, "protocol": "TCP" }, { "port": 443 }, { "port": 443, "protocol": "UDP" }],
            },
            "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1", "ipMode": "VIP" }, { "hostname": "a.example" }] } },
        }))
        .unwrap()
    }

    fn invalid(annotations: &serde_json::Value) -> String {
        request(&service(annotations)).invalid.expect("it is no request")
    }

    #[test]
    fn a_service_without_annotations_asks_for_any_address_of_its_families() {
        let request = request(&service(&json!({})));
        assert_eq!(request.key.to_string(), "default/web");
        assert_eq!((request.families.as_slice(), request.require_all_families), (&[Family::V4][..], false));
        assert_eq!((request.pools.len(), request.addresses.len(), request.invalid), (0, 0, None));
        assert_eq!(request.ports.len(), 3);
        assert_eq!(request.published.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1"]);
    }

    #[test]
    fn annotations_are_lists_with_commas_and_any_spaces() {
        let request = request(&service(&json!({
            "herald-lb.io/address-pool": " dmz, lan ,", "herald-lb.io/addresses": "192.0.2.7,",
        })));
        assert_eq!(request.pools, ["dmz", "lan"]);
        assert_eq!(request.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.7"]);
    }

    #[test]
    fn what_can_not_be_understood_is_said_with_the_field_to_change() {
        for (addresses, message) in [
            ("web", "annotation herald-lb.io/addresses: \"web\" is not an IPv4 or IPv6 address"),
            (
                "127.0.0.1",
                "annotation herald-lb.io/addresses: 127.0.0.1 is a loopback address, which no Service can have",
            ),
            (
                "::ffff:192.0.2.1",
                "annotation herald-lb.io/addresses: ::ffff:192.0.2.1 is an IPv4-mapped address, which no Service can have",
            ),
            (
                "192.0.2.1,192.0.2.2",
                "annotation herald-lb.io/addresses: 192.0.2.1 and 192.0.2.2 are both IPv4: at most one per family is possible",
            ),
            (
                "2001:db8::1",
                "annotation herald-lb.io/addresses: 2001:db8::1 is IPv6, but spec.ipFamilies of the Service has IPv4 only: change one of them",
            ),
        ] {
            assert_eq!(invalid(&json!({ "herald-lb.io/addresses": addresses })), message);
        }
        let many = vec!["pool"; 17].join(",");
        assert_eq!(
            invalid(&json!({ "herald-lb.io/address-pool": many })),
            "annotation herald-lb.io/address-pool names 17 pools: at most 16 are possible"
        );
    }
}
