//! What is wrong between the speaker and the API server, said once in a sentence that names the fix, and whether it
//! still is.
//!
//! A watch that goes on after a failure says nothing until an object changes. So while the server seems away it is
//! asked for its version now and then.

use super::Kind;
use futures::FutureExt;
use futures::future::BoxFuture;
use herald_api::keys::HEARTBEAT_SECRET;
use kube::Client;
use kube::runtime::watcher;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// How often an absent API server is asked whether it is back.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often the log says that the API server is still away.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// What is wrong now.
pub(super) struct Troubles {
    client: Client,
    server: String,
    away: Option<Away>,
    asking: Option<BoxFuture<'static, Result<(), String>>>,
    /// What the API server refuses, and why.
    pub(super) refused: BTreeMap<Kind, String>,
}

struct Away {
    since: Instant,
    said: Instant,
    ask: Interval,
}

impl Troubles {
    pub(super) const fn new(client: Client, server: String) -> Self {
        Self { client, server, away: None, asking: None, refused: BTreeMap::new() }
    }

    /// Since when the API server does not answer; `None` while it does.
    pub(super) fn away_since(&self) -> Option<Instant> {
        self.away.as_ref().map(|away| away.since)
    }

    /// Takes in a failure of a watch, and says whether something else is refused than before.
    pub(super) fn report(&mut self, kind: Kind, error: &watcher::Error) -> bool {
        match Nature::of(kind, error) {
            Nature::Expired => tracing::debug!(%kind, %error, "watch starts over"),
            Nature::Refused(sentence) => {
                if self.refused.get(&kind) != Some(&sentence) {
                    tracing::error!(%kind, "{sentence}");
                    self.refused.insert(kind, sentence);
                    return true;
                }
            }
            Nature::Away(why) => self.away(&why),
        }
        false
    }

    /// Takes in that a watch works.
    pub(super) fn well(&mut self, kind: Kind) {
        self.back();
        if self.refused.remove(&kind).is_some() {
            tracing::info!(%kind, "this kind can be watched now");
        }
    }

    fn away(&mut self, why: &str) {
        let now = Instant::now();
        let server = &self.server;
        if let Some(away) = &mut self.away {
            if now.duration_since(away.said) >= SAY_EVERY {
                let seconds = now.duration_since(away.since).as_secs();
                tracing::warn!(server, error = why, "still waiting for the API server, for {seconds} s now");
                away.said = now;
            }
            return;
        }
        tracing::warn!(server, error = why, "waiting for the API server; addresses stay where they are");
        let mut ask = tokio::time::interval_at(now + ASK_EVERY, ASK_EVERY);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.away = Some(Away { since: now, said: now, ask });
    }

    /// Takes in that the API server answers, and says whether that is news.
    fn back(&mut self) -> bool {
        let Some(away) = self.away.take() else { return false };
        let seconds = Instant::now().duration_since(away.since).as_secs();
        tracing::info!(server = self.server, "the API server answers again after {seconds} s");
        true
    }

    /// Asks the API server whether it is there: something happened that it should have told us about.
    pub(super) fn doubt(&mut self) {
        if self.away.is_none() && self.asking.is_none() {
            self.asking = Some(ask(self.client.clone()).boxed());
        }
    }

    /// Waits until it turns out that the API server is away, or back; for ever while nobody doubts. Safe to abandon: a
    /// question under way is kept.
    pub(super) async fn settle(&mut self) {
        loop {
            if self.asking.is_none() {
                match &mut self.away {
                    None => return std::future::pending().await,
                    Some(away) => _ = away.ask.tick().await,
                }
            }
            let asking = self.asking.get_or_insert_with(|| ask(self.client.clone()).boxed());
            let answer = asking.await;
            self.asking = None;
            match answer {
                Err(why) if self.away.is_none() => return self.away(&why),
                Err(why) => self.away(&why),
                Ok(()) if self.back() => return,
                Ok(()) => {}
            }
        }
    }
}

async fn ask(client: Client) -> Result<(), String> {
    match tokio::time::timeout(ANSWER_WITHIN, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Nature {
    /// The version to go on from is too old: routine.
    Expired,
    /// The server answers, and will not do it until somebody changes something.
    Refused(String),
    /// The server does not answer, or not now.
    Away(String),
}

impl Nature {
    fn of(kind: Kind, error: &watcher::Error) -> Self {
        use kube::Error::Api;
        use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
        let (InitialListFailed(Api(status))
        | WatchStartFailed(Api(status))
        | WatchFailed(Api(status))
        | WatchError(status)) = error
        else {
            return Self::Away(chain(error));
        };
        match status.code {
            410 => Self::Expired,
            401 => Self::Refused(format!("the API server does not accept our credentials: {}", status.message)),
            403 if kind == Kind::Secret => Self::Refused(format!(
                "the speaker may not read Secret {HEARTBEAT_SECRET}: correct --namespace (HERALD_NAMESPACE), or apply its Role \
                 there (deploy/speaker.yaml): {}",
                status.message
            )),
            403 => Self::Refused(format!(
                "the speaker's ClusterRole lacks list and watch on a resource: {}",
                status.message
            )),
            404 => Self::Refused(
                "the API server does not know this kind: install Herald's CustomResourceDefinitions (deploy/crds)"
                    .to_owned(),
            ),
            _ => Self::Away(status.message.clone()),
        }
    }
}

/// An error and what caused it, in one line. Many errors repeat their cause; that is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16, message: &str) -> watcher::Error {
        watcher::Error::WatchStartFailed(kube::Error::Api(Status::failure(message, "Reason").with_code(code).boxed()))
    }

    #[test]
    fn what_only_an_administrator_can_change_is_told_from_what_passes() {
        let of = |kind, code, message| Nature::of(kind, &api(code, message));
        assert_eq!(of(Kind::Node, 410, "too old"), Nature::Expired);
        assert_eq!(of(Kind::Node, 503, "starting"), Nature::Away("starting".to_owned()));
        let cases = [
            (Kind::Node, 401, "credentials"),
            (Kind::Node, 403, "ClusterRole lacks"),
            (Kind::Secret, 403, "--namespace"),
            (Kind::Speaker, 404, "CustomResourceDefinitions"),
        ];
        for (kind, code, expected) in cases {
            match of(kind, code, "no") {
                Nature::Refused(sentence) => assert!(sentence.contains(expected), "{kind} {code}: {sentence}"),
                other => panic!("{kind} {code}: {other:?}"),
            }
        }
    }
}
