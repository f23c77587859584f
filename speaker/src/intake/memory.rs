//! A view of the cluster in a form that can be written down and read again in another life.
//!
//! Owns the form, not the file it lies in.

use super::records::{
    AdvertisementRecord, KeyRecord, NodeRecord, PoolRecord, ServiceRecord, SliceRecord, SpeakerRecord, VipRecord,
};
use herald_api::convert::heartbeat;
use herald_api::herald_config::HeraldConfigSpec;
use herald_api::keys::CLUSTER_ID_ENTRY;
use herald_core::address::Vip;
use herald_core::names::{NodeName, PoolName, ServiceKey};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Records by key.
type Records<'a, K, V> = Cow<'a, BTreeMap<K, V>>;

/// What a speaker knows of the cluster. Holds the keys of heartbeats: whoever reads it can speak as a speaker.
#[derive(Clone, Serialize, Deserialize)]
pub struct Memory<'a> {
    #[serde(with = "pairs")]
    pub(super) ledger: Records<'a, Vip, VipRecord>,
    #[serde(with = "pairs")]
    pub(super) speakers: Records<'a, NodeName, SpeakerRecord>,
    #[serde(with = "pairs")]
    pub(super) pools: Records<'a, PoolName, PoolRecord>,
    #[serde(with = "pairs")]
    pub(super) advertisements: Records<'a, String, AdvertisementRecord>,
    #[serde(with = "pairs")]
    pub(super) nodes: Records<'a, NodeName, NodeRecord>,
    #[serde(with = "pairs")]
    pub(super) services: Records<'a, ServiceKey, ServiceRecord>,
    #[serde(with = "pairs")]
    pub(super) slices: Records<'a, ServiceKey, SliceRecord>,
    #[serde(with = "pairs")]
    pub(super) configs: Records<'a, String, HeraldConfigSpec>,
    #[serde(with = "secrets")]
    pub(super) keys: Records<'a, String, KeyRecord>,
}

/// Keys are no text, so a map is written as a list of pairs.
mod pairs {
    use super::{BTreeMap, Cow, Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ptr_arg, reason = "serde passes the field as it is")]
    pub(super) fn serialize<K: Serialize + Clone, V: Serialize + Clone, S: Serializer>(
        records: &Cow<'_, BTreeMap<K, V>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(records.iter())
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<Cow<'static, BTreeMap<K, V>>, D::Error>
    where
        K: Deserialize<'de> + Ord + Clone,
        V: Deserialize<'de> + Clone,
        D: Deserializer<'de>,
    {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        Ok(Cow::Owned(pairs.into_iter().collect()))
    }
}

/// Keys are written as the entries of their Secret.
mod secrets {
    use super::{
        BTreeMap, ByteString, CLUSTER_ID_ENTRY, Cow, Deserialize, Deserializer, KeyRecord, Secret, Serializer,
        heartbeat,
    };

    #[expect(clippy::ptr_arg, reason = "serde passes the field as it is")]
    pub(super) fn serialize<S: Serializer>(
        secrets: &Cow<'_, BTreeMap<String, KeyRecord>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(secrets.iter().map(|(name, record)| (name, entries(record))))
    }

    fn entries(record: &KeyRecord) -> BTreeMap<String, ByteString> {
        let keys = record.keys.iter();
        let mut entries: BTreeMap<_, _> =
            keys.map(|(made, key)| (heartbeat::entry_name(*made), ByteString(key.bytes().to_vec()))).collect();
        if let Some(id) = &record.cluster_id {
            entries.insert(CLUSTER_ID_ENTRY.to_owned(), ByteString(id.clone().into_bytes()));
        }
        entries
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Cow<'static, BTreeMap<String, KeyRecord>>, D::Error> {
        let secrets = BTreeMap::<String, BTreeMap<String, ByteString>>::deserialize(deserializer)?;
        let read = |data| heartbeat::read(&Secret { data: Some(data), ..Secret::default() });
        Ok(Cow::Owned(secrets.into_iter().map(|(name, data)| (name, read(data))).collect()))
    }
}
