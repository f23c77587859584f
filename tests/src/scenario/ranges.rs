//! Addresses for scenarios that play side by side in one lab: each gets some of the lab's pool addresses for itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use ipnet::Ipv6Net;

use crate::lab::addresses::{POOL_V4, POOL_V6};

/// Enough for most scenarios; the IPv4 pool of the lab has room for 50 of this size.
pub(super) const USUAL_SIZE: u32 = 3;

/// How many addresses have been handed out by this process, of each family.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Neighbouring addresses of both families, equally many of each.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    size: u32,
}

impl Range {
    /// Takes the next `size` addresses of each family, for good.
    ///
    /// # Errors
    /// None are left: a lab has 150.
    pub fn take(size: u32) -> Result<Self> {
        let (first, last) = POOL_V4.split_once('-').context("the lab's IPv4 pool is a range")?;
        let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse()?, last.parse()?);
        let offset = TAKEN.fetch_add(size, Ordering::Relaxed);
        let v4 = Ipv4Addr::from_bits(first.to_bits() + offset);
        ensure!(
            v4.to_bits() + size - 1 <= last.to_bits(),
            "the lab's pool {POOL_V4} has no {size} addresses left: {offset} are taken"
        );
        // The first address of the IPv6 network is the routers' anycast address.
        let network: Ipv6Net = POOL_V6.parse()?;
        let v6 = Ipv6Addr::from_bits(network.network().to_bits() + 1 + u128::from(offset));
        Ok(Self { v4, v6, size })
    }

    /// The addresses as an AddressPool names them: the IPv4 range, then the IPv6 range.
    pub fn addresses(&self) -> [String; 2] {
        let last = self.size - 1;
        [format!("{}-{}", self.v4, self.v4(last)), format!("{}-{}", self.v6, self.v6(last))]
    }

    /// The IPv4 address at a place, counted from 0.
    pub fn v4(&self, place: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.v4.to_bits() + place)
    }

    /// The IPv6 address at a place, counted from 0.
    pub fn v6(&self, place: u32) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.v6.to_bits() + u128::from(place))
    }

    /// Whether an address is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        (0..self.size).any(|place| address == self.v4(place) || address == self.v6(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ranges_have_no_address_in_common() {
        let (one, other) = (Range::take(2).unwrap(), Range::take(3).unwrap());
        for place in 0..2 {
            assert!(
                !other.contains(one.v4(place).into()) && !other.contains(one.v6(place).into()),
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn a_range_names_its_first_and_last_address() {
        let range = Range::take(2).unwrap();
        let named = format!("{}-{}", range.v4(0), range.v4(1));
        assert_eq!(range.addresses()[0], named);
    }
}
