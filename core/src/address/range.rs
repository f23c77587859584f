//! Ranges of addresses: how people write them, and what can be asked of them without listing their addresses.

use super::{Family, Vip};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses from the first to the last, both included, of one family. Each of them can be a [`Vip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    family: Family,
    first: u128,
    last: u128,
}

/// Why a text is no range that a pool can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// None of the three forms.
    #[error("{text:?} is not a CIDR (192.0.2.0/24), range (192.0.2.10-192.0.2.20) or address (192.0.2.10)")]
    Garbage {
        /// What was written.
        text: String,
    },
    /// An address inside the network where the network's own should stand.
    #[error("{text} has host bits set: write {network} for the whole network or {address} for the one address")]
    HostBits {
        /// What was written.
        text: String,
        /// The network it lies in.
        network: IpNet,
        /// The address that was written.
        address: IpAddr,
    },
    /// Ends of different families.
    #[error("{first}-{last} mixes IPv4 and IPv6: write one range for each family")]
    MixedFamilies {
        /// As written.
        first: IpAddr,
        /// As written.
        last: IpAddr,
    },
    /// The higher end first.
    #[error("{first}-{last} runs backwards: write {last}-{first}")]
    Backwards {
        /// As written.
        first: IpAddr,
        /// As written.
        last: IpAddr,
    },
    /// Holds addresses that no Service can have.
    #[error("{range} holds {what}, which no Service can have: leave them out")]
    Unusable {
        /// The range as a whole.
        range: AddressRange,
        /// What it holds.
        what: &'static str,
    },
}

impl AddressRange {
    /// Takes all addresses from the first to the last.
    ///
    /// # Errors
    /// Ends of different families or in the wrong order, and ranges that hold an address [`Vip::new`] refuses.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        let family = Family::of(first);
        if family != Family::of(last) {
            return Err(RangeError::MixedFamilies { first, last });
        }
        let range = Self { family, first: bits(first), last: bits(last) };
        if range.first > range.last {
            return Err(RangeError::Backwards { first, last });
        }
        match UNUSABLE.iter().find(|(unusable, _)| range.overlaps(unusable)) {
            Some(&(_, what)) => Err(RangeError::Unusable { range, what }),
            None => Ok(range),
        }
    }

    /// The family of its addresses.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Its lowest address.
    pub fn first(&self) -> Vip {
        self.vip(self.first)
    }

    /// Its highest address.
    pub fn last(&self) -> Vip {
        self.vip(self.last)
    }

    /// Whether it holds the address.
    pub fn contains(&self, vip: Vip) -> bool {
        self.family == vip.family() && (self.first..=self.last).contains(&bits(vip.address()))
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family == other.family && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses it holds; ends at `u64::MAX`.
    pub fn size(&self) -> u64 {
        let size = self.last.saturating_sub(self.first).saturating_add(1);
        u64::try_from(size).unwrap_or(u64::MAX)
    }

    /// Its addresses that are not lower than the given one, in order.
    pub fn addresses_from(self, lowest: Vip) -> impl Iterator<Item = Vip> {
        let start = if lowest.family() == self.family { bits(lowest.address()).max(self.first) } else { self.first };
        (start..=self.last).map(move |address| self.vip(address))
    }

    /// The addresses the two have in common.
    pub fn common(&self, other: &Self) -> Option<Self> {
        let common = Self { first: self.first.max(other.first), last: self.last.min(other.last), ..*self };
        self.overlaps(other).then_some(common)
    }

    /// What is left of it without the other: nothing, one range or two, in order.
    pub fn without(&self, other: &Self) -> impl Iterator<Item = Self> + use<> {
        let part = |first, last| Self { first, last, ..*self };
        let (below, above) = if self.overlaps(other) {
            let below = (self.first < other.first).then(|| part(self.first, other.first.saturating_sub(1)));
            let above = (other.last < self.last).then(|| part(other.last.saturating_add(1), self.last));
            (below, above)
        } else {
            (Some(*self), None)
        };
        below.into_iter().chain(above)
    }

    fn vip(&self, bits: u128) -> Vip {
        Vip(match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX))),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        })
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let garbage = || RangeError::Garbage { text: text.to_owned() };
        if let Some((first, last)) = text.split_once('-') {
            return Self::new(first.parse().map_err(|_| garbage())?, last.parse().map_err(|_| garbage())?);
        }
        if !text.contains('/') {
            let address = text.parse().map_err(|_| garbage())?;
            return Self::new(address, address);
        }
        let net: IpNet = text.parse().map_err(|_| garbage())?;
        if net.addr() == net.network() {
            Self::new(net.network(), net.broadcast())
        } else {
            Err(RangeError::HostBits { text: text.to_owned(), network: net.trunc(), address: net.addr() })
        }
    }
}

impl fmt::Display for AddressRange {
    /// As people write it: an address, a CIDR where there is one, else both ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first(), self.last());
        let host_bits = 128_u32.saturating_sub((self.first ^ self.last).leading_zeros());
        let host_mask = (1_u128 << host_bits.min(127)).wrapping_sub(1);
        let width: u32 = if self.family == Family::V4 { 32 } else { 128 };
        if self.first == self.last {
            write!(f, "{first}")
        } else if self.first & host_mask == 0 && self.last & host_mask == host_mask {
            write!(f, "{first}/{}", width.saturating_sub(host_bits))
        } else {
            write!(f, "{first}-{last}")
        }
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// All addresses that [`Vip::new`] refuses.
const UNUSABLE: [(AddressRange, &str); 10] = {
    const fn v4(first: u32, last: u32) -> AddressRange {
        AddressRange { family: Family::V4, first: first as u128, last: last as u128 }
    }
    const fn v6(first: u128, last: u128) -> AddressRange {
        AddressRange { family: Family::V6, first, last }
    }
    [
        (v4(0, 0), "the unspecified address"),
        (v4(0x7f00_0000, 0x7fff_ffff), "loopback addresses"),
        (v4(0xa9fe_0000, 0xa9fe_ffff), "link-local addresses"),
        (v4(0xe000_0000, 0xefff_ffff), "multicast addresses"),
        (v4(0xffff_ffff, 0xffff_ffff), "the broadcast address"),
        (v6(0, 0), "the unspecified address"),
        (v6(1, 1), "the loopback address"),
        (v6(0xffff_0000_0000, 0xffff_ffff_ffff), "IPv4-mapped addresses"),
        (v6(0xfe80 << 112, (0xfec0 << 112) - 1), "link-local addresses"),
        (v6(0xff00 << 112, u128::MAX), "multicast addresses"),
    ]
};
