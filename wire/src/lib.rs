//! What Herald puts on the wire and into the kernel: codecs for Ethernet, ARP, NDP and heartbeats, classic-BPF packet filters
//! and nf_tables batches. It decides nothing.
//!
//! | what | module |
//! |---|---|
//! | Ethernet addresses and lengths, why a frame is refused | [`ethernet`] |
//! | IPv4 address resolution (RFC 826) | [`arp`] |
//! | IPv6 neighbour discovery (RFC 4861) | [`ndp`] |
//! | echo requests and replies (RFC 792, RFC 4443) | [`icmp`] |
//! | which frames the kernel hands to the socket | [`filter`] |
//! | what speakers tell each other, sealed | [`heartbeat`] |
//! | firewall tables, as batches of changes and as what the kernel reports | [`nft`] |

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::panic,
        clippy::expect_used
    )
)]

pub mod arp;
pub mod ethernet;
pub mod filter;
pub mod heartbeat;
pub mod icmp;
pub mod ndp;
pub mod nft;
