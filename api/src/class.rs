//! Which Services are ours.

use crate::slim::{Service, ServiceType};

/// The load-balancer class that this installation serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerClass {
    /// The class a Service names in `spec.loadBalancerClass`.
    pub name: String,
    /// Whether Services that name no class are ours too.
    pub is_default: bool,
}

impl LoadBalancerClass {
    /// Whether the Service is of type LoadBalancer and ours by its class. A Service being deleted still is.
    pub fn claims(&self, service: &Service) -> bool {
        service.spec.type_ == ServiceType::LoadBalancer
            && service.spec.load_balancer_class.as_ref().map_or(self.is_default, |class| *class == self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slim::ServiceSpec;

    #[test]
    fn a_service_is_ours_by_type_and_class() {
        let ours = |is_default, type_, class: Option<&str>| {
            let spec = ServiceSpec { type_, load_balancer_class: class.map(str::to_owned), ..ServiceSpec::default() };
            let class = LoadBalancerClass { name: "herald-lb.io/herald".to_owned(), is_default };
            class.claims(&Service { spec, ..Service::default() })
        };
        assert!(ours(true, ServiceType::LoadBalancer, None));
        assert!(!ours(false, ServiceType::LoadBalancer, None));
        assert!(ours(false, ServiceType::LoadBalancer, Some("herald-lb.io/herald")));
        assert!(!ours(true, ServiceType::LoadBalancer, Some("example.com/other")));
        assert!(!ours(true, ServiceType::Other, Some("herald-lb.io/herald")));
    }
}
