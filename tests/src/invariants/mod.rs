//! What must be true of who announces an address, whatever happens: one judge for the simulation and for frames captured
//! in the lab.
//!
//! Owns the rules and the form in which a run is put before them ([`Record`]). Knows neither how frames were captured nor
//! who sent them: only what the wire and the clients saw, which faults there were, and which moves were called for.
//!
//! | rule | file |
//! |---|---|
//! | I1 one announcer, I2 soon after a heal too | `announcers` |
//! | I3 how long a client goes without an answer | `answers` |
//! | I4 clients' neighbour tables end on the owner | `entries` |
//! | I5 few elective moves, I6 no move without a reason, and none back | `moves` |

mod record;

pub use record::{ANYTHING, Client, Fault, Limits, Plan, Record, Sighting, Way, What};
