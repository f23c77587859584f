//! External addresses and the ranges a pool is made of.
//!
//! Owns the text forms people write and the canonical form Herald uses; knows nothing of who has which address.

mod range;

pub use range::{AddressRange, RangeError};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address family. IPv4 sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// An external address: unicast and canonical (an IPv4-mapped IPv6 address is never one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IpAddr", into = "IpAddr")]
pub struct Vip(IpAddr);

impl Vip {
    /// Takes an address as a VIP.
    ///
    /// # Errors
    /// IPv4-mapped IPv6, unspecified, loopback, multicast, broadcast and link-local addresses.
    pub fn new(address: IpAddr) -> Result<Self, VipError> {
        let refuse = |kind| Err(VipError { address, kind });
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => refuse("an IPv4-mapped address"),
            _ if address.is_unspecified() => refuse("the unspecified address"),
            _ if address.is_loopback() => refuse("a loopback address"),
            _ if address.is_multicast() => refuse("a multicast address"),
            IpAddr::V4(Ipv4Addr::BROADCAST) => refuse("the broadcast address"),
            IpAddr::V4(v4) if v4.is_link_local() => refuse("a link-local address"),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => refuse("a link-local address"),
            _ => Ok(Self(address)),
        }
    }

    /// The address.
    pub const fn address(self) -> IpAddr {
        self.0
    }

    /// The address's family.
    pub const fn family(self) -> Family {
        Family::of(self.0)
    }

    /// The name of this address's `VirtualIP` object: IPv4 dotted (`192.0.2.10`), IPv6 fully written with dashes
    /// (`2001-0db8-0000-0000-0000-0000-0000-0010`), since a name must not hold a colon and must be unique.
    pub fn object_name(self) -> String {
        match self.0 {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => v6.segments().map(|segment| format!("{segment:04x}")).join("-"),
        }
    }

    /// Reads [`Vip::object_name`] back; `None` for any other text, an equivalent spelling included.
    pub fn from_object_name(name: &str) -> Option<Self> {
        let address = match name.parse::<Ipv4Addr>() {
            Ok(v4) => IpAddr::V4(v4),
            Err(_) => IpAddr::V6(name.replace('-', ":").parse::<Ipv6Addr>().ok()?),
        };
        Self::new(address).ok().filter(|vip| vip.object_name() == name)
    }
}

impl TryFrom<IpAddr> for Vip {
    type Error = VipError;

    fn try_from(address: IpAddr) -> Result<Self, VipError> {
        Self::new(address)
    }
}

impl From<Vip> for IpAddr {
    fn from(vip: Vip) -> Self {
        vip.0
    }
}

impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address that can't be given to a Service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, which no Service can have")]
pub struct VipError {
    address: IpAddr,
    kind: &'static str,
}

#[cfg(test)]
mod tests;
