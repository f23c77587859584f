//! What the kernel sends back.

use super::attribute::{Attributes, align};
use super::object::{Chain, Counter, Elements, Rule, Set, Table};
use super::request::{HEADER, flag, kind};
use super::{DecodeError, Family};

const NOTHING: u16 = 1;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Something that exists in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A table.
    Table {
        /// As it is.
        table: Table,
        /// How many chains, sets and counters it holds.
        holds: u32,
        /// `NFT_TABLE_F_*`, such as dormant; 0 for a table of Herald's.
        flags: u32,
    },
    /// A chain without its rules.
    Chain(Chain),
    /// A set without its elements.
    Set(Set),
    /// A counter.
    Counter(Counter),
    /// A rule.
    Rule(Rule),
    /// Some elements of a set.
    Elements(Elements),
    /// Anything else.
    Other,
}

/// One message of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message with this number was carried out.
    Done {
        /// Its number.
        sequence: u32,
    },
    /// The message with this number failed.
    Failed {
        /// Its number.
        sequence: u32,
        /// `errno`, positive.
        errno: i32,
    },
    /// An answer to the request with this number.
    Item {
        /// Its number.
        sequence: u32,
        /// What there is.
        item: Item,
        /// The rules changed during the dump, which may lack something.
        interrupted: bool,
    },
}

impl Reply {
    /// The number of the message it answers.
    pub const fn sequence(&self) -> u32 {
        match self {
            Self::Done { sequence } | Self::Failed { sequence, .. } | Self::Item { sequence, .. } => *sequence,
        }
    }
}

/// Reads the messages of one datagram.
///
/// # Errors
/// Bytes that are no such messages.
pub fn replies(mut bytes: &[u8]) -> Result<Vec<Reply>, DecodeError> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let frame = Frame::split(&mut bytes)?;
        if frame.kind != NOTHING {
            found.push(frame.reply()?);
        }
    }
    Ok(found)
}

struct Frame<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    fn split(bytes: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let cut = DecodeError::Truncated { what: "message", have: bytes.len() };
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else { return Err(cut) };
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let payload = bytes.get(HEADER..length).ok_or(cut)?;
        *bytes = bytes.get(align(length)..).unwrap_or_default();
        Ok(Self {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    }

    fn reply(&self) -> Result<Reply, DecodeError> {
        let sequence = self.sequence;
        match self.kind {
            // The end of a dump carries the dump's result, where the kernel gives one.
            DONE if self.payload.len() < 4 => Ok(Reply::Done { sequence }),
            DONE | ERROR => {
                let cut = DecodeError::Truncated { what: "error", have: self.payload.len() };
                let (code, _) = self.payload.split_first_chunk().ok_or(cut)?;
                Ok(match i32::from_ne_bytes(*code) {
                    0 => Reply::Done { sequence },
                    code => Reply::Failed { sequence, errno: code.saturating_neg() },
                })
            }
            _ => {
                let interrupted = self.flags & flag::INTERRUPTED != 0;
                Ok(Reply::Item { sequence, item: self.item()?, interrupted })
            }
        }
    }

    fn item(&self) -> Result<Item, DecodeError> {
        let cut = DecodeError::Truncated { what: "netfilter header", have: self.payload.len() };
        let ([family, ..], attributes) = self.payload.split_first_chunk::<4>().ok_or(cut)?;
        let Some(family) = Family::from_number(*family) else { return Ok(Item::Other) };
        let from = Attributes::new(attributes);
        Ok(match self.kind {
            kind::NEW_TABLE => {
                let (flags, holds) = (from.number_or(2, 0)?, from.number_or(3, 0)?);
                Item::Table { table: Table::read(family, from)?, holds, flags }
            }
            kind::NEW_CHAIN => Item::Chain(Chain::read(family, from)?),
            kind::NEW_SET => Item::Set(Set::read(family, from)?),
            kind::NEW_OBJECT => Counter::read(family, from)?.map_or(Item::Other, Item::Counter),
            kind::NEW_RULE => Item::Rule(Rule::read(family, from)?),
            kind::NEW_ELEMENTS => Item::Elements(Elements::read(family, from)?),
            _ => Item::Other,
        })
    }
}
