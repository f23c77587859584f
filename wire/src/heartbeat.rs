//! The datagrams in which speakers talk to each other: bytes of an [`Envelope`], sealed so that only a member of the same
//! cluster can have written them, and only the node they are for accepts them.
//!
//! ```text
//! +---------+------------+-------------+---------------+------------+--------------------------+---------+
//! | version | key id (4) | cluster (4) | recipient (4) | nonce (12) | message, see `codec` (n) | tag(16) |
//! +---------+------------+-------------+---------------+------------+--------------------------+---------+
//! ```
//!
//! AES-256-GCM-SIV (RFC 8452) with a random nonce: should one ever repeat, all it gives away is that two messages are equal.
//! Bound by the tag are the version, the key id, and the names of cluster and recipient in full. The three ids in the open are
//! the first bytes of a SHA-256 each; they only let the receiver say *why* it can't read something.
//!
//! What was sealed once can be sent again by anybody: refusing that is the receiver's affair (sequence numbers).

mod codec;
mod keyring;
#[cfg(test)]
mod tests;

pub use codec::DecodeError;
pub use keyring::{AGREED_AFTER, KEY_LENGTH, Keyring, RETIRED_FOR};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::{digest, rand};
use herald_core::liveness::Envelope;
use herald_core::names::NodeName;
use std::time::Instant;

/// The first byte of every datagram.
pub const VERSION: u8 = 1;

const ID_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;
const HEADER_LENGTH: usize = 1 + 3 * ID_LENGTH + NONCE_LENGTH;

/// The first bytes of a SHA-256.
type Id = [u8; ID_LENGTH];

/// Why a datagram is not taken. Every variant has a short name of its own for metrics: [`OpenError::reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than header and tag.
    #[error("the datagram ends before its header and its tag do")]
    Truncated,
    /// Another version than [`VERSION`].
    #[error("version {0} of heartbeats is not known here: speakers of very different releases run side by side")]
    Version(u8),
    /// From a speaker of another cluster.
    #[error("the datagram belongs to another cluster on the same segment: give one of them another --heartbeat-port")]
    Cluster,
    /// For another node.
    #[error("the datagram is for another node: two nodes have the same address, or it was sent here in its place")]
    Recipient,
    /// Sealed with a key that is not known here.
    #[error(
        "the datagram is sealed with a key that this speaker doesn't know: one of the two has not read the Secret yet"
    )]
    Key,
    /// The tag is wrong.
    #[error("the datagram was forged or damaged: its tag is wrong")]
    Forged,
    /// Authentic and yet not a message.
    #[error("the message is authentic and can't be read")]
    Malformed(#[source] DecodeError),
}

impl OpenError {
    /// The reason in one or two words joined by `_`, as a metric's label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version(_) => "version",
            Self::Cluster => "wrong_cluster",
            Self::Recipient => "not_for_us",
            Self::Key => "unknown_key",
            Self::Forged => "forged",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl Keyring {
    /// The datagram that tells a node something. `None`: there is no key.
    pub fn seal(&self, envelope: &Envelope, to: &NodeName, now: Instant) -> Option<Vec<u8>> {
        let (id, key) = self.sealing(now)?;
        let mut nonce = [0; NONCE_LENGTH];
        rand::fill(&mut nonce).ok()?;
        let mut datagram = Vec::with_capacity(256);
        datagram.push(VERSION);
        datagram.extend(id);
        datagram.extend(self.cluster_id());
        datagram.extend(id_of(to.as_str().as_bytes()));
        datagram.extend(nonce);
        codec::encode(envelope, &mut datagram);
        let message = datagram.get_mut(HEADER_LENGTH..)?;
        let bound = self.bound(id, to);
        let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound, message).ok()?;
        datagram.extend_from_slice(tag.as_ref());
        Some(datagram)
    }

    /// Reads a datagram that has arrived at a node.
    ///
    /// # Errors
    /// When it is not an authentic message of this cluster for this node.
    pub fn open(&self, datagram: &[u8], me: &NodeName, now: Instant) -> Result<Envelope, OpenError> {
        let header: &[u8; HEADER_LENGTH] = datagram.first_chunk().ok_or(OpenError::Truncated)?;
        let sealed = datagram.get(HEADER_LENGTH..).filter(|sealed| sealed.len() >= TAG_LENGTH);
        let [version, rest @ ..] = header;
        if *version != VERSION {
            return Err(OpenError::Version(*version));
        }
        let sealed = sealed.ok_or(OpenError::Truncated)?;
        let (id, rest) = rest.split_first_chunk::<ID_LENGTH>().ok_or(OpenError::Truncated)?;
        let (cluster, rest) = rest.split_first_chunk::<ID_LENGTH>().ok_or(OpenError::Truncated)?;
        let (recipient, rest) = rest.split_first_chunk::<ID_LENGTH>().ok_or(OpenError::Truncated)?;
        let nonce = Nonce::try_assume_unique_for_key(rest).map_err(|_| OpenError::Truncated)?;
        if *cluster != self.cluster_id() {
            return Err(OpenError::Cluster);
        }
        if *recipient != id_of(me.as_str().as_bytes()) {
            return Err(OpenError::Recipient);
        }
        let key: &LessSafeKey = self.opening(*id, now).ok_or(OpenError::Key)?;
        let mut message = sealed.to_vec();
        let opened = key.open_in_place(nonce, self.bound(*id, me), &mut message).map_err(|_| OpenError::Forged)?;
        codec::decode(opened).map_err(OpenError::Malformed)
    }

    /// What the tag binds besides the message.
    fn bound(&self, key: Id, to: &NodeName) -> Aad<Vec<u8>> {
        let (cluster, node) = (self.cluster().as_bytes(), to.as_str().as_bytes());
        let mut bound = vec![VERSION];
        bound.extend(key);
        // With the length of the first, no two pairs of names give the same bytes.
        bound.extend(u32::try_from(cluster.len()).unwrap_or(u32::MAX).to_be_bytes());
        bound.extend(cluster);
        bound.extend(node);
        Aad::from(bound)
    }
}

fn id_of(bytes: &[u8]) -> Id {
    digest::digest(&digest::SHA256, bytes).as_ref().first_chunk().copied().unwrap_or_default()
}
