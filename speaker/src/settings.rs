//! What holds for all speakers of the cluster: the keys of heartbeats, and how fast silence is noticed.
//!
//! Owns the way from the objects to the member. What can't be read changes nothing: the keys that were known go on.

use crate::intake::{KeyRecord, World};
use herald_api::convert::heartbeat::entry_name;
use herald_api::herald_config;
use herald_api::keys::HEARTBEAT_SECRET;
use herald_core::liveness::Profile;
use herald_wire::heartbeat::Keyring;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// The way to the member.
#[derive(Debug)]
pub struct Settings {
    keys: watch::Sender<Arc<Keyring>>,
    profile: watch::Sender<Profile>,
    followed: Option<KeyRecord>,
}

impl Settings {
    /// Without a key, and with the default profile; and where a member hears of others.
    pub fn new() -> (Self, watch::Receiver<Arc<Keyring>>, watch::Receiver<Profile>) {
        let (keys, keys_receiver) = watch::channel(Arc::default());
        let (profile, profile_receiver) = watch::channel(Profile::default());
        (Self { keys, profile, followed: None }, keys_receiver, profile_receiver)
    }

    /// The Secret as it was read last.
    pub fn secret(world: &World) -> Option<&KeyRecord> {
        world.keys.records().get(HEARTBEAT_SECRET)
    }

    /// Follows the objects.
    pub fn follow(&mut self, world: &World, now: Instant) {
        let config = world.configs.records().get(herald_config::NAME).copied().unwrap_or_default();
        let profile = Profile::from(config.liveness);
        self.profile.send_if_modified(|before| {
            let differs = *before != profile;
            if differs {
                tracing::info!(liveness = ?config.liveness, "HeraldConfig says how fast silence is noticed");
            }
            *before = profile;
            differs
        });
        let Some(record) = Self::secret(world) else { return };
        if self.followed.as_ref() == Some(record) {
            return;
        }
        let known = self.followed.iter().flat_map(|before| &before.garbled);
        let known: Vec<_> = known.collect();
        for garbled in record.garbled.iter().filter(|garbled| !known.contains(garbled)) {
            tracing::warn!("{garbled}");
        }
        if let Some(cluster) = &record.cluster_id {
            let keys = record.keys.iter().map(|(made, key)| (entry_name(*made), *key.bytes()));
            let ring = self.keys.borrow().follow(cluster, keys, now);
            self.keys.send_replace(Arc::new(ring));
        }
        self.followed = Some(record.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Change, News, Reading, Seen};
    use herald_api::convert::heartbeat::{Garbled, HeartbeatKeys, KEY_LENGTH, Key};
    use herald_api::herald_config::{HeraldConfigSpec, Liveness};
    use jiff::Timestamp;

    fn secret(keys: &[i64]) -> HeartbeatKeys {
        let key = |second: &i64| (Timestamp::from_second(*second).unwrap(), Key::new([7; KEY_LENGTH]));
        HeartbeatKeys { keys: keys.iter().map(key).collect(), cluster_id: Some("u1".to_owned()), garbled: Vec::new() }
    }

    #[test]
    fn keys_are_followed_and_those_that_are_lost_or_garbled_change_nothing() {
        #[expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]
        let now = Instant::now();
        let (mut settings, keys, _profile) = Settings::new();
        let mut world = World::default();
        let mut see = |seen: Seen<String, HeartbeatKeys>, settings: &mut Settings| {
            world.apply(Change::Keys(seen), &mut News::default());
            settings.follow(&world, now);
            keys.borrow().sealing_name(now).map(ToOwned::to_owned)
        };
        let is = |record| Seen::Changed(HEARTBEAT_SECRET.to_owned(), Reading::Record(record));
        let first = Some("2001-09-09T01-46-40Z".to_owned());
        assert_eq!(see(is(secret(&[1_000_000_000])), &mut settings), first);
        assert_eq!(see(Seen::Gone(HEARTBEAT_SECRET.to_owned()), &mut settings), first, "deleted");
        let mut garbled = secret(&[]);
        (garbled.cluster_id, garbled.garbled) = (None, vec![Garbled::ClusterId]);
        assert_eq!(see(is(garbled), &mut settings), first, "overwritten");
        assert_eq!(see(is(secret(&[])), &mut settings), first, "emptied");
        assert_eq!(see(is(secret(&[1_000_000_000, 1_100_000_000])), &mut settings), first, "the new one is too new");
    }

    #[test]
    fn the_profile_is_that_of_the_one_configuration_that_counts() {
        #[expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]
        let now = Instant::now();
        let (mut settings, _keys, profile) = Settings::new();
        let mut world = World::default();
        assert_eq!(*profile.borrow(), Profile::BALANCED);
        let spec = HeraldConfigSpec { liveness: Liveness::Fast };
        let seen = Seen::Changed("default".to_owned(), Reading::Record(spec));
        world.apply(Change::Config(seen), &mut News::default());
        settings.follow(&world, now);
        assert_eq!(*profile.borrow(), Profile::FAST);
        world.apply(Change::Config(Seen::Gone("default".to_owned())), &mut News::default());
        settings.follow(&world, now);
        assert_eq!(*profile.borrow(), Profile::BALANCED);
    }
}
