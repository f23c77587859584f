//! A cluster in memory: Services and the ledger with the API server's rules for writes, and users who change Services.

use crate::effects::{Effect, Lane, Seen};
use crate::executor::{Release, release};
use crate::intake::Reader;
use crate::records::{Finding, NodeRecord, Observation, PoolRecord, Report, SpeakerRecord};
use herald_api::VirtualIP;
use herald_api::address_pool::{AddressPoolStatus, Advertise};
use herald_api::class::LoadBalancerClass;
use herald_api::condition::Verdict;
use herald_api::convert::ledger;
use herald_api::keys::{ADDRESSES_ANNOTATION, GROUP, condition, reason};
use herald_api::slim::{Ingress, IpFamily, Service, ServiceType};
use herald_api::virtual_ip::{AnnouncementCause, Announcer};
use herald_core::address::Vip;
use herald_core::names::{ServiceKey, Uid};
use herald_core::ownership::Segment;
use herald_core::pool::Pool;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const FINALIZER: &str = "example.com/release";

/// The cluster, and how many writes it has seen.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) services: BTreeMap<ServiceKey, Service>,
    pub(super) vips: BTreeMap<Vip, VirtualIP>,
    pub(super) pool: Pool,
    pub(super) reader: Reader,
    /// The nodes, each with a speaker on the pool's segment.
    pub(super) nodes: Vec<&'static str>,
    /// What each speaker heard when it asked for addresses.
    pub(super) findings: BTreeMap<Vip, Finding>,
    /// Addresses that a stranger answers for.
    pub(super) strangers: BTreeSet<Vip>,
    pub(super) version: u64,
}

/// A write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// What a lane knows while it runs.
pub(super) struct Steps {
    service: Option<Seen>,
    gone: bool,
    pub(super) written: Vec<Observation>,
}

impl Steps {
    pub(super) fn new(lane: &Lane) -> Self {
        Self { service: lane.service.clone(), gone: false, written: Vec::new() }
    }
}

impl Cluster {
    pub(super) fn new(finalizer: bool) -> Self {
        let class = LoadBalancerClass { name: "herald-lb.io/herald".to_owned(), is_default: true };
        let pool = Pool {
            name: "lan".into(),
            ranges: vec!["192.0.2.1-192.0.2.4".parse().unwrap(), "2001:db8::1-2001:db8::4".parse().unwrap()],
            auto_assign: true,
            priority: 100,
            service_selector: None,
            namespace_selector: None,
            namespaces: BTreeSet::new(),
            probed: true,
        };
        let reader = Reader { class: Arc::new(class), finalizer: finalizer.then(|| Arc::from(FINALIZER)) };
        Self {
            services: BTreeMap::new(),
            vips: BTreeMap::new(),
            pool,
            reader,
            nodes: Vec::new(),
            findings: BTreeMap::new(),
            strangers: BTreeSet::new(),
            version: 0,
        }
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Everything, as a list shows it.
    pub(super) fn listed(&self) -> Vec<Observation> {
        let mut all = vec![Observation::Service(Report::Listing)];
        all.extend(self.services.values().map(|service| self.reader.service(service)));
        all.extend([Observation::Service(Report::Listed), Observation::Vip(Report::Listing)]);
        all.extend(self.vips.values().filter_map(|vip| self.reader.virtual_ip(vip.clone())));
        all.push(Observation::Vip(Report::Listed));
        all.extend([
            Observation::Pool(Report::Listing),
            Observation::Pool(Report::Is("lan".into(), self.pool_record())),
            Observation::Pool(Report::Listed),
        ]);
        all.extend([Observation::Node(Report::Listing), Observation::Speaker(Report::Listing)]);
        for node in &self.nodes {
            let record = NodeRecord { labels: BTreeMap::new(), bar: None, leaving: false, cordoned: false };
            all.push(Observation::Node(Report::Is((*node).into(), record)));
            all.push(Observation::Speaker(Report::Is((*node).into(), self.speaker())));
        }
        all.extend([Observation::Node(Report::Listed), Observation::Speaker(Report::Listed)]);
        all
    }

    fn speaker(&self) -> SpeakerRecord {
        let segment = Segment {
            interface: "eth0".into(),
            subnets: ["192.0.2.0/24".parse().unwrap(), "2001:db8::/64".parse().unwrap()].into(),
            carrier: true,
            mac: None,
            addresses: BTreeSet::new(),
        };
        SpeakerRecord { running: true, segments: vec![segment], findings: self.findings.clone() }
    }

    pub(super) fn pool_record(&self) -> PoolRecord {
        PoolRecord {
            pool: Ok(self.pool.clone()),
            labels: BTreeMap::new(),
            advertise: Advertise::Default,
            uid: "pool".into(),
            generation: None,
            status: AddressPoolStatus::default(),
        }
    }

    // === what users do ===

    pub(super) fn create(&mut self, key: &ServiceKey, dual: bool) {
        let version = self.next_version();
        let service = self.services.entry(key.clone()).or_default();
        if service.metadata.uid.is_some() {
            return;
        }
        service.metadata.name = Some(key.name.to_string());
        service.metadata.namespace = Some(key.namespace.to_string());
        service.metadata.uid = Some(format!("u{version}"));
        service.metadata.resource_version = Some(version);
        service.spec.type_ = ServiceType::LoadBalancer;
        service.spec.ip_families = if dual { vec![IpFamily::IPv4, IpFamily::IPv6] } else { vec![IpFamily::IPv4] };
    }

    pub(super) fn delete(&mut self, key: &ServiceKey) {
        let Some(service) = self.services.get_mut(key) else { return };
        if service.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
            self.services.remove(key);
        } else if service.metadata.deletion_timestamp.is_none() {
            let time = jiff::Timestamp::UNIX_EPOCH;
            service.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
            self.touch(key);
        }
    }

    /// Away from LoadBalancer the API server wipes the addresses in the same write.
    pub(super) fn turn(&mut self, key: &ServiceKey, type_: ServiceType) {
        let Some(service) = self.services.get_mut(key) else { return };
        service.spec.type_ = type_;
        if type_ == ServiceType::Other {
            service.spec.load_balancer_class = None;
            service.status.load_balancer.ingress.clear();
        }
        self.touch(key);
    }

    pub(super) fn request(&mut self, key: &ServiceKey, address: &str) {
        let Some(service) = self.services.get_mut(key) else { return };
        let annotations = service.metadata.annotations.get_or_insert_default();
        annotations.insert(ADDRESSES_ANNOTATION.to_owned(), address.to_owned());
        assert!(ADDRESSES_ANNOTATION.starts_with(GROUP));
        self.touch(key);
    }

    fn touch(&mut self, key: &ServiceKey) {
        let version = self.next_version();
        if let Some(service) = self.services.get_mut(key) {
            service.metadata.resource_version = Some(version);
        }
    }

    // === what speakers do ===

    /// Each address is announced by the node that it is for, or else the first; a stranger's is not, and that is said.
    pub(super) fn speak(&mut self) {
        let Some(first) = self.nodes.first() else { return };
        for (vip, object) in &mut self.vips {
            let stranger = self.strangers.contains(vip);
            let verdict = Verdict::new(condition::CONFLICT, stranger, reason::ADDRESS_CONFLICT, "a stranger answers");
            let preferred = object.spec.preferred_node.clone();
            let status = object.status.get_or_insert_default();
            let node = preferred.unwrap_or_else(|| (*first).to_owned());
            let epoch = status.announcer.as_ref().map_or(1, |last| last.epoch + i64::from(last.node != node));
            let announcer = Announcer {
                node,
                interface: "eth0".to_owned(),
                mac: "52:54:00:00:00:01".to_owned(),
                epoch,
                since: MicroTime(jiff::Timestamp::UNIX_EPOCH),
                cause: AnnouncementCause::Allocated,
            };
            let announcer = if stranger { status.announcer.clone() } else { Some(announcer) };
            let said = verdict.is_said_by(&status.conditions, None);
            if announcer != status.announcer || !said {
                status.announcer = announcer;
                status.conditions = vec![verdict.condition(&[], None, jiff::Timestamp::UNIX_EPOCH)];
                self.version += 1;
                object.metadata.resource_version = Some(self.version.to_string());
            }
        }
    }

    /// What one node announced another one announces from now on.
    pub(super) fn take_over(&mut self, from: &str, to: &str) {
        for object in self.vips.values_mut() {
            let announcer = object.status.as_mut().and_then(|status| status.announcer.as_mut());
            if let Some(announcer) = announcer.filter(|announcer| announcer.node == from) {
                (announcer.node, announcer.epoch) = (to.to_owned(), announcer.epoch + 1);
                self.version += 1;
                object.metadata.resource_version = Some(self.version.to_string());
            }
        }
    }

    // === what the controller does ===

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of write")]
    pub(super) fn apply(&mut self, effect: &Effect, steps: &mut Steps) -> Result<(), Refused> {
        match effect {
            Effect::HoldService { service, condition } => self.patch(service, steps, |object| {
                object.status.conditions.extend(condition.clone());
                object.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
            }),
            Effect::PublishStatus(publication) => self.patch(&publication.service, steps, |object| {
                let ingress = publication.addresses.iter().map(|vip| Ingress {
                    ip: Some(vip.to_string()),
                    hostname: None,
                    ip_mode: Some("VIP".to_owned()),
                });
                object.status.load_balancer.ingress = ingress.collect();
                let conditions = &mut object.status.conditions;
                conditions.retain(|old| publication.conditions.iter().all(|new| new.type_ != old.type_));
                conditions.extend(publication.conditions.iter().cloned());
            }),
            Effect::LetGo { .. } if steps.gone => Ok(()),
            Effect::LetGo { service, .. } => self.patch(service, steps, |object| {
                object.status.conditions.retain(|condition| !condition.type_.starts_with(GROUP));
                if let Some(finalizers) = &mut object.metadata.finalizers {
                    finalizers.retain(|finalizer| finalizer != FINALIZER);
                }
            }),
            Effect::ConfirmRelease { holder, uid, vips, stays_ours } => {
                self.confirm(holder, uid, vips, *stays_ours, steps)
            }
            Effect::CreateVip { vip, entry, preferred } if !self.vips.contains_key(vip) => {
                let version = self.next_version();
                let mut object = ledger::object(*vip, entry);
                object.spec.preferred_node = preferred.as_ref().map(ToString::to_string);
                object.metadata.uid = Some(format!("v{version}"));
                self.put(*vip, object, version, steps);
                Ok(())
            }
            Effect::UpdateVip { vip, entry, seen } if self.is_seen(*vip, seen) => {
                let (version, before) = (self.next_version(), self.vips[vip].clone());
                let mut object = ledger::object(*vip, entry);
                object.spec.preferred_node = before.spec.preferred_node;
                (object.metadata.uid, object.status) = (before.metadata.uid, before.status);
                self.put(*vip, object, version, steps);
                Ok(())
            }
            Effect::PreferNode { vip, node, seen } if self.is_seen(*vip, seen) => {
                let (version, mut object) = (self.next_version(), self.vips[vip].clone());
                object.spec.preferred_node = Some(node.to_string());
                self.put(*vip, object, version, steps);
                Ok(())
            }
            Effect::DeleteVip { vip, seen } if !self.vips.contains_key(vip) || self.is_seen(*vip, seen) => {
                self.vips.remove(vip);
                steps.written.push(Observation::Vip(Report::Gone(*vip, Some(seen.uid.clone()))));
                Ok(())
            }
            Effect::CreateVip { vip, .. }
            | Effect::UpdateVip { vip, .. }
            | Effect::PreferNode { vip, .. }
            | Effect::DeleteVip { vip, .. } => {
                self.refetch(*vip, steps);
                Err(Refused)
            }
            Effect::RefetchVip { vip } => {
                self.refetch(*vip, steps);
                Ok(())
            }
            Effect::PoolStatus { .. }
            | Effect::VipStatus { .. }
            | Effect::AdvertisementStatus { .. }
            | Effect::MakeHeartbeatKey { .. } => Ok(()),
        }
    }

    fn put(&mut self, vip: Vip, mut object: VirtualIP, version: String, steps: &mut Steps) {
        object.metadata.resource_version = Some(version);
        steps.written.extend(self.reader.virtual_ip(object.clone()));
        self.vips.insert(vip, object);
    }

    fn is_seen(&self, vip: Vip, seen: &Seen) -> bool {
        self.vips.get(&vip).is_some_and(|object| {
            object.metadata.uid.as_deref() == Some(seen.uid.as_str())
                && object.metadata.resource_version.as_deref() == Some(&seen.version)
        })
    }

    fn refetch(&self, vip: Vip, steps: &mut Steps) {
        let gone = || Observation::Vip(Report::Gone(vip, None));
        let found = self.vips.get(&vip).and_then(|object| self.reader.virtual_ip(object.clone()));
        steps.written.push(found.unwrap_or_else(gone));
    }

    fn patch(&mut self, key: &ServiceKey, steps: &mut Steps, change: impl FnOnce(&mut Service)) -> Result<(), Refused> {
        let is_seen = |service: &Service| {
            steps.service.as_ref().is_none_or(|seen| {
                service.metadata.uid.as_deref() == Some(seen.uid.as_str())
                    && service.metadata.resource_version.as_deref() == Some(&seen.version)
            })
        };
        if !self.services.get(key).is_some_and(is_seen) {
            let uid = steps.service.as_ref().map(|seen| seen.uid.clone());
            let gone = || Observation::Service(Report::Gone(key.clone(), uid));
            let found = self.services.get(key).map(|service| self.reader.service(service));
            steps.written.push(found.unwrap_or_else(gone));
            return Err(Refused);
        }
        let version = self.next_version();
        if let Some(service) = self.services.get_mut(key) {
            change(service);
            service.metadata.resource_version = Some(version.clone());
            let uid = service.metadata.uid.as_deref().unwrap_or_default().into();
            steps.service = Some(Seen { uid, version });
            steps.written.push(self.reader.service(service));
            let held = service.metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty());
            if service.metadata.deletion_timestamp.is_some() && !held {
                self.services.remove(key);
            }
        }
        Ok(())
    }

    fn confirm(
        &mut self,
        holder: &ServiceKey,
        uid: &Uid,
        vips: &BTreeSet<Vip>,
        stays_ours: bool,
        steps: &mut Steps,
    ) -> Result<(), Refused> {
        let service = self.services.get(holder).cloned();
        let answer = release(&self.reader, service.as_ref(), uid, vips, stays_ours);
        if let (true, Some(service)) = (answer != Release::Gone, &service) {
            let version = service.metadata.resource_version.clone().unwrap_or_default();
            steps.service = Some(Seen { uid: uid.clone(), version });
            steps.written.push(self.reader.service(service));
        }
        match answer {
            Release::Gone => steps.gone = true,
            Release::Free => {}
            Release::Clear => self.patch(holder, steps, |object| object.status.load_balancer.ingress.clear())?,
            Release::Refused(_) => return Err(Refused),
        }
        Ok(())
    }

    // === what must always hold ===

    /// No address is shown by two Services, and none is shown by one that the ledger doesn't give it to.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut shown: BTreeMap<&str, &ServiceKey> = BTreeMap::new();
        for (key, service) in &self.services {
            for ip in service.status.load_balancer.ingress.iter().filter_map(|entry| entry.ip.as_deref()) {
                if let Some(other) = shown.insert(ip, key) {
                    return Err(format!("{ip} is shown by {other} and {key}"));
                }
                let held = self.vips.get(&Vip::new(ip.parse().unwrap()).unwrap());
                let holder = held.and_then(|object| object.spec.holders.first()).map(|holder| holder.uid.as_str());
                if holder != service.metadata.uid.as_deref() {
                    return Err(format!("{key} shows {ip}, which the ledger gives to {holder:?}"));
                }
            }
        }
        Ok(())
    }

    /// Nothing is left half done: what the ledger holds is exactly what Services show, but for strangers' addresses, and
    /// only ours bear our marks.
    pub(super) fn check_settled(&self) -> Result<(), String> {
        self.check()?;
        let shown: BTreeSet<String> = self
            .services
            .values()
            .flat_map(|service| service.status.load_balancer.ingress.iter().filter_map(|entry| entry.ip.clone()))
            .collect();
        let held = self.vips.keys().filter(|vip| !self.strangers.contains(vip));
        let held: BTreeSet<String> = held.map(ToString::to_string).collect();
        if shown != held {
            return Err(format!("shown are {shown:?}, held are {held:?}"));
        }
        for (key, service) in &self.services {
            let ours = service.spec.type_ == ServiceType::LoadBalancer;
            let marked = !service.status.conditions.is_empty();
            if ours != marked || service.metadata.deletion_timestamp.is_some() {
                return Err(format!("{key}: ours {ours}, marked {marked}, deletion pending: {:?}", service.metadata));
            }
        }
        Ok(())
    }
}
