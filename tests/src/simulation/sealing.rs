//! The cluster's key, with which all speakers seal and open what they tell each other.

use std::time::Instant;

use herald_core::liveness::Envelope;
use herald_core::names::NodeName;
use herald_wire::heartbeat::Keyring;

/// One ring for all nodes: their keys never differ here.
pub(super) struct Seal {
    ring: Keyring,
    epoch: Instant,
}

impl Seal {
    pub(super) fn new(epoch: Instant) -> Self {
        let keys = [("2026-11-21T12-00-00Z", [7; 32])];
        Self { ring: Keyring::default().follow("simulation", keys, epoch), epoch }
    }

    /// A datagram for a node.
    pub(super) fn seal(&self, to: &NodeName, envelope: &Envelope) -> Vec<u8> {
        self.ring.seal(envelope, to, self.epoch).expect("there is a key")
    }

    /// What a datagram tells a node.
    pub(super) fn open(&self, to: &NodeName, datagram: &[u8]) -> Envelope {
        self.ring.open(datagram, to, self.epoch).expect("what was sealed for a node it can open")
    }
}
