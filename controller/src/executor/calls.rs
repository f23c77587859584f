//! One call to the API server: its time limit, and what its failure means.

use crate::state::FailureClass;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Time limit of a call. A healthy API server answers in milliseconds; a connection that died in silence must not hold
/// a Service up for longer than this.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The API server, or the way to it.
    #[error("{}", chain(.0))]
    Call(#[from] kube::Error),
    /// No answer within the limit.
    #[error("no answer within {} s", LIMIT.as_secs())]
    Late,
    /// What the effect builds on is not so any more.
    #[error("{0}")]
    Overtaken(&'static str),
    /// Something that it takes is not there.
    #[error("{0}")]
    Missing(&'static str),
    /// The namespace for the keys of heartbeats is not there.
    #[error(
        "namespace {0}, where the keys of heartbeats are kept, is not there: make it, or name another by --namespace"
    )]
    NoNamespace(Arc<str>),
}

impl Refusal {
    pub(super) fn class(&self) -> FailureClass {
        match self {
            Self::Overtaken(_) => FailureClass::Conflict,
            Self::Call(kube::Error::Api(status)) => match status.code {
                404 | 409 => FailureClass::Conflict,
                401 | 403 => FailureClass::Forbidden,
                // The object was deleted and created again: a version that is old enough is compared by its UID first.
                422 if status.message.contains("metadata.uid") => FailureClass::Conflict,
                400 | 405 | 413 | 422 => FailureClass::Invalid,
                _ => FailureClass::Transient,
            },
            Self::Call(_) | Self::Late | Self::Missing(_) | Self::NoNamespace(_) => FailureClass::Transient,
        }
    }

    pub(super) const fn is_not_found(&self) -> bool {
        matches!(self, Self::Call(kube::Error::Api(status)) if status.code == 404)
    }

    /// Whether the API server says that the object is not what we saw.
    pub(super) fn says_that_it_changed(&self) -> bool {
        matches!(self, Self::Call(_)) && self.class() == FailureClass::Conflict
    }
}

/// Waits for the call, but not for ever.
pub(super) async fn limited<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Refusal> {
    match tokio::time::timeout(LIMIT, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Refusal::Late),
    }
}

/// An error and its causes in one line, each thing said once.
fn chain(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn an_answer_is_classed_by_what_can_be_done_about_it() {
        let class = |code, message: &str| {
            Refusal::Call(kube::Error::Api(Status::failure(message, "Reason").with_code(code).boxed())).class()
        };
        assert_eq!(class(409, "the object has been modified"), FailureClass::Conflict);
        assert_eq!(class(404, "not found"), FailureClass::Conflict);
        assert_eq!(class(422, "metadata.uid: Invalid value: field is immutable"), FailureClass::Conflict);
        assert_eq!(class(422, "spec.address: must be canonical"), FailureClass::Invalid);
        assert_eq!(class(403, "cannot patch"), FailureClass::Forbidden);
        assert_eq!(class(429, "slow down"), FailureClass::Transient);
        assert_eq!(class(503, "starting"), FailureClass::Transient);
    }
}
