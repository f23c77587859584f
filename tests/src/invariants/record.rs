//! A run as the judge sees it. All times are counted from the run's start.

use std::collections::BTreeMap;
use std::time::Duration;

use herald_core::address::Vip;
use herald_core::mac::MacAddr;

/// No limit: for a fault that stays, and for what one may do to clients that it cuts off themselves.
pub const ANYTHING: Duration = Duration::MAX;

/// What was seen and done in one run on one segment.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The members' Ethernet addresses on the segment, with names for the report. Others are strangers: what they assert
    /// is nobody's fault.
    pub members: BTreeMap<MacAddr, String>,
    /// What the wire and the clients saw, in any order.
    pub sightings: Vec<Sighting>,
    /// What was broken.
    pub faults: Vec<Fault>,
    /// The moves that were called for.
    pub plans: Vec<Plan>,
    /// The run's end.
    pub end: Duration,
    /// What is allowed.
    pub limits: Limits,
}

/// One thing seen about one VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When: of a frame, when it entered the switch.
    pub at: Duration,
    /// Which VIP.
    pub vip: Vip,
    /// What.
    pub what: What,
}

/// What is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A frame says that the VIP is at a MAC address: an ARP reply, an ARP request whose sender the VIP is (gratuitous,
    /// directed), a neighbour advertisement for it, a solicitation from it.
    Assertion {
        /// The MAC address.
        mac: MacAddr,
        /// It was said to all: gratuitous request or reply, advertisement to all nodes.
        to_all: bool,
    },
    /// A client asked at this moment.
    Attempt {
        /// Which client.
        client: Client,
        /// In which way.
        way: Way,
        /// Whether it got what it asked for.
        answered: bool,
    },
    /// From now on a client's neighbour table says this of the VIP.
    Entry {
        /// Which client.
        client: Client,
        /// The MAC address; `None`: the entry is gone or unresolved.
        mac: Option<MacAddr>,
    },
}

/// A client, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(pub u32);

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// As one that has never heard of the VIP: it asks the wire who has it.
    Newcomer,
    /// With the neighbour table it has: a connection, or a packet that is answered by whoever forwards it.
    Traffic,
}

/// Something broken on purpose, and what it excuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For the report: "power loss of node-1".
    pub name: String,
    /// From when.
    pub from: Duration,
    /// Until when; [`ANYTHING`] if it stays.
    pub until: Duration,
    /// Whose VIPs may move because of it: this member's. `None` together with `moves`: anybody's.
    pub victim: Option<MacAddr>,
    /// Whether VIPs may move because of it.
    pub moves: bool,
    /// Whether members may fail to hear each other, so that two may announce until it is over.
    pub splits: bool,
    /// How long newcomers may be without an answer because of it.
    pub silence: Duration,
    /// How long clients' traffic may be without an answer because of it.
    pub outage: Duration,
}

/// A move that was called for: a drain, an exclusion, a pinned move, a termination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Since when.
    pub at: Duration,
    /// The last moment at which a move counts as this one.
    pub until: Duration,
    /// Which VIP; `None`: all that the member announces.
    pub vip: Option<Vip>,
    /// Away from whom; `None`: whoever announces it.
    pub from: Option<MacAddr>,
    /// To whom; `None`: whoever can.
    pub to: Option<MacAddr>,
    /// Nobody would suffer if it didn't happen (rebalancing, a pinned move): there may be few of these only.
    pub elective: bool,
}

/// What is allowed. The default is what Herald promises; a judge of captured frames adds what its own clock and machine blur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After the first frame of a new owner, the old one asserts nothing later than this, in a planned move.
    pub planned_overlap: Duration,
    /// The same in any other.
    pub overlap: Duration,
    /// So long after the end of a fault that split the members, two may still announce.
    pub settle: Duration,
    /// So soon after such an end there is one announcer.
    pub heal: Duration,
    /// How long a client may go without an answer when nothing is broken.
    pub answer: Duration,
    /// How long a client may wait for its first answer.
    pub first_answer: Duration,
    /// So soon after the last announcement clients' neighbour tables are right.
    pub learn: Duration,
    /// So many elective moves of one VIP ...
    pub moves: usize,
    /// ... within this time.
    pub moves_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            planned_overlap: Duration::from_millis(20),
            overlap: Duration::from_millis(100),
            settle: Duration::from_secs(1),
            heal: Duration::from_millis(300),
            answer: Duration::from_millis(100),
            first_answer: Duration::from_secs(2),
            learn: Duration::from_millis(50),
            moves: 3,
            moves_within: Duration::from_mins(3),
        }
    }
}

impl Fault {
    /// Whether it was there, or so short a time over that it may still show, at any moment between the two.
    pub(super) fn touches(&self, from: Duration, to: Duration, settle: Duration) -> bool {
        self.from <= to && from <= self.until.saturating_add(settle)
    }
}

impl Record {
    /// A member's name, or the address of a stranger.
    pub(super) fn name(&self, mac: MacAddr) -> String {
        self.members.get(&mac).cloned().unwrap_or_else(|| mac.to_string())
    }

    /// Whether members may have failed to hear each other at any moment between the two.
    pub(super) fn is_split(&self, from: Duration, to: Duration, settle: Duration) -> bool {
        self.faults.iter().any(|fault| fault.splits && fault.touches(from, to, settle))
    }
}
