//! Netlink messages around nf_tables' attributes, and the questions one can ask.

use super::Family;
use super::attribute::Writer;

/// The nf_tables subsystem of netfilter's netlink.
const SUBSYSTEM: u16 = 10;

/// Message types of `linux/netfilter/nfnetlink.h` and `nf_tables.h`.
pub(super) mod kind {
    const fn of(message: u16) -> u16 {
        super::SUBSYSTEM << 8 | message
    }

    pub(in super::super) const BATCH_BEGIN: u16 = 16;
    pub(in super::super) const BATCH_END: u16 = 17;
    pub(in super::super) const NEW_TABLE: u16 = of(0);
    pub(in super::super) const GET_TABLE: u16 = of(1);
    pub(in super::super) const DELETE_TABLE: u16 = of(2);
    pub(in super::super) const NEW_CHAIN: u16 = of(3);
    pub(in super::super) const GET_CHAIN: u16 = of(4);
    pub(in super::super) const NEW_RULE: u16 = of(6);
    pub(in super::super) const GET_RULE: u16 = of(7);
    pub(in super::super) const NEW_SET: u16 = of(9);
    pub(in super::super) const GET_SET: u16 = of(10);
    pub(in super::super) const NEW_ELEMENTS: u16 = of(12);
    pub(in super::super) const GET_ELEMENTS: u16 = of(13);
    pub(in super::super) const DELETE_ELEMENTS: u16 = of(14);
    pub(in super::super) const NEW_OBJECT: u16 = of(18);
    pub(in super::super) const GET_OBJECT: u16 = of(19);
}

/// Flags of a netlink message, `linux/netlink.h`.
pub(super) mod flag {
    pub(in super::super) const REQUEST: u16 = 0x1;
    pub(in super::super) const ACK: u16 = 0x4;
    pub(in super::super) const INTERRUPTED: u16 = 0x10;
    pub(in super::super) const DUMP: u16 = 0x300;
    pub(in super::super) const CREATE: u16 = 0x400;
    pub(in super::super) const APPEND: u16 = 0x800;
}

/// Bytes of the netlink header and of netfilter's behind it.
pub(super) const HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;

/// A message before it has a sequence number.
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) family: Option<Family>,
    pub(super) resource: u16,
    pub(super) attributes: Vec<u8>,
}

impl Message {
    pub(super) fn write(&self, sequence: u32, to: &mut Vec<u8>) {
        let length = self.attributes.len().saturating_add(HEADER.saturating_add(NETFILTER_HEADER));
        to.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        to.extend(self.kind.to_ne_bytes());
        to.extend(self.flags.to_ne_bytes());
        to.extend(sequence.to_ne_bytes());
        to.extend([0; 4]); // the kernel knows who sent it
        to.extend([self.family.map_or(0, Family::number), 0]);
        to.extend(self.resource.to_be_bytes());
        to.extend(&self.attributes);
    }
}

/// The begin or the end of a batch. Neither asks for an acknowledgement: the kernel would send it before it is decided.
pub(super) fn batch_frame(kind: u16) -> Message {
    Message { kind, flags: flag::REQUEST, family: None, resource: SUBSYSTEM, attributes: Vec::new() }
}

/// A question to the kernel. What does not exist is answered with the error `ENOENT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A table.
    Table {
        /// Its family.
        family: Family,
        /// Its name.
        name: String,
    },
    /// A chain.
    Chain {
        /// Its table's family.
        family: Family,
        /// Its table.
        table: String,
        /// Its name.
        name: String,
    },
    /// A set without its elements.
    Set {
        /// Its table's family.
        family: Family,
        /// Its table.
        table: String,
        /// Its name.
        name: String,
    },
    /// All elements of a set, as a dump.
    Elements {
        /// Its table's family.
        family: Family,
        /// Its table.
        table: String,
        /// Its name.
        set: String,
    },
    /// All rules of a table in the order of their chains, as a dump. Of a table that does not exist: none.
    Rules {
        /// Its family.
        family: Family,
        /// Its name.
        table: String,
    },
    /// All counters of a table, as a dump. Of a table that does not exist: none.
    Counters {
        /// Its family.
        family: Family,
        /// Its name.
        table: String,
    },
}

impl Request {
    /// The answer is a series of messages that ends with [`Reply::Done`](super::Reply::Done); otherwise it is one message.
    pub const fn is_dump(&self) -> bool {
        matches!(self, Self::Elements { .. } | Self::Rules { .. } | Self::Counters { .. })
    }

    /// The bytes to send; `None` if a name has more than 65,000 bytes.
    pub fn encode(&self, sequence: u32) -> Option<Vec<u8>> {
        let mut to = Writer::default();
        let (kind, family) = match self {
            Self::Table { family, name } => {
                to.text(1, name);
                (kind::GET_TABLE, family)
            }
            Self::Chain { family, table, name } => {
                to.text(1, table).text(3, name);
                (kind::GET_CHAIN, family)
            }
            Self::Set { family, table, name } => {
                to.text(1, table).text(2, name);
                (kind::GET_SET, family)
            }
            Self::Elements { family, table, set } => {
                to.text(1, table).text(2, set);
                (kind::GET_ELEMENTS, family)
            }
            Self::Rules { family, table } => {
                to.text(1, table);
                (kind::GET_RULE, family)
            }
            Self::Counters { family, table } => {
                to.text(1, table).number(3, 1);
                (kind::GET_OBJECT, family)
            }
        };
        let flags = flag::REQUEST | if self.is_dump() { flag::DUMP } else { 0 };
        let message = Message { kind, flags, family: Some(*family), resource: 0, attributes: to.finish()? };
        let mut bytes = Vec::new();
        message.write(sequence, &mut bytes);
        Some(bytes)
    }
}
