//! Which of the other nodes are alive, judged on the segment where their addresses are announced.
//!
//! Owns what speakers say to each other ([`message`]) and how fast silence is noticed ([`profile`]). Says nothing about
//! who owns an address: that is [`crate::ownership`].

pub mod message;
pub mod profile;
pub mod standing;

pub use message::{Body, Claim, Echo, Envelope, Incarnation, Life, Obituary, Offer, Opinion, State};
pub use profile::Profile;
pub use standing::{Counts, Gateway, Inquiry, Peer, Standing, Witness};
