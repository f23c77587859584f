//! Many speakers in virtual time: the real state machine of each, with the real codecs between them, on a segment and under an
//! API server that can be broken in every way that a seed comes to think of.
//!
//! Owns the network, the kernels as far as the wire shows them, the clients, the API server's part, and the choice of troubles.
//! What must hold in spite of them is judged by [`crate::invariants`].
//!
//! | what | file |
//! |---|---|
//! | the cluster, its troubles, random ones | `schedule` |
//! | virtual time and everybody's turn | `world`, `acts`, `clock`, `chance` |
//! | a node: kernel and process | `node` |
//! | the segment and what travels on it | `switch`, `packet`, `frames`, `sealing`, `addresses` |
//! | clients, gateway, newcomer, stranger | `clients`, `neighbours` |
//! | the API server | `management` |
//! | what a trouble excuses | `excuses` |
//! | bugs that the judge must find | `tampering` |
//! | the shortest schedule that still fails | `shrink` |
//! | what happened, for people | `trace`, `story` |
//! | schedules of minutes and hours | [`long`] |

mod acts;
mod addresses;
mod chance;
mod clients;
mod clock;
mod excuses;
mod frames;
pub mod long;
mod management;
mod neighbours;
mod node;
mod packet;
mod schedule;
mod sealing;
mod shrink;
mod story;
mod switch;
mod tampering;
mod trace;
mod world;

pub use schedule::{Act, CALM, Schedule, Trouble, WARM};
pub use shrink::shrink;
pub use tampering::Bug;
pub use trace::Trace;

use crate::invariants::{Limits, Record, Violation};
use addresses::{Kind, mac, node_name};
use tampering::Tampering;
use world::World;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the judge found.
    pub violations: Vec<Violation>,
    /// What the judge was told.
    pub record: Record,
    /// What happened, if it was to be kept.
    pub trace: Trace,
}

impl Schedule {
    /// Plays the schedule, with all members as they are.
    pub fn play(&self) -> Outcome {
        self.play_with(None, Trace::off())
    }

    /// Whether a promise is broken in it.
    pub fn fails(&self) -> bool {
        !self.play().violations.is_empty()
    }

    /// Plays it, perhaps with a bug in all members.
    pub fn play_with(&self, bug: Option<Bug>, trace: Trace) -> Outcome {
        let mut world = World::new(self, Tampering::new(bug), trace);
        world.run();
        let members = (0..self.nodes).map(|node| (mac(Kind::Node, node), node_name(node).to_string()));
        let record = Record {
            members: members.collect(),
            sightings: world.sightings,
            faults: excuses::faults(self),
            plans: excuses::plans(self),
            end: self.length,
            limits: Limits::default(),
        };
        Outcome { violations: record.violations(), record, trace: world.trace }
    }
}
