//! Reading expressions back. Exact: an expression of a known name with a setting that Herald never uses is an unknown one.

use super::super::DecodeError;
use super::super::attribute::{Attribute, Attributes};
use super::{Compare, DATA, DATA_VALUE, DATA_VERDICT, Expression, Header, NAME, Register, RejectWith, Verdict, number};

impl Expression {
    pub(in super::super) fn read(list: Attributes<'_>) -> Result<Self, DecodeError> {
        let name = list.get(NAME, "expression's name")?.text();
        let data = list.find(DATA)?.map(Attribute::nested).unwrap_or_default();
        Ok(Self::read_data(&name, data)?.unwrap_or(Self::Unknown(name)))
    }

    /// `None` for an expression outside the vocabulary, also one of a known name with other settings.
    fn read_data(name: &str, data: Attributes<'_>) -> Result<Option<Self>, DecodeError> {
        let fields = Fields(data);
        Ok(match name {
            "payload" => fields.payload()?,
            "meta" if fields.is(2, number::META_L4PROTO)? => fields.register(1)?.map(Self::TransportProtocol),
            "meta" if fields.is(2, number::META_IIFTYPE)? => fields.register(1)?.map(Self::IncomingInterfaceType),
            "ct" if fields.is(2, number::CT_STATE)? && data.find(3)?.is_none() => {
                fields.register(1)?.map(Self::ConntrackState)
            }
            "fib" if fields.is(2, number::FIB_RESULT_ADDRTYPE)? => {
                let of_incoming_interface = fields.is(3, number::FIB_DADDR | number::FIB_IIF)?;
                let known = of_incoming_interface || fields.is(3, number::FIB_DADDR)?;
                let register = fields.register(1)?.filter(|_| known);
                register.map(|register| Self::DestinationType { of_incoming_interface, register })
            }
            "bitwise" => fields.mask()?,
            "cmp" => fields.compare()?,
            "lookup" if data.find(3)?.is_none() && data.number_or(5, 0)? == 0 => {
                let set = data.get(1, "looked-up set")?.text();
                fields.register(2)?.map(|register| Self::Lookup { set, register })
            }
            "objref" if fields.is(1, number::OBJECT_COUNTER)? => data.find(2)?.map(|name| Self::Count(name.text())),
            "reject" if fields.is(1, number::REJECT_RESET)? => Some(Self::Reject(RejectWith::TcpReset)),
            "reject" if fields.is(1, number::REJECT_ICMP)? => match data.find(2)?.map(|code| code.value) {
                Some([code]) => Some(Self::Reject(RejectWith::Unreachable(*code))),
                _ => None,
            },
            "redir" if data.find(1)?.is_none() && data.number_or(3, 0)? == 0 => Some(Self::Redirect),
            "immediate" if fields.is(1, Register::VERDICT)? => fields.verdict()?.map(Self::Verdict),
            _ => None,
        })
    }
}

/// The attributes of one expression, by number.
struct Fields<'a>(Attributes<'a>);

impl<'a> Fields<'a> {
    fn is(&self, attribute: u16, expected: u32) -> Result<bool, DecodeError> {
        Ok(self.0.find(attribute)?.map(Attribute::number).transpose()? == Some(expected))
    }

    fn register(&self, attribute: u16) -> Result<Option<Register>, DecodeError> {
        Ok(self.0.find(attribute)?.map(Attribute::number).transpose()?.map(Register))
    }

    fn value(&self, attribute: u16) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some(data) = self.0.find(attribute)? else { return Ok(None) };
        Ok(data.nested().find(DATA_VALUE)?.map(|value| value.value))
    }

    fn payload(&self) -> Result<Option<Expression>, DecodeError> {
        let header = match self.0.number_or(2, u32::MAX)? {
            1 => Header::Network,
            2 => Header::Transport,
            _ => return Ok(None),
        };
        let (offset, length) = (self.0.number_or(3, 0)?, self.0.number_or(4, 0)?);
        let register = self.register(1)?;
        Ok(register.map(|register| Expression::Payload { header, offset, length, register }))
    }

    fn mask(&self) -> Result<Option<Expression>, DecodeError> {
        let (from, to) = (self.register(1)?, self.register(2)?);
        let (Some(mask), Some(flip)) = (self.value(4)?, self.value(5)?) else { return Ok(None) };
        let in_place = from == to && self.0.number_or(6, 0)? == 0 && flip.iter().all(|byte| *byte == 0);
        Ok(from.filter(|_| in_place).map(|register| Expression::Mask { register, mask: mask.to_vec() }))
    }

    fn compare(&self) -> Result<Option<Expression>, DecodeError> {
        let how = match self.0.number_or(2, u32::MAX)? {
            0 => Compare::Equal,
            1 => Compare::Unequal,
            _ => return Ok(None),
        };
        let (Some(register), Some(value)) = (self.register(1)?, self.value(3)?) else { return Ok(None) };
        Ok(Some(Expression::Compare { register, how, value: value.to_vec() }))
    }

    fn verdict(&self) -> Result<Option<Verdict>, DecodeError> {
        let Some(data) = self.0.find(2)? else { return Ok(None) };
        let Some(verdict) = data.nested().find(DATA_VERDICT)? else { return Ok(None) };
        let verdict = verdict.nested();
        Ok(match verdict.get(1, "verdict's code")?.number()? {
            number::ACCEPT => Some(Verdict::Accept),
            number::DROP => Some(Verdict::Drop),
            number::RETURN => Some(Verdict::Return),
            number::JUMP => Some(Verdict::Jump(verdict.get(2, "jump's target")?.text())),
            _ => None,
        })
    }
}
