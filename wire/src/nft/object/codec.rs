//! Tables, chains, sets, elements, counters and rules as netlink attributes.

use super::super::attribute::{Attribute, Attributes, Writer};
use super::super::expression::Expression;
use super::super::{DecodeError, Family};
use super::{BaseChain, Chain, ChainKind, Counter, Elements, Hook, Key, Rule, Set, Table};

const TABLE: u16 = 1;
const LIST_ELEMENT: u16 = 1;
/// The kernel wants an id for references within a batch; ours are by name, so any will do.
const SET_ID: u32 = 1;
const OBJECT_COUNTER: u32 = 1;
const POLICY_ACCEPT: u32 = 1;

/// A comment as `nft` keeps it in user data: type 0, length with NUL, text.
fn write_comment(to: &mut Writer, attribute: u16, comment: &str) {
    let length = u8::try_from(comment.len().saturating_add(1)).unwrap_or(u8::MAX);
    to.raw(attribute, &[&[0, length], comment.as_bytes(), &[0]].concat());
}

/// User data without a comment first counts as none.
fn read_comment(data: Option<Attribute<'_>>) -> String {
    match data.map(|data| data.value) {
        Some([0, _, text @ ..]) => Attribute { kind: 0, value: text }.text(),
        _ => String::new(),
    }
}

impl Table {
    pub(in super::super) fn write(&self, to: &mut Writer) {
        const USER_DATA: u16 = 6;
        to.text(TABLE, &self.name).number(2, 0);
        write_comment(to, USER_DATA, &self.comment);
    }

    pub(in super::super) fn read(family: Family, from: Attributes<'_>) -> Result<Self, DecodeError> {
        Ok(Self { family, name: from.get(TABLE, "table's name")?.text(), comment: read_comment(from.find(6)?) })
    }
}

impl Chain {
    pub(in super::super) fn write(&self, to: &mut Writer) {
        to.text(TABLE, &self.table).text(3, &self.name);
        if let Some(base) = &self.base {
            base.write(to);
        }
    }

    pub(in super::super) fn read(family: Family, from: Attributes<'_>) -> Result<Self, DecodeError> {
        let base = from.find(4)?.map(|hook| BaseChain::read(from, hook.nested())).transpose()?;
        let (table, name) = (from.get(TABLE, "chain's table")?.text(), from.get(3, "chain's name")?.text());
        Ok(Self { family, table, name, base })
    }
}

impl BaseChain {
    fn write(&self, to: &mut Writer) {
        let hook = match self.hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
            Hook::Output => 3,
            Hook::Other(number) => number,
        };
        let kind = match &self.kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
            ChainKind::Other(name) => name,
        };
        to.nested(4, |to| {
            to.number(1, hook).number(2, self.priority.cast_unsigned());
        });
        to.number(5, if self.drops { 0 } else { POLICY_ACCEPT }).text(7, kind);
    }

    fn read(chain: Attributes<'_>, hook: Attributes<'_>) -> Result<Self, DecodeError> {
        let number = match hook.get(1, "chain's hook")?.number()? {
            0 => Hook::Prerouting,
            1 => Hook::Input,
            2 => Hook::Forward,
            3 => Hook::Output,
            other => Hook::Other(other),
        };
        let kind = match chain.get(7, "chain's type")?.text() {
            kind if kind == "filter" => ChainKind::Filter,
            kind if kind == "nat" => ChainKind::Nat,
            kind => ChainKind::Other(kind),
        };
        let priority = hook.get(2, "chain's priority")?.number()?.cast_signed();
        Ok(Self { kind, hook: number, priority, drops: chain.number_or(5, POLICY_ACCEPT)? != POLICY_ACCEPT })
    }
}

impl Set {
    pub(in super::super) fn write(&self, to: &mut Writer) {
        to.text(TABLE, &self.table).text(2, &self.name).number(3, self.flags);
        to.number(4, self.key.code).number(5, self.key.length).number(10, SET_ID);
    }

    pub(in super::super) fn read(family: Family, from: Attributes<'_>) -> Result<Self, DecodeError> {
        let (table, name) = (from.get(TABLE, "set's table")?.text(), from.get(2, "set's name")?.text());
        let key = Key { code: from.number_or(4, 0)?, length: from.get(5, "set's key length")?.number()? };
        Ok(Self { family, table, name, key, flags: from.number_or(3, 0)? })
    }
}

impl Elements {
    const KEY: u16 = 1;
    const VALUE: u16 = 1;

    pub(in super::super) fn write(&self, to: &mut Writer) {
        to.text(TABLE, &self.table).text(2, &self.set);
        to.nested(3, |list| {
            for key in &self.keys {
                list.nested(LIST_ELEMENT, |element| {
                    element.nested(Self::KEY, |data| {
                        data.raw(Self::VALUE, key);
                    });
                });
            }
        });
    }

    pub(in super::super) fn read(family: Family, from: Attributes<'_>) -> Result<Self, DecodeError> {
        let (table, set) = (from.get(TABLE, "set's table")?.text(), from.get(2, "set's name")?.text());
        let mut keys = Vec::new();
        for element in from.find(3)?.map(Attribute::nested).unwrap_or_default() {
            let key = element?.nested().get(Self::KEY, "element's key")?;
            keys.push(key.nested().get(Self::VALUE, "element's key")?.value.to_vec());
        }
        Ok(Self { family, table, set, keys })
    }
}

impl Counter {
    pub(in super::super) fn write(&self, to: &mut Writer) {
        to.text(TABLE, &self.table).text(2, &self.name).number(3, OBJECT_COUNTER);
        to.nested(4, |data| {
            data.raw(1, &self.bytes.to_be_bytes()).raw(2, &self.packets.to_be_bytes());
        });
    }

    /// `None` for an object of another type.
    pub(in super::super) fn read(family: Family, from: Attributes<'_>) -> Result<Option<Self>, DecodeError> {
        if from.get(3, "object's type")?.number()? != OBJECT_COUNTER {
            return Ok(None);
        }
        let (table, name) = (from.get(TABLE, "counter's table")?.text(), from.get(2, "counter's name")?.text());
        let data = from.get(4, "counter's values")?.nested();
        let bytes = data.get(1, "counter's bytes")?.number64()?;
        let packets = data.get(2, "counter's packets")?.number64()?;
        Ok(Some(Self { family, table, name, packets, bytes }))
    }
}

impl Rule {
    pub(in super::super) fn write(&self, to: &mut Writer) {
        to.text(TABLE, &self.table).text(2, &self.chain);
        to.nested(4, |list| {
            for expression in &self.expressions {
                list.nested(LIST_ELEMENT, |to| expression.write(to));
            }
        });
        write_comment(to, 7, &self.comment);
    }

    pub(in super::super) fn read(family: Family, from: Attributes<'_>) -> Result<Self, DecodeError> {
        let (table, chain) = (from.get(TABLE, "rule's table")?.text(), from.get(2, "rule's chain")?.text());
        let list = from.find(4)?.map(Attribute::nested).unwrap_or_default();
        let expressions = list.into_iter().map(|item| Expression::read(item?.nested())).collect::<Result<_, _>>()?;
        Ok(Self { family, table, chain, expressions, comment: read_comment(from.find(7)?) })
    }
}
