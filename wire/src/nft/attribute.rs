//! Netlink attributes: length, type, value, padded to four bytes; values nest.

use super::DecodeError;

const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// Rounds up to the alignment of netlink, four bytes.
pub(super) const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Attributes being written.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    oversize: bool,
}

impl Writer {
    pub(super) fn raw(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = value.len().saturating_add(HEADER);
        self.oversize |= u16::try_from(length).is_err();
        self.bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(align(self.bytes.len()), 0);
        self
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.raw(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.raw(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.oversize |= inner.oversize;
        self.raw(kind | NESTED, &inner.bytes)
    }

    /// The bytes, or nothing if a value was too long for its 16-bit length.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (!self.oversize).then_some(self.bytes)
    }
}

/// One attribute being read.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(super) fn number(self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn number64(self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Text up to its NUL. What is not UTF-8 is replaced, and so equals no name of ours.
    pub(super) fn text(self) -> String {
        let text = self.value.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    pub(super) fn nested(self) -> Attributes<'a> {
        Attributes::new(self.value)
    }

    fn array<const N: usize>(self) -> Result<[u8; N], DecodeError> {
        self.value.try_into().map_err(|_| DecodeError::Size { attribute: self.kind, have: self.value.len() })
    }
}

/// Attributes one after another.
#[derive(Clone, Copy, Default)]
pub(super) struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The last attribute of a type, as the kernel takes it.
    pub(super) fn find(self, kind: u16) -> Result<Option<Attribute<'a>>, DecodeError> {
        let mut found = None;
        for attribute in self {
            let attribute = attribute?;
            if attribute.kind == kind {
                found = Some(attribute);
            }
        }
        Ok(found)
    }

    pub(super) fn get(self, kind: u16, what: &'static str) -> Result<Attribute<'a>, DecodeError> {
        self.find(kind)?.ok_or(DecodeError::Missing { what })
    }

    pub(super) fn number_or(self, kind: u16, default: u32) -> Result<u32, DecodeError> {
        self.find(kind)?.map_or(Ok(default), Attribute::number)
    }
}

impl<'a> IntoIterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;
    type IntoIter = Remaining<'a>;

    fn into_iter(self) -> Remaining<'a> {
        Remaining { rest: self.bytes }
    }
}

/// Attributes not read yet.
pub(super) struct Remaining<'a> {
    rest: &'a [u8],
}

impl<'a> Remaining<'a> {
    fn split(&mut self) -> Option<Attribute<'a>> {
        let (length, after) = self.rest.split_first_chunk::<2>()?;
        let (kind, _) = after.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let value = self.rest.get(HEADER..length)?;
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some(Attribute { kind: u16::from_ne_bytes(*kind) & TYPE_MASK, value })
    }
}

impl<'a> Iterator for Remaining<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let have = self.rest.len();
        Some(self.split().ok_or_else(|| {
            self.rest = &[];
            DecodeError::Truncated { what: "attribute", have }
        }))
    }
}
