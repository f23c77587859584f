//! What comes from the API server: endless watches of eight kinds, as one stream of observations and troubles.
//!
//! A watch goes on by itself after any failure. Events are taken for what they say the object is, never for what they
//! say has happened: a watch that starts over says nothing about what vanished meanwhile.

mod reader;
mod trouble;

pub use reader::Reader;
pub use trouble::Troubles;

use crate::records::{Observation, Report};
use futures::stream::{BoxStream, SelectAll, StreamExt};
use herald_api::keys::HEARTBEAT_SECRET;
use herald_api::slim::{Namespace, Node, Service};
use herald_api::{AddressPool, L2Advertisement, Speaker, VirtualIP};
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
const WATCH_SECONDS: u32 = 45;

/// Objects per page of a list: bounds what is decoded at once, and with it the peak of memory.
const PAGE: u32 = 200;

/// The first pause after a failed watch.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// The longest pause: how long it may go unnoticed that the API server is back, or that a right was granted.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A watched kind: its plural with the API group, as roles name it.
pub type Kind = &'static str;

/// One thing that a watch says.
#[derive(Debug)]
pub enum News {
    /// An observation.
    Observed(Kind, Box<Observation>),
    /// A list is about to be asked for; nothing has been answered yet.
    Listing(Box<Observation>),
    /// The watch works, and has nothing to say that concerns us.
    Idle(Kind),
    /// The watch failed and will be tried again.
    Trouble(Kind, Box<watcher::Error>),
}

/// All watches.
pub type Watches = SelectAll<BoxStream<'static, News>>;

/// Starts all watches; nothing is asked of the API server before the stream is polled.
pub fn watches(client: &Client, reader: &Reader, namespace: &str) -> Watches {
    let reader = || reader.clone();
    let secrets = Api::namespaced(client.clone(), namespace);
    futures::stream::select_all([
        watch(
            client,
            "services",
            reader(),
            |reader, object: Service| Some(reader.service(&object)),
            Observation::Service,
        ),
        watch(
            client,
            "namespaces",
            reader(),
            |reader, object: Namespace| reader.namespace(object),
            Observation::Namespace,
        ),
        watch(client, "nodes", reader(), |reader, object: Node| reader.node(object), Observation::Node),
        watch(
            client,
            "virtualips.herald-lb.io",
            reader(),
            |reader, object: DeserializeGuard<VirtualIP>| reader.guarded_virtual_ip(object),
            Observation::Vip,
        ),
        watch(
            client,
            "addresspools.herald-lb.io",
            reader(),
            |reader, object: DeserializeGuard<AddressPool>| reader.pool(object),
            Observation::Pool,
        ),
        watch(
            client,
            "l2advertisements.herald-lb.io",
            reader(),
            |reader, object: DeserializeGuard<L2Advertisement>| reader.advertisement(object),
            Observation::Advertisement,
        ),
        watch(
            client,
            "speakers.herald-lb.io",
            reader(),
            |reader, object: DeserializeGuard<Speaker>| reader.speaker(object),
            Observation::Speaker,
        ),
        watch_some(
            secrets,
            Config::default().fields(&format!("metadata.name={HEARTBEAT_SECRET}")),
            "secrets",
            reader(),
            |reader, object: Secret| reader.secret(&object),
            Observation::Secret,
        ),
    ])
}

fn watch<O, K, V>(
    client: &Client,
    kind: Kind,
    reader: Reader,
    read: fn(&Reader, O) -> Option<Observation>,
    wrap: fn(Report<K, V>) -> Observation,
) -> BoxStream<'static, News>
where
    O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    K: 'static,
    V: 'static,
{
    watch_some(Api::<O>::all(client.clone()), Config::default(), kind, reader, read, wrap)
}

fn watch_some<O, K, V>(
    api: Api<O>,
    config: Config,
    kind: Kind,
    reader: Reader,
    read: fn(&Reader, O) -> Option<Observation>,
    wrap: fn(Report<K, V>) -> Observation,
) -> BoxStream<'static, News>
where
    O: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K: 'static,
    V: 'static,
{
    let config = config.timeout(WATCH_SECONDS).page_size(PAGE);
    let events = watcher::watcher(api, config).backoff(Retry::default());
    let news = events.map(move |event| {
        let observation = match event {
            Err(error) => return News::Trouble(kind, Box::new(error)),
            Ok(Event::Init) => return News::Listing(Box::new(wrap(Report::Listing))),
            Ok(Event::InitDone) => Some(wrap(Report::Listed)),
            Ok(Event::InitApply(object) | Event::Apply(object)) => read(&reader, object),
            Ok(Event::Delete(object)) => read(&reader, object).map(Observation::gone),
        };
        observation.map_or(News::Idle(kind), |observation| News::Observed(kind, Box::new(observation)))
    });
    news.boxed()
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
    use axum::http;
    use herald_api::class::LoadBalancerClass;
    use kube::client::Body;
    use serde_json::json;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn a_refused_list_is_asked_for_every_few_seconds_and_never_taken_for_an_answer() {
        let (service, mut server) = tower_test::mock::pair::<http::Request<Body>, _>();
        let reader = Reader {
            class: Arc::new(LoadBalancerClass { name: "example.com/lb".to_owned(), is_default: true }),
            finalizer: None,
        };
        let mut watches = watches(&Client::new(service, "default"), &reader, "default");
        let status =
            json!({ "kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403 });
        let body = serde_json::to_vec(&status).unwrap();
        let mut requests = 0;
        let answers = async {
            while let Some((_, send)) = server.next_request().await {
                requests += 1;
                send.send_response(http::Response::builder().status(403).body(Body::from(body.clone())).unwrap());
            }
        };
        let news = async {
            while let Some(news) = watches.next().await {
                assert!(matches!(news, News::Listing(_) | News::Trouble(..)), "{news:?}");
            }
        };
        let minute = Duration::from_mins(1);
        tokio::time::timeout(minute, async { tokio::join!(answers, news) }).await.expect_err("watches go on for ever");
        assert!((8 * 10..8 * 20).contains(&requests), "{requests} requests of eight watches");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_start_over_after_a_success() {
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
