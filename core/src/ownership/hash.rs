//! Rendezvous hashing: every node computes the same score of (address, node) and the highest wins, so that a node
//! that comes or goes changes nothing but its own addresses.
//!
//! Written out instead of taken from the standard library, because speakers of different versions and platforms
//! must agree: FNV-1a over the bytes, then a 64-bit finaliser, since FNV alone hardly spreads its last byte and node
//! names differ in just that.

use crate::address::Vip;
use crate::names::NodeName;
use std::net::IpAddr;

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The weight of a node for an address.
pub fn score(vip: Vip, node: &NodeName) -> u64 {
    let address = match vip.address() {
        IpAddr::V4(v4) => fnv1a(OFFSET_BASIS, &v4.octets()),
        IpAddr::V6(v6) => fnv1a(OFFSET_BASIS, &v6.octets()),
    };
    finalise(fnv1a(address, node.as_str().as_bytes()))
}

/// The place of a node on a ring of nodes.
pub(crate) fn position(node: &NodeName) -> u64 {
    finalise(fnv1a(OFFSET_BASIS, node.as_str().as_bytes()))
}

/// A hash with a number mixed in.
pub(crate) const fn mingle(hash: u64, number: u64) -> u64 {
    finalise(hash ^ finalise(number.wrapping_add(OFFSET_BASIS)))
}

fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The finaliser of MurmurHash3: every bit of the input reaches every bit of the output.
const fn finalise(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_hashed_as_fnv_1a_publishes_it() {
        assert_eq!(fnv1a(OFFSET_BASIS, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(OFFSET_BASIS, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(OFFSET_BASIS, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_score_of_an_address_and_a_node_never_changes_between_versions() {
        let score =
            |address: &str, node: &str| score(Vip::new(address.parse().unwrap()).unwrap(), &NodeName::new(node));
        assert_eq!(score("192.0.2.10", "node-1"), 0xe877_4abe_7943_4627);
        assert_eq!(score("192.0.2.10", "node-2"), 0xc071_3001_73ed_3cfd);
        assert_eq!(score("2001:db8::10", "node-1"), 0x5173_95d2_7b18_bb5b);
    }

    #[test]
    fn addresses_spread_evenly_over_nodes_whose_names_differ_in_one_digit() {
        let nodes: Vec<_> = (1..=4).map(|n| NodeName::new(format!("node-{n}"))).collect();
        let mut counts = [0_u32; 4];
        for last in 0..=255_u8 {
            for third in 0..4_u8 {
                let vip = Vip::new(IpAddr::from([192, 0, third, last])).unwrap();
                let best = (0..4).max_by_key(|n| score(vip, &nodes[*n])).unwrap();
                counts[best] += 1;
            }
        }
        assert!(counts.iter().all(|count| (200..=312).contains(count)), "1,024 addresses fell as {counts:?}");
    }
}
