//! Who may announce an address, and in which order: what a node has (interfaces, endpoints) and how it is.

use super::{Bar, Node, Subject, Terms, Unowned, View, score, unowned};
use crate::names::NodeName;
use std::cmp::Reverse;

/// How a node is, whatever it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fitness {
    /// Its speaker doesn't run.
    Silent,
    /// It must not announce anything.
    Barred(Bar),
    /// Its speaker runs and can't serve now.
    Unable,
    /// It gives its addresses away, but keeps those that nobody can take.
    Leaving,
    /// It may have any address.
    Fit,
}

impl Fitness {
    /// How the API server says that a node is.
    pub const fn told(node: &Node) -> Self {
        match (node.speaker, node.bar, node.leaving) {
            (false, ..) => Self::Silent,
            (true, Some(bar), _) => Self::Barred(bar),
            (true, None, true) => Self::Leaving,
            (true, None, false) => Self::Fit,
        }
    }

    /// Whether it goes on answering for an address that it has while nobody can take it.
    pub const fn keeps(self) -> bool {
        matches!(self, Self::Unable | Self::Leaving | Self::Fit)
    }
}

/// The candidates for an address, best first: those that the advertisements prefer most, and among equals those with the
/// highest [`score`]; before all others the one that the subject prefers. Cordoned nodes are candidates only when there is no
/// other.
///
/// # Errors
/// Why there is none.
pub fn succession<'v>(
    subject: &Subject,
    view: &'v View,
    fitness: impl Fn(&NodeName, &Node) -> Fitness,
) -> Result<Vec<&'v NodeName>, Unowned> {
    let Some(terms) = Terms::of(subject, &view.advertisements) else {
        return Err(Unowned::NotAdvertised { pool: subject.pool.clone() });
    };
    let is_candidate = |name: &NodeName, node: &Node| {
        fitness(name, node) == Fitness::Fit && has_what_it_takes(subject, &terms, name, node)
    };
    let mut candidates: Vec<_> = view.nodes.iter().filter(|(name, node)| is_candidate(name, node)).collect();
    if candidates.iter().any(|(_, node)| !node.cordoned) {
        candidates.retain(|(_, node)| !node.cordoned);
    }
    if candidates.is_empty() {
        return Err(unowned::explain(subject, &terms, view, &fitness));
    }
    candidates.sort_by_cached_key(|(name, node)| {
        let preferred = subject.preferred.as_ref() == Some(*name);
        Reverse((preferred, terms.weight(node), score(subject.vip, name), Reverse((*name).clone())))
    });
    Ok(candidates.into_iter().map(|(name, _)| name).collect())
}

/// Whether a node has an interface for the address and, where that matters, an endpoint.
pub fn can_announce(subject: &Subject, view: &View, name: &NodeName) -> bool {
    match (Terms::of(subject, &view.advertisements), view.nodes.get(name)) {
        (Some(terms), Some(node)) => has_what_it_takes(subject, &terms, name, node),
        _ => false,
    }
}

pub(super) fn has_what_it_takes(subject: &Subject, terms: &Terms<'_>, name: &NodeName, node: &Node) -> bool {
    subject.endpoints.as_ref().is_none_or(|nodes| nodes.contains(name))
        && terms.interfaces(subject.vip, node).next().is_some()
}
