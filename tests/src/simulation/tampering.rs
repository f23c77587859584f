//! Bugs that a member might have, made at its border: what goes into it or comes out of it is falsified as if it had them.
//! They show that the judge can find them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_core::address::Vip;
use herald_core::announce::Frame;
use herald_core::liveness::{Body, Life, Offer, Opinion};
use herald_core::member::{Effect, Event};
use herald_core::names::NodeName;

use super::addresses::{Kind, mac, node_name, v4, v6};
use super::node::Input;

/// A bug in every member of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Whoever is silent is dead: neither its kernel nor another observer is heard.
    NoConfirmation,
    /// A speaker that was started again is taken for the one before.
    NoIncarnations,
    /// All claims are equally old.
    NoEpochs,
    /// Each node sends beats to the next one of the ring only.
    OneWayRing,
    /// Whoever answers a probe is not heard.
    NoProbe,
    /// The old owner is silent from the moment it hands over.
    BreakBeforeMake,
}

/// What is falsified.
#[derive(Clone, Debug, Default)]
pub(super) struct Tampering {
    bug: Option<Bug>,
    handed: BTreeMap<usize, BTreeSet<Vip>>,
}

impl Tampering {
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Self { bug, handed: BTreeMap::new() }
    }

    /// The life of a new process.
    pub(super) fn life(&self, node: usize, life: Life) -> Life {
        if self.bug == Some(Bug::NoIncarnations) { Life(node as u64 + 1) } else { life }
    }

    /// What a member gets of something meant for it.
    pub(super) fn inbound(&self, input: Input) -> Option<Input> {
        match (self.bug, input) {
            (Some(Bug::NoConfirmation), Input::Echo { .. }) => None,
            (Some(Bug::NoConfirmation), Input::Frame { heard, .. })
                if heard.directed && heard.claim.is_some_and(|claim| is_nodes(claim.address)) =>
            {
                None
            }
            (Some(Bug::NoConfirmation), Input::Envelope { source, mut envelope, received }) => {
                if let Body::Vote(_, opinion) = &mut envelope.body {
                    *opinion = Opinion::Silent;
                }
                Some(Input::Envelope { source, envelope, received })
            }
            (Some(Bug::NoProbe), Input::Frame { heard, .. })
                if heard.claim.is_some_and(|claim| claim.mac == mac(Kind::Stranger, 0)) =>
            {
                None
            }
            (_, input) => Some(input),
        }
    }

    /// What becomes of something that a member wants done.
    pub(super) fn outbound(&mut self, nodes: usize, node: usize, effect: Effect) -> Option<Effect> {
        match self.bug {
            Some(Bug::NoEpochs) => Some(without_epochs(effect)),
            Some(Bug::OneWayRing) => (!is_beat_back(&effect, &node_name((node + 1) % nodes))).then_some(effect),
            Some(Bug::BreakBeforeMake) => self.break_before_make(node, effect),
            _ => Some(effect),
        }
    }

    fn break_before_make(&mut self, node: usize, effect: Effect) -> Option<Effect> {
        let handed = self.handed.entry(node).or_default();
        match &effect {
            Effect::Datagram { envelope, .. } => {
                if let Body::Handover { offers, .. } = &envelope.body {
                    handed.extend(offers.iter().map(|offer| offer.vip));
                }
            }
            Effect::Report(Event::Vip { vip, state }) if !state.tenure.is_held() => {
                handed.remove(vip);
            }
            Effect::Send { frame, .. } if handed.contains(&spoken_of(frame)) => return None,
            _ => {}
        }
        Some(effect)
    }
}

fn is_nodes(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[..3] == v4(Kind::Node, 0).octets()[..3],
        IpAddr::V6(address) => address.segments()[..7] == v6(Kind::Node, 0).segments()[..7],
    }
}

fn without_epochs(effect: Effect) -> Effect {
    let Effect::Datagram { link, to, address, mut envelope } = effect else { return effect };
    let level = |offers: &mut Vec<Offer>| offers.iter_mut().for_each(|offer| offer.epoch = 1);
    match &mut envelope.body {
        Body::Claims { entries, .. } => level(entries),
        Body::Handover { offers, .. } => level(offers),
        _ => {}
    }
    Effect::Datagram { link, to, address, envelope }
}

fn is_beat_back(effect: &Effect, next: &NodeName) -> bool {
    matches!(effect, Effect::Datagram { to, envelope, .. } if envelope.body == Body::Beat && to != next)
}

fn spoken_of(frame: &Frame) -> Vip {
    let address = match *frame {
        Frame::ArpReply { vip, .. }
        | Frame::GratuitousRequest { vip }
        | Frame::GratuitousReply { vip }
        | Frame::DirectedRequest { vip, .. } => IpAddr::V4(vip),
        Frame::Advertisement { vip, .. }
        | Frame::ProbeAnswer { vip, .. }
        | Frame::UnsolicitedAdvertisement { vip, .. }
        | Frame::DirectedSolicitation { vip, .. } => IpAddr::V6(vip),
    };
    Vip::new(address).expect("what is announced is a VIP")
}
