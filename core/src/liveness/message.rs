//! What speakers say to each other, as values. How they look on the wire, and how they are sealed, is the codec's affair.

use super::Profile;
use crate::address::Vip;
use crate::names::NodeName;

/// One run of a speaker's process: a number other than 0 drawn at random when it starts. Lives have no order; which of two is the
/// present one shows in who echoes what was said just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(pub u64);

/// What a verdict is about: a later one, or another life, is not touched by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// The run of the process.
    pub life: Life,
    /// How often it has refuted that it is dead.
    pub refutation: u32,
}

impl Incarnation {
    /// Stands for a node that the speaker has never heard. No life has this number.
    pub const UNHEARD: Self = Self { life: Life(0), refutation: 0 };
}

/// The last thing that the sender has heard from the receiver. It proves that what carries it was said after that, and that
/// the way back works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    /// The receiver's life.
    pub life: Life,
    /// The sequence number of its message.
    pub sequence: u64,
}

/// What the sender says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one bit each on the wire")]
pub struct State {
    /// It can serve: its ledger is read, its sockets are open, its rules are in the kernel, kube-proxy is well.
    pub able: bool,
    /// It gives its addresses away.
    pub leaving: bool,
    /// It has nothing left and ends: nobody needs to wait for it.
    pub left: bool,
    /// It was late itself, and judges nobody for a while.
    pub degraded: bool,
    /// It hears neither most of the others nor the gateway on this segment, and announces nothing there.
    pub cut_off: bool,
}

/// A message. Whatever it carries, it is a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who says it.
    pub from: NodeName,
    /// In which life, after how many refutations.
    pub incarnation: Incarnation,
    /// Counts the messages of this life to this receiver on this segment, from 1.
    pub sequence: u64,
    /// What was heard last from the receiver.
    pub echo: Option<Echo>,
    /// Whether the sender sends beats to the receiver, so that their absence means something.
    pub beating: bool,
    /// The sender's state.
    pub state: State,
    /// How fast the sender notices silence.
    pub profile: Profile,
    /// Of all claims that the sender knows.
    pub digest: u64,
    /// What else it says.
    pub body: Body,
}

/// What a message carries besides the sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Beat,
    /// These nodes are dead: others agree, or the gateway's answer bears it out. At most [`Body::MOST_NODES`].
    Dead(Vec<Obituary>),
    /// These nodes' speakers have ended: their kernels refuse beats. At most [`Body::MOST_NODES`].
    Gone(Vec<Obituary>),
    /// These nodes' speakers have been silent for [`Standing::STARVATION`](super::Standing::STARVATION), but their kernels
    /// answer. At most [`Body::MOST_NODES`].
    Starved(Vec<Obituary>),
    /// Is this node alive? See for yourself and tell me.
    Query(Obituary),
    /// The answer.
    Vote(Obituary, Opinion),
    /// Claims of one node, the sender's or another's. At most [`Body::MOST`].
    Claims {
        /// Whose.
        node: NodeName,
        /// The addresses with their epochs.
        entries: Vec<Offer>,
    },
    /// Of all claims that the sender knows, by bucket: those that differ from the receiver's are to be sent.
    Digests(Vec<u64>),
    /// The receiver shall take these addresses, claimed by the sender with these epochs.
    Handover {
        /// Because somebody wishes it there; the sender could keep them.
        elective: bool,
        /// At most [`Body::MOST`].
        offers: Vec<Offer>,
    },
    /// The wire gave another MAC address for these than that of the receiver, who claims them: announce again.
    Mismatch(Vec<Vip>),
}

impl Body {
    /// The most addresses in one message, so that it fits into a frame also with the longest names.
    pub const MOST: usize = 32;

    /// The most nodes in one message, so that it fits into a frame also with the longest names.
    pub const MOST_NODES: usize = 4;
}

/// A node in one incarnation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Obituary {
    /// The node.
    pub node: NodeName,
    /// Its incarnation; the verdict says nothing about a later one.
    pub incarnation: Incarnation,
}

/// What an observer makes of a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opinion {
    /// Its speaker was heard just now.
    Heard,
    /// Its kernel answers.
    Answers,
    /// Nothing comes from it.
    Silent,
    /// I can't tell: I am late myself, or cut off.
    Unable,
}

/// An address with the epoch of its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer {
    /// The address.
    pub vip: Vip,
    /// The epoch.
    pub epoch: u64,
}

/// "This address is that node's." Of two the higher epoch is right, and with equal epochs the higher
/// [`crate::ownership::score`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Grows with every takeover, handover and deliberate move.
    pub epoch: u64,
    /// Who claims it.
    pub node: NodeName,
}
