//! Changes that take effect together or not at all.

use super::attribute::Writer;
use super::object::{Chain, Counter, Elements, Rule, Set, Table};
use super::request::{Message, flag, kind};
use super::{Family, request};
use std::fmt;

/// Keys in one message: the list's length is a 16-bit number, and the longest key takes 40 bytes.
const KEYS_PER_MESSAGE: usize = 1000;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Makes a table unless it is there.
    AddTable(Table),
    /// Deletes a table with all it holds.
    DeleteTable {
        /// Its family.
        family: Family,
        /// Its name.
        name: String,
    },
    /// Makes a chain.
    AddChain(Chain),
    /// Makes a set.
    AddSet(Set),
    /// Makes a counter.
    AddCounter(Counter),
    /// Appends a rule to its chain.
    AddRule(Rule),
    /// Puts keys into a set; those that are there stay.
    AddElements(Elements),
    /// Takes keys out of a set; all must be there.
    DeleteElements(Elements),
}

impl Statement {
    fn message(&self) -> Result<Message, EncodeError> {
        let mut to = Writer::default();
        let (kind, flags, family) = match self {
            Self::AddTable(table) => {
                (kind::NEW_TABLE, flag::CREATE, write(table.family, &mut to, |to| table.write(to)))
            }
            Self::DeleteTable { family, name } => (
                kind::DELETE_TABLE,
                0,
                write(*family, &mut to, |to| {
                    to.text(1, name);
                }),
            ),
            Self::AddChain(chain) => {
                (kind::NEW_CHAIN, flag::CREATE, write(chain.family, &mut to, |to| chain.write(to)))
            }
            Self::AddSet(set) => (kind::NEW_SET, flag::CREATE, write(set.family, &mut to, |to| set.write(to))),
            Self::AddCounter(counter) => {
                (kind::NEW_OBJECT, flag::CREATE, write(counter.family, &mut to, |to| counter.write(to)))
            }
            Self::AddRule(rule) => {
                (kind::NEW_RULE, flag::CREATE | flag::APPEND, write(rule.family, &mut to, |to| rule.write(to)))
            }
            Self::AddElements(elements) => {
                (kind::NEW_ELEMENTS, flag::CREATE, write(elements.family, &mut to, |to| elements.write(to)))
            }
            Self::DeleteElements(elements) => {
                (kind::DELETE_ELEMENTS, 0, write(elements.family, &mut to, |to| elements.write(to)))
            }
        };
        let attributes = to.finish().ok_or_else(|| EncodeError { statement: self.to_string() })?;
        Ok(Message { kind, flags: flag::REQUEST | flag::ACK | flags, family: Some(family), resource: 0, attributes })
    }
}

fn write(family: Family, to: &mut Writer, fill: impl FnOnce(&mut Writer)) -> Family {
    fill(to);
    family
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable(table) => write!(f, "making table {} {}", table.family, table.name),
            Self::DeleteTable { family, name } => write!(f, "deleting table {family} {name}"),
            Self::AddChain(chain) => write!(f, "making chain {} in table {} {}", chain.name, chain.family, chain.table),
            Self::AddSet(set) => write!(f, "making set {} in table {} {}", set.name, set.family, set.table),
            Self::AddCounter(counter) => {
                write!(f, "making counter {} in table {} {}", counter.name, counter.family, counter.table)
            }
            Self::AddRule(rule) => {
                let Rule { family, table, chain, expressions, comment } = rule;
                let names: Vec<_> = expressions.iter().map(super::Expression::name).collect();
                let names = names.join(", ");
                write!(f, "adding rule \"{comment}\" ({names}) to chain {chain} in table {family} {table}")
            }
            Self::AddElements(Elements { family, table, set, keys }) => {
                write!(f, "adding {} elements to set {set} in table {family} {table}", keys.len())
            }
            Self::DeleteElements(Elements { family, table, set, keys }) => {
                write!(f, "deleting {} elements from set {set} in table {family} {table}", keys.len())
            }
        }
    }
}

/// Statements that the kernel carries out as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    statements: Vec<Statement>,
}

impl Batch {
    /// Appends a statement; elements are spread over as many messages as they need.
    pub fn push(&mut self, statement: Statement) {
        match statement {
            Statement::AddElements(elements) => self.statements.extend(pieces(elements).map(Statement::AddElements)),
            Statement::DeleteElements(elements) => {
                self.statements.extend(pieces(elements).map(Statement::DeleteElements));
            }
            other => self.statements.push(other),
        }
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The statements in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The bytes to send in one piece. The statements' sequence numbers begin at `first + 1` (wrapping) and each is
    /// acknowledged; the frame around them (`first`, and the number after the last) is acknowledged only in failure.
    ///
    /// # Errors
    /// A name or key of more than 65,000 bytes.
    pub fn encode(&self, first: u32) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        let mut sequence = first;
        request::batch_frame(kind::BATCH_BEGIN).write(sequence, &mut bytes);
        for statement in &self.statements {
            sequence = sequence.wrapping_add(1);
            statement.message()?.write(sequence, &mut bytes);
        }
        request::batch_frame(kind::BATCH_END).write(sequence.wrapping_add(1), &mut bytes);
        Ok(bytes)
    }

    /// The statement that carries a sequence number in the encoding that began with `first`.
    pub fn statement(&self, first: u32, sequence: u32) -> Option<&Statement> {
        let index = sequence.wrapping_sub(first).checked_sub(1)?;
        self.statements.get(usize::try_from(index).ok()?)
    }
}

impl FromIterator<Statement> for Batch {
    fn from_iter<T: IntoIterator<Item = Statement>>(statements: T) -> Self {
        let mut batch = Self::default();
        statements.into_iter().for_each(|statement| batch.push(statement));
        batch
    }
}

fn pieces(elements: Elements) -> impl Iterator<Item = Elements> {
    let Elements { family, table, set, keys } = elements;
    let mut keys = keys.into_iter();
    std::iter::from_fn(move || {
        let keys: Vec<_> = keys.by_ref().take(KEYS_PER_MESSAGE).collect();
        (!keys.is_empty()).then(|| Elements { family, table: table.clone(), set: set.clone(), keys })
    })
}

/// A statement that does not fit into a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{statement}: a name or key is too long for a netlink message")]
pub struct EncodeError {
    statement: String,
}
