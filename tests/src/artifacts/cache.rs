//! The cache of built things, outside the tree: one directory per thing and content key. It appears whole or not at all,
//! is built by one process at a time, and only the newest few of each thing are kept. Knows nothing of what is built.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{self, SHA256};
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use super::progress::Progress;

/// Names the cache's directory.
pub(super) const CACHE_VARIABLE: &str = "HERALD_LAB_CACHE";

const DEFAULT_ROOT: &str = "/var/cache/herald-lab";

/// Entries kept per thing: today's, and those of a branch or two that one goes to and fro between.
const KEPT: usize = 3;

/// What is being made bears this prefix until it is whole. What still bears it when nobody builds was given up.
const UNFINISHED: &str = ".unfinished-";

/// A directory of built things.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache that `HERALD_LAB_CACHE` names, else `/var/cache/herald-lab`.
    ///
    /// # Errors
    /// The directory can't be made.
    pub(super) fn open() -> Result<Self> {
        Self::at(env::var_os(CACHE_VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_ROOT), PathBuf::from))
    }

    /// The cache in a directory, which is made if it isn't there.
    ///
    /// # Errors
    /// The directory can't be made.
    pub(super) fn at(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root).with_context(|| {
            format!("the cache {} can't be made: name another directory in {CACHE_VARIABLE}", root.display())
        })?;
        Ok(Self { root })
    }

    /// The directory of `thing` for `key`, filled by `make` if it isn't there yet.
    ///
    /// # Errors
    /// `make` failed, or the file system did.
    pub(super) fn entry(
        &self,
        thing: &str,
        key: &Key,
        progress: Progress,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.root.join(format!("{thing}-{}", key.0));
        if mark_used(&entry)? {
            return Ok(entry);
        }
        let lock = self.lock(progress)?;
        if mark_used(&entry)? {
            return Ok(entry); // made by another process while this one waited
        }
        self.remove_unfinished()?;
        let unfinished = self.root.join(format!("{UNFINISHED}{thing}-{}", key.0));
        fs::create_dir(&unfinished).with_context(|| format!("{} can't be made", unfinished.display()))?;
        make(&unfinished)?;
        fs::rename(&unfinished, &entry).with_context(|| format!("{} can't be put in place", entry.display()))?;
        self.prune(thing)?;
        drop(lock);
        Ok(entry)
    }

    /// Held until the file is closed.
    fn lock(&self, progress: Progress) -> Result<File> {
        let path = self.root.join(".lock");
        let file = File::create(&path).with_context(|| format!("{} can't be written", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => progress.say("waiting for another process that builds the lab's parts"),
            Err(TryLockError::Error(error)) => return Err(error).context("the cache can't be locked"),
        }
        file.lock().context("the cache can't be locked")?;
        Ok(file)
    }

    fn remove_unfinished(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path())
                    .with_context(|| format!("{} can't be removed", entry.path().display()))?;
            }
        }
        Ok(())
    }

    /// Removes all entries of `thing` but those used last.
    fn prune(&self, thing: &str) -> Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // A key has no dash, so "images-x-KEY" is not taken for an entry of "images".
            if name.rsplit_once('-').is_some_and(|(of, _)| of == thing) {
                entries.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        entries.sort_by(|a, b| b.cmp(a));
        for (_, old) in entries.into_iter().skip(KEPT) {
            fs::remove_dir_all(&old).with_context(|| format!("{} can't be removed", old.display()))?;
        }
        Ok(())
    }
}

/// Whether an entry is there; its time of last use becomes now.
fn mark_used(entry: &Path) -> Result<bool> {
    match File::open(entry) {
        Ok(directory) => {
            // A cache that belongs to somebody else is as good; it only can't tell when it was used.
            let _ = futimens(&directory, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{} can't be opened", entry.display())),
    }
}

/// What a thing is made of, as a short digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(String);

/// Digits of a key: 64 bits, far more than the few entries of a cache need.
const KEY_DIGITS: usize = 16;

/// Collects all that a thing is made of.
pub(super) struct Fingerprint(digest::Context);

impl Fingerprint {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(digest::Context::new(&SHA256))
    }

    /// Adds a string: a flag, a name, a version.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.update(&text.len().to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// Adds a file's content.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn file(&mut self, path: &Path) -> Result<&mut Self> {
        let context = || format!("{} can't be read", path.display());
        let mut file = File::open(path).with_context(context)?;
        self.0.update(&file.metadata().with_context(context)?.len().to_le_bytes());
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = file.read(&mut buffer).with_context(context)?;
            if read == 0 {
                return Ok(self);
            }
            self.0.update(buffer.get(..read).unwrap_or_default());
        }
    }

    /// The digest of all that was added.
    pub(super) fn key(self) -> Key {
        let mut digits = hex(self.0.finish().as_ref());
        digits.truncate(KEY_DIGITS);
        Key(digits)
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
