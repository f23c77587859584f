//! Nodes, speakers and wires that fail under an address that clients use, in a real cluster. Every scenario says what its
//! clients may notice; frames of the switch, clients' answers and neighbour tables go before the judge that the simulation
//! has too ([`herald_tests::invariants`]). One lab, mended after each.

#[path = "failover/conflicts.rs"]
mod conflicts;
#[path = "failover/deaths.rs"]
mod deaths;
#[path = "failover/many.rs"]
mod many;
#[path = "failover/moves.rs"]
mod moves;
#[path = "failover/scene.rs"]
mod scene;
#[path = "failover/speakers.rs"]
mod speakers;
#[path = "failover/wires.rs"]
mod wires;

use std::time::Duration;

use herald_tests::lab::{Options, SharedLab};

static LAB: SharedLab = SharedLab::new(|| Options::named("failover"));

/// How long clients may go without an answer when the announcer dies: the bound of the profile `balanced`.
const TAKEOVER: Duration = Duration::from_secs(1);

/// The same for who has never heard of the address, when only the speaker has died: its kernel refuses beats, and that is
/// noticed at once.
const REFUSED: Duration = Duration::from_millis(300);

/// The same when a speaker starves or has been stopped, while its kernel goes on.
const STARVED: Duration = Duration::from_millis(3500);
