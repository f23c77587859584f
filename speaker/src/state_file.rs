//! The file on the node in which a speaker keeps what it knows of the cluster, so that one that is started while the API
//! server is away goes on where it was.
//!
//! Owns when it is written and how: on change, with pauses, whole or not at all. Holds the keys of heartbeats, so nobody
//! but its owner may read it.

use crate::intake::{Memory, World, chain};
use herald_core::names::NodeName;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The shortest pause between two writes.
const PAUSE: Duration = Duration::from_secs(1);
/// A write that takes long, of many addresses or on a slow disk, is followed by a pause so many times as long.
const REST: u32 = 20;
/// The form of the file. One of another form is as good as none.
const FORM: u32 = 1;

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It is there and can't be read.
    #[error("reading --state-file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was not written by a speaker like this one.
    #[error("--state-file {path} holds nothing that this version of the speaker has written: delete it")]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is another node's.
    #[error("--state-file {path} was written on node {node}: give every node a file of its own")]
    Node {
        /// The file.
        path: PathBuf,
        /// That node.
        node: NodeName,
    },
    /// It can't be written.
    #[error("writing --state-file {path}; after a restart this speaker can't do without the API server")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The file.
#[derive(Debug)]
pub struct StateFile {
    path: Option<PathBuf>,
    node: NodeName,
    changed: bool,
    not_before: Option<Instant>,
    writing: Option<(Instant, JoinHandle<Result<(), StateFileError>>)>,
    complained: bool,
}

#[derive(Serialize, Deserialize)]
struct Content<'a> {
    form: u32,
    node: NodeName,
    memory: Memory<'a>,
}

impl StateFile {
    /// A file of this name, or none.
    pub const fn new(path: Option<PathBuf>, node: NodeName) -> Self {
        Self { path, node, changed: false, not_before: None, writing: None, complained: false }
    }

    /// What it holds; `None` without a file.
    ///
    /// # Errors
    /// It is there and useless.
    pub fn read(&self) -> Result<Option<Memory<'static>>, StateFileError> {
        let Some(path) = &self.path else { return Ok(None) };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateFileError::Read { path: path.clone(), source }),
        };
        let form = |source| StateFileError::Form { path: path.clone(), source };
        let content: Content<'static> = serde_json::from_slice(&text).map_err(form)?;
        if content.form != FORM {
            return Err(form(serde::de::Error::custom(format!("form {}", content.form))));
        }
        if content.node != self.node {
            return Err(StateFileError::Node { path: path.clone(), node: content.node });
        }
        Ok(Some(content.memory))
    }

    /// Takes note that what it should hold is different now.
    pub const fn outdate(&mut self) {
        self.changed = self.path.is_some();
    }

    /// When to come back.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        (self.changed && self.writing.is_none()).then(|| self.not_before.unwrap_or(now))
    }

    /// Waits for the end of a write, for ever while none is under way, and says whether it failed.
    pub async fn written(&mut self, now: impl Fn() -> Instant) -> bool {
        let Some((began, writing)) = &mut self.writing else { return std::future::pending().await };
        let result = writing.await;
        let ended = now();
        let pause = ended.saturating_duration_since(*began).saturating_mul(REST).max(PAUSE);
        self.writing = None;
        self.not_before = ended.checked_add(pause);
        match result {
            Ok(Ok(())) => {
                self.complained = false;
                false
            }
            Ok(Err(error)) => {
                self.changed = true;
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(error = chain(&error), "can't keep a view of the cluster on this node");
                }
                true
            }
            // It ended with the runtime, or has said why.
            Err(_) => true,
        }
    }

    /// Begins to write the view, if it is time. A view that is not complete never replaces one that was.
    pub fn write(&mut self, world: &World, now: Instant) {
        let Some(path) = &self.path else { return };
        if self.next_deadline(now).is_none_or(|due| now < due) || !world.is_complete() {
            return;
        }
        self.changed = false;
        let content = Content { form: FORM, node: self.node.clone(), memory: world.memory() };
        let text = serde_json::to_vec(&content);
        let path = path.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let written = text.map_err(io::Error::from).and_then(|text| replace(&path, &text));
            written.map_err(|source| StateFileError::Write { path, source })
        });
        self.writing = Some((now, writing));
    }
}

/// Writes beside the file and puts that in its place, so that a loss of power leaves the old one or the new one.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
