//! How many frames a second leave an interface, and which go first.

use super::bucket::Bucket;
use std::time::{Duration, Instant};

/// A choice of rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// First announcements at 5,000 a second, probes before them as well, repeats at 200, directed requests to askers at 200.
    #[default]
    Default,
    /// Everything together, answers and probes included, at fewer than 10 a second: Dynamic ARP Inspection turns a switch port off
    /// that sends more than 15.
    Compat,
}

/// Why a frame is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Somebody asked.
    Answer,
    /// The first announcement of a VIP, to all and to the gateways: what a takeover waits for.
    First,
    /// The question before it whether somebody has the VIP.
    Probe,
    /// The later ones.
    Repeat,
    /// To hosts that asked lately.
    Directed,
}

/// One interface's buckets.
#[derive(Debug)]
pub(crate) enum Pace {
    Default { first: Bucket, probe: Bucket, repeat: Bucket, directed: Bucket },
    Compat(Bucket),
}

impl Pace {
    pub(crate) const fn new(pacing: Pacing) -> Self {
        match pacing {
            Pacing::Default => Self::Default {
                first: Bucket::new(Duration::from_micros(200), 50),
                probe: Bucket::new(Duration::from_micros(200), 50),
                // Routers police ARP for the whole box; 200 frames a second stay below what they commonly allow.
                repeat: Bucket::new(Duration::from_millis(5), 50),
                directed: Bucket::new(Duration::from_millis(5), 50),
            },
            // A little more than 100 ms apart and none at once, so that a frame delayed on its way out by as much as
            // 50 ms never makes eleven in a second.
            Pacing::Compat => Self::Compat(Bucket::new(Duration::from_millis(105), 1)),
        }
    }

    /// The bucket for answers to questions for one VIP: a flood for one leaves the others alone.
    pub(crate) const fn answers(pacing: Pacing) -> Bucket {
        match pacing {
            // Thousands of hosts whose neighbour tables age out at their own times stay far below it.
            Pacing::Default => Bucket::new(Duration::from_millis(1), 200),
            Pacing::Compat => Bucket::new(Duration::from_millis(500), 2),
        }
    }

    pub(crate) fn take(&mut self, class: Class, now: Instant) -> bool {
        self.bucket(class).is_none_or(|bucket| bucket.take(now))
    }

    pub(crate) fn ready_at(&self, class: Class, now: Instant) -> Instant {
        match (self, class) {
            (Self::Compat(bucket), _)
            | (Self::Default { first: bucket, .. }, Class::First)
            | (Self::Default { probe: bucket, .. }, Class::Probe)
            | (Self::Default { repeat: bucket, .. }, Class::Repeat)
            | (Self::Default { directed: bucket, .. }, Class::Directed) => bucket.ready_at(now),
            (Self::Default { .. }, Class::Answer) => now,
        }
    }

    fn bucket(&mut self, class: Class) -> Option<&mut Bucket> {
        match (self, class) {
            (Self::Compat(bucket), _)
            | (Self::Default { first: bucket, .. }, Class::First)
            | (Self::Default { probe: bucket, .. }, Class::Probe)
            | (Self::Default { repeat: bucket, .. }, Class::Repeat)
            | (Self::Default { directed: bucket, .. }, Class::Directed) => Some(bucket),
            (Self::Default { .. }, Class::Answer) => None,
        }
    }
}
