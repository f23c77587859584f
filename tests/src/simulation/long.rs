//! Schedules of minutes and hours, for the soak.

use std::time::Duration;

use super::schedule::{Schedule, Trouble, WARM};

const MINUTE: Duration = Duration::from_mins(1);

/// Each with what it shows.
pub fn schedules() -> Vec<(&'static str, Schedule)> {
    let calm = || Schedule::calm(1, 3);
    let owner = calm().owner(0);
    let api_down = calm().with(Trouble::ApiDown, WARM, WARM + MINUTE * 11);
    let away = WARM + MINUTE * 10;
    let starved = |node| Trouble::Starvation(node);
    vec![
        ("an hour in which nothing happens", calm().lasting(MINUTE * 60)),
        ("1 % loss for an hour moves nothing", calm().with(Trouble::Loss(1), WARM, WARM + MINUTE * 60)),
        (
            "1 % loss for an hour moves nothing where beats are fast",
            calm().fast().with(Trouble::Loss(1), WARM, WARM + MINUTE * 60),
        ),
        ("1 % of a CPU for ten minutes moves nothing", calm().with(starved(owner), WARM, WARM + MINUTE * 10)),
        (
            "1 % of a CPU for ten minutes on all nodes moves nothing",
            (0..3).fold(calm(), |schedule, node| schedule.with(starved(node), WARM, WARM + MINUTE * 10)),
        ),
        (
            "a node that dies ten minutes after the API server is replaced as fast as ever",
            api_down.clone().with(Trouble::Power(owner), away, away + MINUTE / 2),
        ),
        (
            "a speaker that is started again ten minutes after the API server goes on where it was",
            api_down.with(Trouble::Kill(owner), away, away + MINUTE / 20),
        ),
        ("200 nodes for a minute", Schedule::calm(1, 200).with(Trouble::Power(owner), WARM, WARM + MINUTE)),
    ]
}

impl Schedule {
    /// At least so long.
    #[must_use]
    pub fn lasting(mut self, length: Duration) -> Self {
        self.length = self.length.max(length);
        self
    }

    /// With a beat every 50 ms.
    #[must_use]
    pub const fn fast(mut self) -> Self {
        self.profile = herald_core::liveness::Profile::FAST;
        self
    }
}
