//! The Secret that holds the keys of heartbeats: which of its entries are keys, and what a new one looks like.

use crate::keys::{CLUSTER_ID_ENTRY, HEARTBEAT_SECRET};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// A key has exactly so many bytes.
pub const KEY_LENGTH: usize = 32;

/// How an entry is named: the time at which its key was made (UTC), so that names sort by age.
const NAME_FORMAT: &str = "%Y-%m-%dT%H-%M-%SZ";

/// A key of heartbeats. Its bytes are never printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; KEY_LENGTH]);

impl Key {
    /// Takes random bytes as a key.
    pub const fn new(bytes: [u8; KEY_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What the Secret holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatKeys {
    /// Keys by the time at which they were made.
    pub keys: BTreeMap<Timestamp, Key>,
    /// The UID of namespace `kube-system`; `None` = the entry is missing or no text.
    pub cluster_id: Option<String>,
    /// Entries that mean nothing.
    pub garbled: Vec<Garbled>,
}

/// Why an entry of the Secret is ignored. `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// Its name is no time.
    #[error(
        "entry {name:?} of Secret {HEARTBEAT_SECRET} is not named by a time such as 2026-11-21T12-00-00Z and is ignored: \
         remove it"
    )]
    Name {
        /// The entry.
        name: String,
    },
    /// It has not the length of a key.
    #[error(
        "entry {name} of Secret {HEARTBEAT_SECRET} has {length} bytes, and a key has {KEY_LENGTH}; it is ignored: remove it"
    )]
    Length {
        /// The entry.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The cluster's id is missing.
    #[error(
        "entry {CLUSTER_ID_ENTRY} of Secret {HEARTBEAT_SECRET} is missing or empty: delete the Secret to have it made anew"
    )]
    ClusterId,
}

/// Reads the Secret.
pub fn read(secret: &Secret) -> HeartbeatKeys {
    let mut read = HeartbeatKeys::default();
    for (name, ByteString(bytes)) in secret.data.iter().flatten() {
        if name == CLUSTER_ID_ENTRY {
            read.cluster_id = String::from_utf8(bytes.clone()).ok().filter(|id| !id.is_empty());
        } else {
            match entry(name, bytes) {
                Ok((made, key)) => {
                    read.keys.insert(made, key);
                }
                Err(garbled) => read.garbled.push(garbled),
            }
        }
    }
    if read.cluster_id.is_none() {
        read.garbled.push(Garbled::ClusterId);
    }
    read
}

fn entry(name: &str, bytes: &[u8]) -> Result<(Timestamp, Key), Garbled> {
    let Some(made) = made(name) else {
        return Err(Garbled::Name { name: name.to_owned() });
    };
    match <[u8; KEY_LENGTH]>::try_from(bytes) {
        Ok(key) => Ok((made, Key(key))),
        Err(_) => Err(Garbled::Length { name: name.to_owned(), length: bytes.len() }),
    }
}

fn made(name: &str) -> Option<Timestamp> {
    Some(DateTime::strptime(NAME_FORMAT, name).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The name of the entry for a key made at this time.
pub fn entry_name(made: Timestamp) -> String {
    made.to_zoned(TimeZone::UTC).strftime(NAME_FORMAT).to_string()
}

/// The entries of a Secret with this one key.
pub fn entries(made: Timestamp, key: Key, cluster_id: &str) -> BTreeMap<String, ByteString> {
    BTreeMap::from([
        (entry_name(made), ByteString(key.bytes().to_vec())),
        (CLUSTER_ID_ENTRY.to_owned(), ByteString(cluster_id.as_bytes().to_vec())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(entries: BTreeMap<String, ByteString>) -> Secret {
        Secret { data: Some(entries), ..Secret::default() }
    }

    #[test]
    fn a_new_secret_is_read_back_as_it_was_written() {
        let made: Timestamp = "2026-11-21T12:00:07Z".parse().unwrap();
        let entries = entries(made, Key::new([7; KEY_LENGTH]), "u1");
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["2026-11-21T12-00-07Z", "cluster-id"]);
        let expected = HeartbeatKeys {
            keys: BTreeMap::from([(made, Key::new([7; KEY_LENGTH]))]),
            cluster_id: Some("u1".to_owned()),
            garbled: Vec::new(),
        };
        assert_eq!(read(&secret(entries)), expected);
    }

    #[test]
    fn a_garbled_entry_is_named_and_spoils_no_other() {
        let made: Timestamp = "2026-11-21T12:00:07Z".parse().unwrap();
        let mut entries = entries(made, Key::new([7; KEY_LENGTH]), "u1");
        entries.insert("2026-11-22T12-00-00Z".to_owned(), ByteString(vec![1, 2, 3]));
        entries.insert("old".to_owned(), ByteString(vec![0; KEY_LENGTH]));
        entries.insert("2026-13-22T12-00-00Z".to_owned(), ByteString(vec![0; KEY_LENGTH]));
        let read = read(&secret(entries));
        assert_eq!(read.keys.len(), 1);
        let said: Vec<_> = read.garbled.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "entry 2026-11-22T12-00-00Z of Secret herald-heartbeat-key has 3 bytes, and a key has 32; it is ignored: \
                 remove it",
                "entry \"2026-13-22T12-00-00Z\" of Secret herald-heartbeat-key is not named by a time such as \
                 2026-11-21T12-00-00Z and is ignored: remove it",
                "entry \"old\" of Secret herald-heartbeat-key is not named by a time such as 2026-11-21T12-00-00Z and is \
                 ignored: remove it",
            ]
        );
    }

    #[test]
    fn a_secret_without_the_clusters_id_says_so() {
        let read = read(&Secret::default());
        assert_eq!((read.keys.len(), read.cluster_id, read.garbled), (0, None, vec![Garbled::ClusterId]));
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", Key::new([7; KEY_LENGTH])), "Key(..)");
    }
}
