//! Which key seals, and which ones open.

use super::{Id, id_of};
use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a key.
pub const KEY_LENGTH: usize = 32;

/// A new key seals only after it has been known for so long: by then everybody knows it.
pub const AGREED_AFTER: Duration = Duration::from_secs(30);

/// A key that was taken away opens for so long: by then nobody seals with it.
pub const RETIRED_FOR: Duration = Duration::from_mins(10);

/// The keys of a cluster's heartbeats. The empty one seals and opens nothing.
#[derive(Clone, Default)]
pub struct Keyring {
    cluster: Arc<str>,
    cluster_id: Id,
    /// By name, and names sort by age; the id tells apart what had one name after the other.
    keys: BTreeMap<(Arc<str>, Id), Key>,
}

#[derive(Clone)]
struct Key {
    seal: Arc<LessSafeKey>,
    /// Since when this speaker knows it.
    known: Instant,
    /// When it was taken away.
    retired: Option<Instant>,
}

impl Keyring {
    /// The ring after the cluster's keys were read again, by name; names sort by age, the oldest first. Keys that are there no
    /// more go on opening for [`RETIRED_FOR`], or until there is another key at all, whichever is later.
    #[must_use]
    pub fn follow<N: AsRef<str>>(
        &self,
        cluster: &str,
        keys: impl IntoIterator<Item = (N, [u8; KEY_LENGTH])>,
        now: Instant,
    ) -> Self {
        let mut ring =
            Self { cluster: Arc::from(cluster), cluster_id: id_of(cluster.as_bytes()), keys: BTreeMap::new() };
        for (name, bytes) in keys {
            let name = (Arc::from(name.as_ref()), id_of(&bytes));
            let key = match self.keys.get(&name) {
                Some(former) => Key { retired: None, ..former.clone() },
                None => match UnboundKey::new(&AES_256_GCM_SIV, &bytes) {
                    Ok(key) => Key { seal: Arc::new(LessSafeKey::new(key)), known: now, retired: None },
                    Err(_) => continue, // of the length it has, every key is one
                },
            };
            ring.keys.insert(name, key);
        }
        let is_empty = ring.keys.is_empty();
        // Keys that went on because there was no other one begin to be over only now.
        let were_needed = self.all_retired();
        for (name, key) in &self.keys {
            let retired = key.retired.filter(|_| !were_needed).unwrap_or(now);
            if is_empty || now.saturating_duration_since(retired) < RETIRED_FOR {
                ring.keys.entry(name.clone()).or_insert_with(|| Key { retired: Some(retired), ..key.clone() });
            }
        }
        ring
    }

    fn all_retired(&self) -> bool {
        self.keys.values().all(|key| key.retired.is_some())
    }

    fn names(&self) -> Vec<&str> {
        self.keys.keys().map(|(name, _)| &**name).collect()
    }

    /// Whether there is a key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The name of the key that seals now.
    pub fn sealing_name(&self, now: Instant) -> Option<&str> {
        self.chosen(now).map(|((name, _), _)| &**name)
    }

    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(super) const fn cluster_id(&self) -> Id {
        self.cluster_id
    }

    pub(super) fn sealing(&self, now: Instant) -> Option<(Id, &LessSafeKey)> {
        self.chosen(now).map(|((_, id), key)| (*id, &*key.seal))
    }

    pub(super) fn opening(&self, id: Id, now: Instant) -> Option<&LessSafeKey> {
        let all_retired = self.all_retired();
        let fresh = |retired| now.saturating_duration_since(retired) < RETIRED_FOR;
        let opens = |key: &&Key| all_retired || key.retired.is_none_or(fresh);
        let of_that_id = self.keys.iter().filter(|((_, known), _)| *known == id).map(|(_, key)| key);
        of_that_id.filter(opens).map(|key| &*key.seal).next()
    }

    /// The newest key that everybody knows. One that was taken away serves until then; and with nothing but new keys the
    /// oldest does, which is the one that most others know.
    fn chosen(&self, now: Instant) -> Option<(&(Arc<str>, Id), &Key)> {
        let agreed = |key: &Key| now.saturating_duration_since(key.known) >= AGREED_AFTER;
        let agreed_ones = || self.keys.iter().rev().filter(|(_, key)| agreed(key));
        let present = agreed_ones().find(|(_, key)| key.retired.is_none());
        let chosen = present.or_else(|| agreed_ones().next());
        let present_ones = || self.keys.iter().filter(|(_, key)| key.retired.is_none());
        chosen.or_else(|| present_ones().next()).or_else(|| self.keys.iter().next())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("cluster", &self.cluster).field("keys", &self.names()).finish_non_exhaustive()
    }
}
