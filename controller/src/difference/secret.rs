//! The keys of heartbeats: without one, speakers can't hear each other.

use super::Comparison;
use crate::effects::{Effect, Lane, LaneKey};
use herald_api::keys::HEARTBEAT_SECRET;

impl Comparison<'_> {
    /// Makes the Secret where there is none, and adds what it lacks. A key that can't be read is left alone and, as long
    /// as there is another one, not replaced.
    pub(super) fn secret(&mut self) {
        if !self.state.knows_secret() {
            return;
        }
        let effect = match self.state.secret.get(HEARTBEAT_SECRET) {
            None => Effect::MakeHeartbeatKey { seen: None, key: true, cluster: true },
            Some(record) if record.keys > 0 && record.names_cluster => return,
            Some(record) => Effect::MakeHeartbeatKey {
                seen: Some(record.seen.clone()),
                key: record.keys == 0,
                cluster: !record.names_cluster,
            },
        };
        if self.is_idle(&LaneKey::Secret) {
            self.push(Lane { key: LaneKey::Secret, service: None, effects: vec![effect], notices: Vec::new() });
        }
    }
}
