//! nf_tables over netlink: what a firewall table is made of, as plain values; batches that change it; replies that show it.
//!
//! Owns the byte format (`linux/netfilter/nf_tables.h`) of exactly the vocabulary Herald writes, in both directions, so
//! that what the kernel reports can be compared with what should be there. Anything else the kernel reports decodes to
//! a value that equals nothing of ours. Owns neither the socket nor what the tables should hold.
//!
//! Decoding never panics, whatever the bytes. That rules out the nested parsers of `netlink-packet-netfilter`, which trust
//! the lengths they read; the crate serves as the independent judge of this codec in the tests.
//!
//! Needs Linux 5.10 or newer (tables with a comment).

mod attribute;
mod batch;
mod expression;
mod object;
mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use batch::{Batch, EncodeError, Statement};
pub use expression::{Compare, Expression, Header, Register, RejectWith, Verdict};
pub use object::{BaseChain, Chain, ChainKind, Counter, Elements, Field, Hook, Key, Rule, Set, Table};
pub use reply::{Item, Reply, replies};
pub use request::Request;

/// The family of a table: which packets it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 (`ip`).
    Ip,
    /// IPv6 (`ip6`).
    Ip6,
}

impl Family {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::Ip, Self::Ip6];

    const fn number(self) -> u8 {
        match self {
            Self::Ip => 2,
            Self::Ip6 => 10,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::Ip),
            10 => Some(Self::Ip6),
            _ => None,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        })
    }
}

/// Bytes that are no netlink message, or lack what every such message has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the header or the stated length asks for.
    #[error("a netlink {what} of {have} bytes is cut off")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes that are left of it.
        have: usize,
    },
    /// A value whose size is not the one of its type.
    #[error("attribute {attribute} of a netlink message has {have} bytes")]
    Size {
        /// The attribute's number.
        attribute: u16,
        /// Its length.
        have: usize,
    },
    /// An attribute that every object of this kind has.
    #[error("a netlink message without its {what}")]
    Missing {
        /// What was looked for.
        what: &'static str,
    },
}
