//! Bytes of an [`Envelope`], before they are sealed. Numbers are big-endian.
//!
//! ```text
//! +-------+----------+----------------+--------------+-------------------------------+-----------+------+
//! | flags | life (8) | refutation (4) | sequence (8) | echo: life (8) + sequence (8) | profile   | ...  |
//! +-------+----------+----------------+--------------+-------------------------------+-----------+------+
//!   ... digest (8), sender's name (1 + n), kind of body (1), body
//! ```
//!
//! The echo is there if its flag is set. A profile is beat and confirmation in milliseconds (4 each) and misses (1). A name is
//! its length (1) and its bytes; a list is its length (2) and its entries; an address is 4 or 6 and its bytes. A kind of body
//! that is not known is a plain beat: whatever else a later release says, it is a sign of life.

use herald_core::address::Vip;
use herald_core::liveness::{Body, Echo, Envelope, Incarnation, Life, Obituary, Offer, Opinion, Profile, State};
use herald_core::names::NodeName;
use std::net::IpAddr;
use std::time::Duration;

const ABLE: u8 = 1;
const LEAVING: u8 = 1 << 1;
const LEFT: u8 = 1 << 2;
const DEGRADED: u8 = 1 << 3;
const BEATING: u8 = 1 << 4;
const ECHO: u8 = 1 << 5;
const CUT_OFF: u8 = 1 << 6;

const BEAT: u8 = 0;
const DEAD: u8 = 1;
const GONE: u8 = 2;
const STARVED: u8 = 3;
const QUERY: u8 = 4;
const VOTE: u8 = 5;
const CLAIMS: u8 = 6;
const DIGESTS: u8 = 7;
const HANDOVER: u8 = 8;
const MISMATCH: u8 = 9;
const WISHED_HANDOVER: u8 = 10;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the message ends too early")]
    Truncated,
    /// Something follows the body.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    /// A name that is empty or no text.
    #[error("a node's name is empty or no text")]
    Name,
    /// An address that no Service can have.
    #[error("an address that can't be one of a Service")]
    Address,
    /// A profile without beats or without misses.
    #[error("a profile with a beat, or a number of misses, of 0")]
    Profile,
    /// No such opinion.
    #[error("opinion {0} is none")]
    Opinion(u8),
}

/// Writes a message behind what is there.
pub(super) fn encode(envelope: &Envelope, bytes: &mut Vec<u8>) {
    let State { able, leaving, left, degraded, cut_off } = envelope.state;
    let flags = [
        (able, ABLE),
        (leaving, LEAVING),
        (left, LEFT),
        (degraded, DEGRADED),
        (cut_off, CUT_OFF),
        (envelope.beating, BEATING),
        (envelope.echo.is_some(), ECHO),
    ];
    bytes.push(flags.into_iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit));
    put_incarnation(envelope.incarnation, bytes);
    bytes.extend(envelope.sequence.to_be_bytes());
    if let Some(echo) = envelope.echo {
        bytes.extend(echo.life.0.to_be_bytes());
        bytes.extend(echo.sequence.to_be_bytes());
    }
    put_milliseconds(envelope.profile.beat, bytes);
    put_milliseconds(envelope.profile.confirm, bytes);
    bytes.push(u8::try_from(envelope.profile.misses).unwrap_or(u8::MAX));
    bytes.extend(envelope.digest.to_be_bytes());
    put_name(&envelope.from, bytes);
    put_body(&envelope.body, bytes);
}

fn put_body(body: &Body, bytes: &mut Vec<u8>) {
    match body {
        Body::Beat => bytes.push(BEAT),
        Body::Dead(obituaries) => put_list(DEAD, obituaries, put_obituary, bytes),
        Body::Gone(obituaries) => put_list(GONE, obituaries, put_obituary, bytes),
        Body::Starved(obituaries) => put_list(STARVED, obituaries, put_obituary, bytes),
        Body::Query(obituary) => {
            bytes.push(QUERY);
            put_obituary(obituary, bytes);
        }
        Body::Vote(obituary, opinion) => {
            bytes.push(VOTE);
            put_obituary(obituary, bytes);
            bytes.push(match opinion {
                Opinion::Heard => 0,
                Opinion::Answers => 1,
                Opinion::Silent => 2,
                Opinion::Unable => 3,
            });
        }
        Body::Claims { node, entries } => {
            bytes.push(CLAIMS);
            put_name(node, bytes);
            put_entries(entries, put_offer, bytes);
        }
        Body::Digests(digests) => {
            put_list(DIGESTS, digests, |digest, bytes| bytes.extend(digest.to_be_bytes()), bytes);
        }
        Body::Handover { elective: false, offers } => put_list(HANDOVER, offers, put_offer, bytes),
        Body::Handover { elective: true, offers } => put_list(WISHED_HANDOVER, offers, put_offer, bytes),
        Body::Mismatch(vips) => put_list(MISMATCH, vips, |vip, bytes| put_address(*vip, bytes), bytes),
    }
}

fn put_list<T>(kind: u8, entries: &[T], put: impl Fn(&T, &mut Vec<u8>), bytes: &mut Vec<u8>) {
    bytes.push(kind);
    put_entries(entries, put, bytes);
}

/// No list has more entries than fit into a datagram, so its length fits too.
fn put_entries<T>(entries: &[T], put: impl Fn(&T, &mut Vec<u8>), bytes: &mut Vec<u8>) {
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    bytes.extend(count.to_be_bytes());
    entries.iter().take(usize::from(count)).for_each(|entry| put(entry, bytes));
}

fn put_milliseconds(duration: Duration, bytes: &mut Vec<u8>) {
    bytes.extend(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_incarnation(incarnation: Incarnation, bytes: &mut Vec<u8>) {
    bytes.extend(incarnation.life.0.to_be_bytes());
    bytes.extend(incarnation.refutation.to_be_bytes());
}

/// Node names have at most 253 bytes (RFC 1123 subdomain).
fn put_name(name: &NodeName, bytes: &mut Vec<u8>) {
    let name = name.as_str().as_bytes();
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    bytes.push(length);
    bytes.extend(name.iter().take(usize::from(length)));
}

fn put_obituary(obituary: &Obituary, bytes: &mut Vec<u8>) {
    put_name(&obituary.node, bytes);
    put_incarnation(obituary.incarnation, bytes);
}

fn put_offer(offer: &Offer, bytes: &mut Vec<u8>) {
    put_address(offer.vip, bytes);
    bytes.extend(offer.epoch.to_be_bytes());
}

fn put_address(vip: Vip, bytes: &mut Vec<u8>) {
    match vip.address() {
        IpAddr::V4(v4) => {
            bytes.push(4);
            bytes.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.push(6);
            bytes.extend(v6.octets());
        }
    }
}

/// Reads a message.
pub(super) fn decode(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    let mut reader = Reader(bytes);
    let flags = reader.byte()?;
    let is_set = |bit| flags & bit != 0;
    let incarnation = reader.incarnation()?;
    let sequence = reader.long()?;
    let echo = if is_set(ECHO) { Some(Echo { life: Life(reader.long()?), sequence: reader.long()? }) } else { None };
    let (beat, confirm, misses) = (reader.milliseconds()?, reader.milliseconds()?, u32::from(reader.byte()?));
    if beat.is_zero() || misses == 0 {
        return Err(DecodeError::Profile);
    }
    let digest = reader.long()?;
    let from = reader.name()?;
    let body = reader.body()?;
    Ok(Envelope {
        from,
        incarnation,
        sequence,
        echo,
        beating: is_set(BEATING),
        state: State {
            able: is_set(ABLE),
            leaving: is_set(LEAVING),
            left: is_set(LEFT),
            degraded: is_set(DEGRADED),
            cut_off: is_set(CUT_OFF),
        },
        profile: Profile { beat, misses, confirm },
        digest,
        body,
    })
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn long(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_be_bytes)
    }

    fn milliseconds(&mut self) -> Result<Duration, DecodeError> {
        Ok(Duration::from_millis(u64::from(u32::from_be_bytes(self.take()?))))
    }

    fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        Ok(Incarnation { life: Life(self.long()?), refutation: u32::from_be_bytes(self.take()?) })
    }

    fn name(&mut self) -> Result<NodeName, DecodeError> {
        let length = usize::from(self.byte()?);
        let (name, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        match str::from_utf8(name) {
            Ok(name) if !name.is_empty() => Ok(NodeName::new(name)),
            _ => Err(DecodeError::Name),
        }
    }

    fn address(&mut self) -> Result<Vip, DecodeError> {
        let address = match self.byte()? {
            4 => IpAddr::from(self.take::<4>()?),
            6 => IpAddr::from(self.take::<16>()?),
            _ => return Err(DecodeError::Address),
        };
        Vip::new(address).map_err(|_| DecodeError::Address)
    }

    fn obituary(&mut self) -> Result<Obituary, DecodeError> {
        Ok(Obituary { node: self.name()?, incarnation: self.incarnation()? })
    }

    fn offer(&mut self) -> Result<Offer, DecodeError> {
        Ok(Offer { vip: self.address()?, epoch: self.long()? })
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        let count = u16::from_be_bytes(self.take()?);
        (0..count).map(|_| read(self)).collect()
    }

    fn body(&mut self) -> Result<Body, DecodeError> {
        let body = match self.byte()? {
            BEAT => Body::Beat,
            DEAD => Body::Dead(self.list(Self::obituary)?),
            GONE => Body::Gone(self.list(Self::obituary)?),
            STARVED => Body::Starved(self.list(Self::obituary)?),
            QUERY => Body::Query(self.obituary()?),
            VOTE => Body::Vote(self.obituary()?, self.opinion()?),
            CLAIMS => Body::Claims { node: self.name()?, entries: self.list(Self::offer)? },
            DIGESTS => Body::Digests(self.list(Self::long)?),
            HANDOVER => Body::Handover { elective: false, offers: self.list(Self::offer)? },
            WISHED_HANDOVER => Body::Handover { elective: true, offers: self.list(Self::offer)? },
            MISMATCH => Body::Mismatch(self.list(Self::address)?),
            _ => return Ok(Body::Beat),
        };
        if self.0.is_empty() { Ok(body) } else { Err(DecodeError::Trailing(self.0.len())) }
    }

    fn opinion(&mut self) -> Result<Opinion, DecodeError> {
        match self.byte()? {
            0 => Ok(Opinion::Heard),
            1 => Ok(Opinion::Answers),
            2 => Ok(Opinion::Silent),
            3 => Ok(Opinion::Unable),
            other => Err(DecodeError::Opinion(other)),
        }
    }
}
