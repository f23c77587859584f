//! The watches: one endless stream per kind of object, which goes on by itself after any failure.

use super::mirror::{Reading, Seen};
use super::records;
use super::{Change, Kind};
use futures::stream::{BoxStream, SelectAll, StreamExt};
use herald_api::keys::HEARTBEAT_SECRET;
use herald_api::slim::{EndpointSlice, Node, Service};
use herald_core::address::Vip;
use herald_core::names::{NodeName, PoolName, ServiceKey};
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

/// How long one watch request lasts, in seconds. A connection that died in silence is noticed 5 s later at most; the
/// price is one cheap request per kind and period.
const WATCH_SECONDS: u32 = 40;

/// Objects per page of a list: bounds what is decoded at once, and with it the peak of memory.
const PAGE: u32 = 250;

/// The first pause after a failure.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// The longest pause: how stale a view may stay after the API server is back.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// All watches of a speaker.
pub(super) fn all(client: &Client, namespace: &str) -> SelectAll<BoxStream<'static, Change>> {
    let cluster = |kind| Watch { client: client.clone(), kind, config: config() };
    // A role that names one Secret allows a list of it only if the list asks for no other.
    let one_secret = config().fields(&format!("metadata.name={HEARTBEAT_SECRET}"));
    let load_balancers = config().fields("spec.type=LoadBalancer");
    // Slices of headless Services can't belong to a load balancer.
    let endpoints = config().labels("!service.kubernetes.io/headless");
    futures::stream::select_all([
        cluster(Kind::VirtualIp).guarded(address, records::virtual_ip, Change::Ledger),
        cluster(Kind::Speaker).guarded(|name| Some(NodeName::new(name)), records::speaker, Change::Speaker),
        cluster(Kind::AddressPool).guarded(|name| Some(PoolName::new(name)), records::pool, Change::Pool),
        cluster(Kind::L2Advertisement).guarded(
            |name| Some(name.to_owned()),
            records::advertisement,
            Change::Advertisement,
        ),
        cluster(Kind::Node).plain(
            |node: &Node| Some(NodeName::new(node.metadata.name.as_deref()?)),
            records::node,
            Change::Node,
        ),
        Watch { config: load_balancers, ..cluster(Kind::Service) }.plain(
            |service: &Service| namespaced(&service.metadata),
            records::service,
            Change::Service,
        ),
        Watch { config: endpoints, ..cluster(Kind::EndpointSlice) }.plain(
            |slice: &EndpointSlice| namespaced(&slice.metadata),
            records::endpoint_slice,
            Change::EndpointSlice,
        ),
        cluster(Kind::HeraldConfig).guarded(|name| Some(name.to_owned()), records::config, Change::Config),
        Watch { config: one_secret, ..cluster(Kind::Secret) }.of(
            Api::namespaced(client.clone(), namespace),
            |secret: &Secret| secret.metadata.name.clone(),
            records::keys,
            Change::Keys,
        ),
    ])
}

fn config() -> Config {
    Config::default().timeout(WATCH_SECONDS).page_size(PAGE)
}

fn address(name: &str) -> Option<Vip> {
    Vip::from_object_name(name)
}

fn namespaced(metadata: &kube::core::ObjectMeta) -> Option<ServiceKey> {
    Some(ServiceKey::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

struct Watch {
    client: Client,
    kind: Kind,
    config: Config,
}

impl Watch {
    /// A watch of one of our own kinds: an object that can't be read sets nothing aside but itself.
    fn guarded<O, K, V>(
        self,
        key: impl Fn(&str) -> Option<K> + Send + Clone + 'static,
        read: fn(O) -> Reading<V>,
        change: fn(Seen<K, V>) -> Change,
    ) -> BoxStream<'static, Change>
    where
        O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        K: Send + 'static,
        V: Send + 'static,
    {
        let kind = self.kind;
        let key = move |object: &DeserializeGuard<O>| key(object.meta().name.as_deref()?);
        let read = move |DeserializeGuard(object): DeserializeGuard<O>| match object {
            Ok(object) => read(object),
            Err(invalid) => {
                let name = invalid.metadata.name.as_deref().unwrap_or_default();
                tracing::warn!(%kind, name, error = %invalid.error, "can't read this object: it is left as it was known");
                Reading::Unreadable
            }
        };
        self.plain(key, read, change)
    }

    /// A watch of a kind whose objects can all be read.
    fn plain<O, K, V>(
        self,
        key: impl Fn(&O) -> Option<K> + Send + 'static,
        read: impl Fn(O) -> Reading<V> + Send + 'static,
        change: fn(Seen<K, V>) -> Change,
    ) -> BoxStream<'static, Change>
    where
        O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        K: Send + 'static,
        V: Send + 'static,
    {
        let api = Api::all(self.client.clone());
        self.of(api, key, read, change)
    }

    /// A watch of what this way leads to.
    fn of<O, K, V>(
        self,
        api: Api<O>,
        key: impl Fn(&O) -> Option<K> + Send + 'static,
        read: impl Fn(O) -> Reading<V> + Send + 'static,
        change: fn(Seen<K, V>) -> Change,
    ) -> BoxStream<'static, Change>
    where
        O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        K: Send + 'static,
        V: Send + 'static,
    {
        let kind = self.kind;
        let events = watcher::watcher(api, self.config).backoff(Retry::default());
        let seen = events.filter_map(move |event| {
            let change = match event {
                Err(error) => Some(Change::Trouble(kind, error)),
                Ok(Event::Init) => Some(change(Seen::ListBegins)),
                Ok(Event::InitDone) => Some(change(Seen::ListEnds)),
                Ok(Event::InitApply(object)) => key(&object).map(|key| change(Seen::Listed(key, read(object)))),
                Ok(Event::Apply(object)) => key(&object).map(|key| change(Seen::Changed(key, read(object)))),
                Ok(Event::Delete(object)) => key(&object).map(|key| change(Seen::Gone(key))),
            };
            futures::future::ready(change)
        });
        seen.boxed()
    }
}

/// Doubles the pause from [`FIRST_RETRY`] to [`LAST_RETRY`]; the second success in a row starts it over. The first one
/// proves nothing: a list announces itself before it is asked for.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
    successes: u32,
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        Some(pause.min(LAST_RETRY))
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.successes > 1 {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_bound_and_start_over_after_a_success() {
        let mut retry = Retry::default();
        let pauses: Vec<_> = retry.by_ref().take(40).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[39]), (FIRST_RETRY, LAST_RETRY));
        retry.reset();
        assert_eq!(retry.next(), Some(LAST_RETRY), "a list that was announced and then refused is no success");
        retry.reset();
        retry.reset();
        assert_eq!(retry.next(), Some(FIRST_RETRY));
    }
}
