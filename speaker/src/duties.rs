//! What this node must do now: a pure function of the cluster's picture and of what the node holds already.
//!
//! Owns make-before-break: an address that another node must take stays answered here until that node has been seen
//! to announce it. Who must have it is `herald_core::ownership`'s decision.

use crate::picture::{Myself, Picture};
use herald_core::address::Vip;
use herald_core::names::{IfIndex, NodeName};
use herald_core::ownership::{self, Subject, Unowned};
use std::collections::{BTreeMap, BTreeSet};

/// Interfaces by address.
pub type LinksByVip = BTreeMap<Vip, BTreeSet<IfIndex>>;

/// What this node must do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// Addresses to announce and answer for, and where.
    pub owned: LinksByVip,
    /// Of these, the ones that another node must take over, with that node.
    pub leaving: BTreeMap<Vip, NodeName>,
    /// Addresses that this node could have to announce one day, and where.
    pub candidates: LinksByVip,
    /// Addresses that nobody can announce and this node is to say so.
    pub unowned: BTreeMap<Vip, Unowned>,
}

/// What this node did until now.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// The addresses it announced.
    pub held: &'a LinksByVip,
    /// Those that another node must take and was heard to announce: the wait for it is over.
    pub relieved: &'a BTreeSet<Vip>,
    /// Those that another node was heard to announce while this node could not ask the API server whose they are: what
    /// it knows is old, so it is silent.
    pub silenced: &'a BTreeSet<Vip>,
}

impl Duties {
    /// Computes them.
    pub fn new(picture: &Picture, myself: Myself<'_>, past: Past<'_>) -> Self {
        let mut duties = Self::default();
        for (vip, subject) in &picture.subjects {
            let links = links(subject, picture, myself);
            duties.decide(subject, picture, myself, past, &links);
            if !links.is_empty() {
                duties.candidates.insert(*vip, links);
            }
        }
        duties
    }

    fn decide(
        &mut self,
        subject: &Subject,
        picture: &Picture,
        myself: Myself<'_>,
        past: Past<'_>,
        links: &BTreeSet<IfIndex>,
    ) {
        let vip = subject.vip;
        let can_go_on = past.held.contains_key(&vip) && !links.is_empty();
        match ownership::owner(subject, &picture.view) {
            Ok(owner) if owner == myself.node => {
                if !past.silenced.contains(&vip) {
                    self.owned.insert(vip, links.clone());
                }
            }
            Ok(owner) => {
                if can_go_on && subject.claim.as_ref().is_some_and(|claim| claim.node == *myself.node) && !past.relieved.contains(&vip) {
                    self.owned.insert(vip, links.clone());
                    self.leaving.insert(vip, owner.clone());
                }
            }
            // Nobody is there to take it: it stays answered until this process ends.
            Err(_) if myself.draining && can_go_on => {
                self.owned.insert(vip, links.clone());
            }
            Err(unowned) => {
                if reports(vip, picture, myself) {
                    self.unowned.insert(vip, unowned);
                }
            }
        }
    }
}

fn reports(vip: Vip, picture: &Picture, myself: Myself<'_>) -> bool {
    ownership::reporter(vip, &picture.view) == Some(myself.node)
}

fn links(subject: &Subject, picture: &Picture, myself: Myself<'_>) -> BTreeSet<IfIndex> {
    let interfaces = ownership::interfaces(subject, &picture.view, myself.node);
    let links = myself.links.iter().filter(|(_, link)| interfaces.contains(&link.name));
    links.map(|(index, _)| *index).collect()
}

#[cfg(test)]
mod tests;
