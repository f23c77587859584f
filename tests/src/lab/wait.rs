//! Waiting for conditions: with a deadline, and with a message that says what was seen last.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks at a condition: short enough that waiting costs nothing, long enough that looking doesn't either.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What a condition saw when it looked.
#[derive(Debug)]
pub enum Seen<T> {
    /// It holds, with this result.
    Yes(T),
    /// Not yet; what was there instead.
    NotYet(String),
}

impl<T> Seen<T> {
    /// Holds when `condition` does; otherwise `seen` is what the failure message shows.
    pub fn when(condition: bool, result: T, seen: impl Debug) -> Self {
        if condition { Self::Yes(result) } else { Self::NotYet(format!("{seen:?}")) }
    }
}

/// Waits until a condition holds and returns what it found.
///
/// The condition says what it saw when it doesn't hold yet; errors count as "not yet" (an API server may be away for a
/// moment). When the deadline passes, the error names `what` and what was seen last.
pub async fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let start = now();
    let mut last = "nothing was seen: the first look did not come back".to_owned();
    loop {
        let Some(left) = deadline.checked_sub(start.elapsed()) else {
            bail!("waited {:.1} s in vain for: {what}\nlast seen: {last}", deadline.as_secs_f64());
        };
        match tokio::time::timeout(left, condition()).await {
            Ok(Ok(Seen::Yes(found))) => return Ok(found),
            Ok(Ok(Seen::NotYet(seen))) => last = seen,
            Ok(Err(error)) => last = format!("error: {error:#}"),
            Err(_elapsed) => continue,
        }
        pause().await;
    }
}

/// [`eventually`] for conditions that have nothing to say about what they saw.
pub(super) async fn until<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    eventually(deadline, what, async || {
        Ok(match condition().await? {
            Some(found) => Seen::Yes(found),
            None => Seen::NotYet("not yet".to_owned()),
        })
    })
    .await
}

/// Checks that a condition holds at every look during a time (for what must *not* happen).
pub async fn throughout(
    time: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<Seen<()>>,
) -> Result<()> {
    let start = now();
    while start.elapsed() < time {
        if let Seen::NotYet(seen) = condition().await? {
            bail!("after {:.2} s it was no longer so: {what}\nseen: {seen}", start.elapsed().as_secs_f64());
        }
        pause().await;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the lab drives real processes and needs the real clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition, the one place that has one")]
async fn pause() {
    tokio::time::sleep(BETWEEN_LOOKS).await;
}
