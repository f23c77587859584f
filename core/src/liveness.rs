//! Which of the other nodes are alive, judged on the segment where their addresses are announced.
//!
//! Owns what speakers say to each other ([`message`]), how fast silence is noticed ([`profile`]), and the [`Detector`] that
//! speaks, listens and judges. Says nothing about who owns an address: that is [`crate::ownership`].
//!
//! | what | module |
//! |---|---|
//! | inputs, timers, beats | `detector` |
//! | who exchanges beats with whom | `ring` |
//! | what is known of a peer, which message counts | `record`, `replay` |
//! | signs of life, verdicts of others, refutation | `hearing` |
//! | suspicion, questions, verdicts | `inquest` |
//! | own lateness, being cut off | `isolation`, `gateway` |

mod detector;
mod gateway;
mod hearing;
mod inquest;
mod isolation;
pub mod message;
pub mod profile;
mod record;
mod replay;
mod ring;
mod standing;
#[cfg(test)]
mod tests;

pub use detector::Detector;
pub use message::{Body, Claim, Echo, Envelope, Incarnation, Life, Obituary, Offer, Opinion, State};
pub use profile::Profile;
pub use standing::{Counts, Effect, Gateway, Inquiry, Peer, Standing, Witness};
