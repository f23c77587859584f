//! What a table holds: chains, sets and their elements, counters, rules.

use super::Family;
use super::expression::Expression;

mod codec;

/// A table. Its comment tells whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which packets it sees.
    pub family: Family,
    /// Unique within the family.
    pub name: String,
    /// Shown by `nft list`; at most 127 bytes.
    pub comment: String,
}

/// What a base chain is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of each connection and decides the translation of all.
    Nat,
    /// A kind Herald never makes.
    Other(String),
}

/// Where in the kernel's path a base chain hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Everything that comes in, before routing.
    Prerouting,
    /// To this node.
    Input,
    /// Through this node.
    Forward,
    /// From this node.
    Output,
    /// A hook Herald never uses.
    Other(u32),
}

/// The hook of a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// What it is for.
    pub kind: ChainKind,
    /// Where it hangs.
    pub hook: Hook,
    /// Chains of one hook run from the lowest priority to the highest.
    pub priority: i32,
    /// What no rule decides is dropped instead of accepted. Never so in Herald's chains.
    pub drops: bool,
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Unique within the table.
    pub name: String,
    /// `None` for a chain that is only jumped to.
    pub base: Option<BaseChain>,
}

/// A piece of a set's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// An IPv4 address, 4 bytes.
    Ipv4Address,
    /// An IPv6 address, 16 bytes.
    Ipv6Address,
    /// A transport protocol's number, 1 byte.
    Protocol,
    /// A port, 2 bytes.
    Port,
}

impl Field {
    /// The number by which `nft list` knows how to print it.
    const fn code(self) -> u32 {
        match self {
            Self::Ipv4Address => 7,
            Self::Ipv6Address => 8,
            Self::Protocol => 12,
            Self::Port => 13,
        }
    }

    const fn length(self) -> u32 {
        match self {
            Self::Ipv4Address | Self::Protocol | Self::Port => 4,
            Self::Ipv6Address => 16,
        }
    }
}

/// The form of a set's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: u32,
    length: u32,
}

impl Key {
    /// A key of these fields, at most five, each padded with zeros to a multiple of 4 bytes.
    pub fn of(fields: &[Field]) -> Self {
        fields.iter().fold(Self { code: 0, length: 0 }, |key, field| Self {
            code: key.code << 6 | field.code(),
            length: key.length.saturating_add(field.length()),
        })
    }

    /// Length in bytes.
    pub const fn length(self) -> u32 {
        self.length
    }
}

/// A set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Unique within the table.
    pub name: String,
    /// The form of its keys.
    pub key: Key,
    /// `NFT_SET_*`; 0 for a set of single keys that rules do not change, the only kind Herald makes.
    pub flags: u32,
}

/// Some keys of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements {
    /// Family of the set's table.
    pub family: Family,
    /// The set's table.
    pub table: String,
    /// The set.
    pub set: String,
    /// The keys, each of the set's length.
    pub keys: Vec<Vec<u8>>,
}

/// A named counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Unique within the table.
    pub name: String,
    /// Packets counted since it was made.
    pub packets: u64,
    /// Bytes counted since it was made.
    pub bytes: u64,
}

/// A rule at the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Its steps.
    pub expressions: Vec<Expression>,
    /// Shown by `nft list`; at most 127 bytes.
    pub comment: String,
}
