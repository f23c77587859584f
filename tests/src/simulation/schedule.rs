//! What happens in a run, written down before it starts: the cluster, and what is done to it when.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use herald_core::liveness::Profile;
use herald_core::ownership::score;

use super::addresses::{node_name, vip};
use super::chance::Chance;

/// A cluster and its troubles. The seed settles everything else: delays, losses, jitter.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Of all random numbers.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many VIPs, IPv4 and IPv6 in turn.
    pub vips: usize,
    /// Whether the segment has a gateway, and the nodes know it.
    pub gateway: bool,
    /// Whether the ledger says at the start who has which VIP, as after a failure of power for all; else nobody ever had one.
    pub recorded: bool,
    /// How fast silence is noticed.
    pub profile: Profile,
    /// When the run ends.
    pub length: Duration,
    /// What is done, in any order.
    pub acts: Vec<Act>,
}

/// Something done to the cluster for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// What.
    pub trouble: Trouble,
    /// From when.
    pub from: Duration,
    /// Until when; what can't be undone happens at `from` alone.
    pub until: Duration,
}

/// What can be done to a cluster. Nodes and VIPs are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A node loses power; at the end it boots.
    Power(usize),
    /// A node's cable is pulled: it loses its carrier.
    Cable(usize),
    /// The switch forgets a node's port: nothing gets through, but the node has its carrier.
    Isolation(usize),
    /// A node's frames are lost; it hears everything.
    Mute(usize),
    /// A node hears nothing; its frames get out.
    Deaf(usize),
    /// What one node sends to another is lost.
    OneWay(usize, usize),
    /// The nodes whose bit is set, and the rest with all clients, don't reach each other.
    Partition(u64),
    /// So many of a hundred frames are lost.
    Loss(u32),
    /// Every frame takes up to so many milliseconds longer, so that later ones overtake it.
    Delay(u64),
    /// So many of a hundred frames arrive twice.
    Duplication(u32),
    /// A speaker is killed; at the end it is started again, knowing nothing.
    Kill(usize),
    /// A speaker is stopped (SIGSTOP) and goes on at the end.
    Stop(usize),
    /// A speaker gets 1 % of a CPU: a millisecond of every 100.
    Starvation(usize),
    /// The API server answers nobody.
    ApiDown,
    /// The API server doesn't answer one node.
    ApiCut(usize),
    /// A host that is no member answers for a VIP.
    Stranger(usize),
    /// A node gives its VIPs away (label, cordon, taint); at the end it may take some again.
    Drain(usize),
    /// A speaker is asked to end (SIGTERM); at the end it is started again, at the earliest when it has ended.
    Termination(usize),
    /// Somebody moves a VIP to a node.
    Pin(usize, usize),
    /// A node's kube-proxy is not well.
    Unwell(usize),
    /// The gateway answers nobody.
    GatewayDown,
    /// A VIP is deleted; at the end it is there again, with nothing known of before.
    Deletion(usize),
}

impl Trouble {
    /// The node that it strikes, if it is one.
    pub const fn victim(self) -> Option<usize> {
        match self {
            Self::Power(node)
            | Self::Cable(node)
            | Self::Isolation(node)
            | Self::Mute(node)
            | Self::Deaf(node)
            | Self::Kill(node)
            | Self::Stop(node)
            | Self::Starvation(node)
            | Self::ApiCut(node)
            | Self::Drain(node)
            | Self::Termination(node)
            | Self::Unwell(node) => Some(node),
            _ => None,
        }
    }
}

impl Trouble {
    /// How many VIPs there must be for it.
    pub(super) const fn needs_vips(self) -> usize {
        match self {
            Self::Stranger(vip) | Self::Pin(vip, _) | Self::Deletion(vip) => vip + 1,
            _ => 1,
        }
    }

    /// How many nodes there must be for it.
    pub(super) const fn needs_nodes(self) -> usize {
        match self {
            Self::OneWay(from, to) => {
                if from > to {
                    from + 1
                } else {
                    to + 1
                }
            }
            Self::Pin(_, node) => node + 1,
            Self::Partition(side) => 64 - side.leading_zeros() as usize,
            _ => match self.victim() {
                Some(node) => node + 1,
                None => 2,
            },
        }
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Before it nothing is done: the cluster starts.
pub const WARM: Duration = ms(2500);
/// After the last act so long nothing is done: the cluster settles.
pub const CALM: Duration = ms(5000);

impl Schedule {
    /// A cluster to which nothing is done.
    pub fn calm(seed: u64, nodes: usize) -> Self {
        Self {
            seed,
            nodes,
            vips: 2,
            gateway: true,
            recorded: true,
            profile: Profile::BALANCED,
            length: WARM + CALM,
            acts: Vec::new(),
        }
    }

    /// Who has a VIP at the start: the node whose turn it is when all are well.
    pub fn owner(&self, number: usize) -> usize {
        self.ranking(number).first().copied().unwrap_or(0)
    }

    /// Who has a VIP, who takes it when that node fails, and so on.
    pub fn ranking(&self, number: usize) -> Vec<usize> {
        let mut nodes: Vec<usize> = (0..self.nodes).collect();
        nodes.sort_by_key(|node| Reverse(score(vip(number), &node_name(*node))));
        nodes
    }

    /// Does something at a time after the start of everything; prolongs the run as needed.
    #[must_use]
    pub fn with(mut self, trouble: Trouble, from: Duration, until: Duration) -> Self {
        self.acts.push(Act { trouble, from, until });
        self.length = self.length.max(until + CALM);
        self
    }

    /// The schedule of a seed: two to eight nodes, up to four troubles, each after the other or at the same time.
    pub fn random(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5eed);
        let nodes = [2, 3, 3, 3, 4, 4, 5, 8][chance.below(8)];
        let mut schedule = Self {
            vips: 1 + chance.below(3),
            gateway: !chance.percent(30),
            recorded: chance.percent(50),
            profile: if chance.percent(20) { Profile::FAST } else { Profile::BALANCED },
            ..Self::calm(seed, nodes)
        };
        let mut at = WARM;
        for _ in 0..=chance.below(4) {
            let most = if chance.percent(30) { ms(5000) } else { ms(1500) };
            let lasts = chance.between(ms(100), most);
            let trouble = Trouble::random(&mut chance, &schedule);
            schedule = schedule.with(trouble, at, at + lasts);
            // Half of them begin while the one before lasts.
            at +=
                if chance.percent(50) { lasts + chance.between(ms(0), ms(4000)) } else { chance.between(ms(0), lasts) };
        }
        schedule
    }
}

impl Trouble {
    fn random(chance: &mut Chance, schedule: &Schedule) -> Self {
        // Troubles of nodes that announce something show more.
        let node = if chance.percent(60) { schedule.owner(0) } else { chance.below(schedule.nodes) };
        let other = (node + 1 + chance.below(schedule.nodes - 1)) % schedule.nodes;
        let vip = chance.below(schedule.vips);
        match chance.below(30) {
            0..=3 => Self::Power(node),
            4 => Self::Cable(node),
            5 => Self::Isolation(node),
            6 => Self::Mute(node),
            7 => Self::Deaf(node),
            8 => Self::OneWay(node, other),
            9 => Self::Partition(1 + chance.next() % ((1 << schedule.nodes) - 2)),
            10 => Self::Loss([1, 1, 2, 20][chance.below(4)]),
            11 => Self::Delay([2, 5][chance.below(2)]),
            12 => Self::Duplication(20),
            13 | 14 => Self::Kill(node),
            15..=18 => Self::Stop(node),
            19 => Self::Starvation(node),
            20 => Self::ApiDown,
            21 => Self::ApiCut(node),
            22 => Self::Stranger(vip),
            23 | 24 => Self::Drain(node),
            25 => Self::Termination(node),
            26 => Self::Pin(vip, node),
            27 => Self::Unwell(node),
            28 => Self::GatewayDown,
            _ => Self::Deletion(vip),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = if self.gateway { "a gateway" } else { "no gateway" };
        let ledger = if self.recorded { "claims in the ledger" } else { "an empty ledger" };
        writeln!(
            f,
            "seed {}: {} nodes, {} VIPs, {gateway}, {ledger}, a beat every {} ms, {:.1} s",
            self.seed,
            self.nodes,
            self.vips,
            self.profile.beat.as_millis(),
            self.length.as_secs_f64()
        )?;
        for act in &self.acts {
            let (from, until) = (act.from.as_secs_f64(), act.until.as_secs_f64());
            writeln!(f, "  {from:8.3} s to {until:8.3} s  {}", act.trouble)?;
        }
        Ok(())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Power(node) => write!(f, "node-{node} without power"),
            Self::Cable(node) => write!(f, "cable of node-{node} pulled"),
            Self::Isolation(node) => write!(f, "port of node-{node} forgotten"),
            Self::Mute(node) => write!(f, "node-{node} mute"),
            Self::Deaf(node) => write!(f, "node-{node} deaf"),
            Self::OneWay(from, to) => write!(f, "nothing from node-{from} to node-{to}"),
            Self::Partition(side) => write!(f, "partition, on one side the nodes of {side:#b}"),
            Self::Loss(percent) => write!(f, "{percent} % of frames lost"),
            Self::Delay(most) => write!(f, "frames late by up to {most} ms"),
            Self::Duplication(percent) => write!(f, "{percent} % of frames twice"),
            Self::Kill(node) => write!(f, "speaker of node-{node} killed"),
            Self::Stop(node) => write!(f, "speaker of node-{node} stopped"),
            Self::Starvation(node) => write!(f, "speaker of node-{node} at 1 % of a CPU"),
            Self::ApiDown => f.write_str("API server down"),
            Self::ApiCut(node) => write!(f, "API server out of reach of node-{node}"),
            Self::Stranger(vip) => write!(f, "a stranger answers for VIP {vip}"),
            Self::Drain(node) => write!(f, "node-{node} drained"),
            Self::Termination(node) => write!(f, "speaker of node-{node} asked to end"),
            Self::Pin(vip, node) => write!(f, "VIP {vip} moved to node-{node}"),
            Self::Unwell(node) => write!(f, "kube-proxy of node-{node} not well"),
            Self::GatewayDown => f.write_str("gateway down"),
            Self::Deletion(vip) => write!(f, "VIP {vip} deleted"),
        }
    }
}
