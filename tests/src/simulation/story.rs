//! What a run looks like from outside: who announced a VIP one after the other, and how long clients waited.

use std::time::Duration;

use herald_core::mac::MacAddr;

use super::addresses::{self, Kind, node_name};
use super::{Outcome, Schedule};
use crate::invariants::{Way, What};

impl Outcome {
    /// The nodes that announced a VIP to all, in order, each as often as it began.
    pub fn announcers(&self, schedule: &Schedule, vip: usize) -> Vec<String> {
        let name = |mac: MacAddr| {
            let node = (0..schedule.nodes).find(|node| addresses::mac(Kind::Node, *node) == mac)?;
            Some(node_name(node).to_string())
        };
        let vip = addresses::vip(vip);
        let told = self.record.sightings.iter().filter_map(|sighting| match sighting.what {
            What::Assertion { mac, to_all: true } if sighting.vip == vip => name(mac),
            _ => None,
        });
        let mut announcers: Vec<String> = told.collect();
        announcers.dedup();
        announcers
    }

    /// The longest time between two answers to whoever asks for a VIP in one way, after the first answer and until the last.
    pub fn longest_gap(&self, vip: usize, way: Way) -> Duration {
        let vip = addresses::vip(vip);
        let mut longest = Duration::ZERO;
        for number in 0..3 {
            let answers = self.record.sightings.iter().filter_map(|sighting| match sighting.what {
                What::Attempt { client, way: asked, answered: true } if (client.0, asked) == (number, way) => {
                    (sighting.vip == vip).then_some(sighting.at)
                }
                _ => None,
            });
            let answers: Vec<Duration> = answers.collect();
            let gaps = answers.iter().zip(answers.iter().skip(1)).map(|(before, after)| after.saturating_sub(*before));
            longest = longest.max(gaps.max().unwrap_or_default());
        }
        longest
    }
}
