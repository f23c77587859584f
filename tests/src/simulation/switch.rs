//! The segment: who is plugged in where, and what becomes of a frame on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use herald_core::mac::MacAddr;

use super::chance::Chance;

/// A port of the switch, and whoever is plugged in there. Nodes come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port(pub usize);

/// How long a frame takes at least and at most when nothing is wrong: the wire, the switch, both hosts' kernels and the wait
/// for the receiving process to run.
const TRANSIT: (Duration, Duration) = (Duration::from_micros(60), Duration::from_micros(400));

/// The switch with everything that can go wrong in it.
#[derive(Debug, Default)]
pub(super) struct Switch {
    stations: BTreeMap<MacAddr, Port>,
    ports: Vec<Conditions>,
    one_way: BTreeSet<(Port, Port)>,
    /// The nodes of one side, by bit.
    partition: u64,
    /// Frames lost, of a hundred.
    pub(super) loss: u32,
    /// Frames that arrive twice, of a hundred.
    pub(super) duplication: u32,
    /// How much longer a frame may take.
    pub(super) delay: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    /// Nothing enters from there.
    mute: bool,
    /// Nothing leaves to there.
    deaf: bool,
}

impl Switch {
    pub(super) fn plug(&mut self, mac: MacAddr) -> Port {
        let port = Port(self.ports.len());
        self.stations.insert(mac, port);
        self.ports.push(Conditions::default());
        port
    }

    pub(super) fn set_mute(&mut self, port: Port, mute: bool) {
        self.ports[port.0].mute = mute;
    }

    pub(super) fn set_deaf(&mut self, port: Port, deaf: bool) {
        self.ports[port.0].deaf = deaf;
    }

    pub(super) fn set_one_way(&mut self, from: Port, to: Port, cut: bool) {
        if cut {
            self.one_way.insert((from, to));
        } else {
            self.one_way.remove(&(from, to));
        }
    }

    pub(super) const fn set_partition(&mut self, side: u64) {
        self.partition = side;
    }

    pub(super) fn station(&self, mac: MacAddr) -> Option<Port> {
        self.stations.get(&mac).copied()
    }

    /// Whether frames from there enter the switch at all.
    pub(super) fn hears(&self, port: Port) -> bool {
        !self.ports[port.0].mute
    }

    /// Whether frames can get from one port to the other, unless they are lost by chance.
    pub(super) fn connects(&self, from: Port, to: Port) -> bool {
        from != to
            && !self.ports[from.0].mute
            && !self.ports[to.0].deaf
            && self.is_on_side(from) == self.is_on_side(to)
            && !self.one_way.contains(&(from, to))
    }

    const fn is_on_side(&self, port: Port) -> bool {
        port.0 < 64 && self.partition >> port.0 & 1 == 1
    }

    /// Where a frame arrives, and after how long.
    pub(super) fn forward(&self, from: Port, destination: MacAddr, chance: &mut Chance) -> Vec<(Port, Duration)> {
        let mut arrivals = Vec::new();
        let mut send = |to: Port, chance: &mut Chance| {
            if !self.connects(from, to) || chance.percent(self.loss) {
                return;
            }
            arrivals.push((to, self.transit(chance)));
            if chance.percent(self.duplication) {
                arrivals.push((to, self.transit(chance)));
            }
        };
        if destination.is_group() {
            (0..self.ports.len()).for_each(|port| send(Port(port), chance));
        } else if let Some(to) = self.station(destination) {
            send(to, chance);
        }
        arrivals
    }

    /// Whether a packet gets there and its answer back.
    pub(super) fn round_trip(&self, from: Port, to: Port, chance: &mut Chance) -> bool {
        self.connects(from, to) && self.connects(to, from) && !chance.percent(self.loss) && !chance.percent(self.loss)
    }

    fn transit(&self, chance: &mut Chance) -> Duration {
        let usual = chance.between(TRANSIT.0, TRANSIT.1);
        if self.delay.is_zero() { usual } else { usual + chance.between(Duration::ZERO, self.delay) }
    }
}
