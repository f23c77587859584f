//! The expressions a rule is made of. Each loads, compares or decides; a rule ends at the first comparison that fails.

use super::attribute::Writer;

mod read;

const NAME: u16 = 1;
const DATA: u16 = 2;

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

/// A register as the kernel numbers it: 0 holds the verdict, 1 to 4 are 16 bytes wide, 8 to 23 are the same space in
/// pieces of 4 bytes. The kernel reports a piece that begins a wide register by the wide one's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(pub u32);

impl Register {
    /// Where the value to compare or to look up begins.
    pub const FIRST: Self = Self(1);
    const VERDICT: u32 = 0;

    /// The register that holds the bytes at a distance from [`Register::FIRST`], a multiple of 4 up to 60.
    pub const fn at(bytes: u32) -> Self {
        if bytes.is_multiple_of(16) {
            Self((bytes / 16).saturating_add(1))
        } else {
            Self((bytes / 4).saturating_add(8))
        }
    }
}

/// The header a payload offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// IPv4 or IPv6.
    Network,
    /// TCP, UDP, ICMP and the like.
    Transport,
}

/// How a register is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The rule goes on if both are equal.
    Equal,
    /// The rule goes on if they differ.
    Unequal,
}

/// What becomes of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next chain of this hook.
    Accept,
    /// Gone, silently.
    Drop,
    /// Back to the calling chain; from a base chain as [`Verdict::Accept`].
    Return,
    /// Into another chain of the table.
    Jump(String),
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectWith {
    /// A TCP reset (RFC 9293, 3.10.7).
    TcpReset,
    /// ICMP or ICMPv6 destination unreachable with this code.
    Unreachable(u8),
}

/// One step of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Loads bytes of the packet; the rule ends if it has fewer.
    Payload {
        /// Where the offset counts from.
        header: Header,
        /// In bytes.
        offset: u32,
        /// In bytes, 1 to 16.
        length: u32,
        /// Where to.
        register: Register,
    },
    /// Loads the number of the transport protocol, after IPv6 extension headers.
    TransportProtocol(Register),
    /// Loads the type of the interface the packet came in by (`ARPHRD_*`, 2 bytes, machine's byte order). Before output only.
    IncomingInterfaceType(Register),
    /// Loads what connection tracking thinks of the packet, as a bit set in the machine's byte order.
    ConntrackState(Register),
    /// Loads the type of the destination address (`RTN_*`, machine's byte order): among all addresses of the node, or only
    /// those of the interface the packet came in by.
    DestinationType {
        /// Only addresses of the incoming interface count. Not possible in the output hook.
        of_incoming_interface: bool,
        /// Where to.
        register: Register,
    },
    /// Masks a register in place.
    Mask {
        /// The register.
        register: Register,
        /// Bits that stay.
        mask: Vec<u8>,
    },
    /// Compares a register with a constant.
    Compare {
        /// The register.
        register: Register,
        /// How.
        how: Compare,
        /// The constant.
        value: Vec<u8>,
    },
    /// The rule goes on if the set has the key that begins in this register.
    Lookup {
        /// The set's name.
        set: String,
        /// Where the key begins.
        register: Register,
    },
    /// Counts the packet in a named counter.
    Count(String),
    /// Refuses the packet: the sender learns at once.
    Reject(RejectWith),
    /// Gives the packet to this node: to the first address of the interface it came in by, or to the loopback address if it
    /// was sent here. Replies get the original address back.
    Redirect,
    /// Decides.
    Verdict(Verdict),
    /// Something Herald never writes, by name.
    Unknown(String),
}

mod number {
    pub(super) const META_IIFTYPE: u32 = 8;
    pub(super) const META_L4PROTO: u32 = 16;
    pub(super) const CT_STATE: u32 = 0;
    pub(super) const FIB_RESULT_ADDRTYPE: u32 = 3;
    pub(super) const FIB_DADDR: u32 = 2;
    pub(super) const FIB_IIF: u32 = 8;
    pub(super) const OBJECT_COUNTER: u32 = 1;
    pub(super) const REJECT_ICMP: u32 = 0;
    pub(super) const REJECT_RESET: u32 = 1;
    pub(super) const DROP: u32 = 0;
    pub(super) const ACCEPT: u32 = 1;
    pub(super) const JUMP: u32 = (-3_i32).cast_unsigned();
    pub(super) const RETURN: u32 = (-5_i32).cast_unsigned();
}

fn value(attribute: u16, bytes: &[u8]) -> impl FnOnce(&mut Writer) {
    let bytes = bytes.to_vec();
    move |writer| {
        writer.nested(attribute, |data| {
            data.raw(DATA_VALUE, &bytes);
        });
    }
}

impl Expression {
    /// The name by which the kernel knows it.
    pub fn name(&self) -> &str {
        match self {
            Self::Payload { .. } => "payload",
            Self::TransportProtocol(_) | Self::IncomingInterfaceType(_) => "meta",
            Self::ConntrackState(_) => "ct",
            Self::DestinationType { .. } => "fib",
            Self::Mask { .. } => "bitwise",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::Count(_) => "objref",
            Self::Reject(_) => "reject",
            Self::Redirect => "redir",
            Self::Verdict(_) => "immediate",
            Self::Unknown(name) => name,
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.text(NAME, self.name());
        to.nested(DATA, |data| self.write_data(data));
    }

    fn write_data(&self, to: &mut Writer) {
        match self {
            Self::Payload { header, offset, length, register } => {
                let base = match header {
                    Header::Network => 1,
                    Header::Transport => 2,
                };
                to.number(1, register.0).number(2, base).number(3, *offset).number(4, *length);
            }
            Self::TransportProtocol(register) => {
                to.number(1, register.0).number(2, number::META_L4PROTO);
            }
            Self::IncomingInterfaceType(register) => {
                to.number(1, register.0).number(2, number::META_IIFTYPE);
            }
            Self::ConntrackState(register) => {
                to.number(1, register.0).number(2, number::CT_STATE);
            }
            Self::DestinationType { of_incoming_interface, register } => {
                let flags = number::FIB_DADDR | if *of_incoming_interface { number::FIB_IIF } else { 0 };
                to.number(1, register.0).number(2, number::FIB_RESULT_ADDRTYPE).number(3, flags);
            }
            Self::Mask { register, mask } => {
                to.number(1, register.0).number(2, register.0).number(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
                value(4, mask)(to);
                value(5, &vec![0; mask.len()])(to);
            }
            Self::Compare { register, how, value: constant } => {
                let operator = match how {
                    Compare::Equal => 0,
                    Compare::Unequal => 1,
                };
                to.number(1, register.0).number(2, operator);
                value(3, constant)(to);
            }
            Self::Lookup { set, register } => {
                to.text(1, set).number(2, register.0);
            }
            Self::Count(counter) => {
                to.number(1, number::OBJECT_COUNTER).text(2, counter);
            }
            Self::Reject(RejectWith::TcpReset) => {
                to.number(1, number::REJECT_RESET).raw(2, &[0]);
            }
            Self::Reject(RejectWith::Unreachable(code)) => {
                to.number(1, number::REJECT_ICMP).raw(2, &[*code]);
            }
            Self::Redirect | Self::Unknown(_) => {}
            Self::Verdict(verdict) => {
                to.number(1, Register::VERDICT);
                to.nested(2, |data| {
                    data.nested(DATA_VERDICT, |to| verdict.write(to));
                });
            }
        }
    }
}

impl Verdict {
    fn write(&self, to: &mut Writer) {
        let code = match self {
            Self::Accept => number::ACCEPT,
            Self::Drop => number::DROP,
            Self::Return => number::RETURN,
            Self::Jump(_) => number::JUMP,
        };
        to.number(1, code);
        if let Self::Jump(chain) = self {
            to.text(2, chain);
        }
    }
}
