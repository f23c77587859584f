//! What is wrong between us and the API server, in sentences that name the fix, each said once in a few seconds while it
//! lasts.

use super::Kind;
use kube::runtime::watcher;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::{Duration, Instant};

/// How often the same sentence is said while what it says goes on.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// What is wrong now.
#[derive(Debug, Default)]
pub struct Troubles {
    said: BTreeMap<String, Instant>,
    broken: BTreeSet<Kind>,
}

/// How to say it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Nature {
    /// The version to go on from is too old: routine.
    Expired,
    /// The API server answers, and will go on refusing until somebody changes something.
    Refused(String),
    /// The API server doesn't answer, or not now.
    Away(String),
}

impl Troubles {
    /// Takes a failure of a watch, and says it unless it was said just now.
    pub fn report(&mut self, server: &str, kind: Kind, error: &watcher::Error, now: Instant) {
        let nature = nature(kind, error);
        let (Nature::Refused(sentence) | Nature::Away(sentence)) = &nature else {
            return tracing::debug!(kind, %error, "watch starts over");
        };
        self.broken.insert(kind);
        if self.said.get(sentence).is_some_and(|said| now.duration_since(*said) < SAY_EVERY) {
            return;
        }
        if matches!(nature, Nature::Refused(_)) {
            tracing::error!("{sentence}");
        } else {
            tracing::warn!(server, "waiting for the API server: {sentence}");
        }
        self.said.retain(|_, said| now.duration_since(*said) < SAY_EVERY * 4);
        self.said.insert(sentence.clone(), now);
    }

    /// Takes that a watch works.
    pub fn well(&mut self, kind: Kind) {
        if self.broken.remove(kind) {
            tracing::info!(kind, "watching");
            if self.broken.is_empty() {
                self.said.clear();
            }
        }
    }
}

fn nature(kind: Kind, error: &watcher::Error) -> Nature {
    use kube::Error::Api;
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let (InitialListFailed(Api(status))
    | WatchStartFailed(Api(status))
    | WatchFailed(Api(status))
    | WatchError(status)) = error
    else {
        return Nature::Away(root(error));
    };
    match status.code {
        410 => Nature::Expired,
        401 => Nature::Refused(format!("the API server does not accept our credentials: {}", status.message)),
        403 => Nature::Refused(format!(
            "missing right: list and watch on {kind}; give it to our account in the roles herald-controller (deploy/)"
        )),
        404 => Nature::Refused(format!(
            "the API server does not know {kind}: install Herald's CustomResourceDefinitions (kubectl apply -k deploy/)"
        )),
        _ => Nature::Away(status.message.clone()),
    }
}

/// The innermost cause: "connection refused", not five layers around it.
fn root(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn failed(code: u16, message: &str) -> watcher::Error {
        let status = Status::failure(message, "Reason").with_code(code).boxed();
        watcher::Error::InitialListFailed(kube::Error::Api(status))
    }

    #[test]
    fn a_refusal_names_what_to_install_or_to_grant() {
        let say = |code| match nature("virtualips.herald-lb.io", &failed(code, "no")) {
            Nature::Refused(sentence) => sentence,
            other => panic!("{code}: {other:?}"),
        };
        assert!(
            say(404).contains("virtualips.herald-lb.io") && say(404).contains("kubectl apply -k deploy/"),
            "{}",
            say(404)
        );
        assert!(say(403).contains("list and watch on virtualips.herald-lb.io"), "{}", say(403));
        assert!(say(401).contains("credentials"), "{}", say(401));
        assert_eq!(nature("nodes", &failed(410, "too old")), Nature::Expired);
        assert_eq!(nature("nodes", &failed(503, "starting")), Nature::Away("starting".to_owned()));
    }
}
