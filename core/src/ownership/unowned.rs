//! Why no node announces an address, as a reason and a sentence that names what to change.

use super::{Fitness, Node, Subject, Terms, View};
use crate::address::Vip;
use crate::names::{NodeName, PoolName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// Why a node must not announce anything, although its speaker may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Bar {
    /// The Node's condition `Ready` is not `True`.
    NotReady,
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers`.
    Label,
    /// The taint by which the cluster autoscaler announces the node's end.
    Taint,
    /// The Node object is being deleted.
    Deletion,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "is not Ready",
            Self::Label => "has the label node.kubernetes.io/exclude-from-external-load-balancers",
            Self::Taint => "has the taint ToBeDeletedByClusterAutoscaler",
            Self::Deletion => "is being deleted",
        })
    }
}

/// Why no node announces an address. [`Unowned::reason`] is a condition's reason, `Display` its message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unowned {
    /// No speaker runs.
    #[error("no speaker runs on any node: check the DaemonSet herald-speaker")]
    NoSpeaker,
    /// The pool wants an advertisement and none selects the address.
    #[error(
        "AddressPool {pool} has spec.advertise Selected and no L2Advertisement selects it for this Service: create one, \
         or set spec.advertise to Default"
    )]
    NotAdvertised {
        /// The pool.
        pool: PoolName,
    },
    /// No node has an interface for the address.
    #[error("{message}")]
    NoSegment {
        /// What is wanted, and what the nodes have.
        message: String,
    },
    /// The nodes that have an interface for it must not announce.
    #[error("{message}")]
    NodesExcluded {
        /// Those nodes, each with what keeps it out.
        message: String,
    },
    /// None of the nodes that could announce has a usable endpoint, and `externalTrafficPolicy` is `Local`.
    #[error(
        "no node that may announce it has a ready endpoint of the Service, and its externalTrafficPolicy is Local: \
         check its pods, or set externalTrafficPolicy to Cluster"
    )]
    NoLocalEndpoints,
}

impl Unowned {
    /// The condition's reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoSpeaker => "NoSpeaker",
            Self::NotAdvertised { .. } => "NotAdvertised",
            Self::NoSegment { .. } => "NoSegment",
            Self::NodesExcluded { .. } => "NodesExcluded",
            Self::NoLocalEndpoints => "NoLocalEndpoints",
        }
    }
}

/// Lists name at most this many things; messages must fit an event's 1,024 characters.
const LISTED: usize = 4;

/// Says why none of the nodes is a candidate: the first test in this order that leaves none.
pub(super) fn explain(
    subject: &Subject,
    terms: &Terms<'_>,
    view: &View,
    fitness: &impl Fn(&NodeName, &Node) -> Fitness,
) -> Unowned {
    let runs = |(name, node): &(&NodeName, &Node)| fitness(name, node) != Fitness::Silent;
    let running: Vec<_> = view.nodes.iter().filter(runs).collect();
    if running.is_empty() {
        return Unowned::NoSpeaker;
    }
    let has_interface =
        |node: &Node| node.segments.iter().any(|segment| segment.carrier && terms.cover(subject.vip, segment));
    let connected: Vec<_> = running.iter().copied().filter(|(_, node)| has_interface(node)).collect();
    if connected.is_empty() {
        return Unowned::NoSegment { message: no_segment(subject.vip, terms, &running) };
    }
    let admitted = |name: &NodeName, node: &Node| {
        fitness(name, node) == Fitness::Fit && terms.interfaces(subject.vip, node).next().is_some()
    };
    if connected.iter().any(|(name, node)| admitted(name, node)) {
        return Unowned::NoLocalEndpoints;
    }
    Unowned::NodesExcluded { message: nodes_excluded(terms, &connected, fitness) }
}

fn no_segment(vip: Vip, terms: &Terms<'_>, running: &[(&NodeName, &Node)]) -> String {
    let without_carrier = list(running.iter().flat_map(|(name, node)| {
        let covered = node.segments.iter().filter(|segment| terms.cover(vip, segment));
        covered.map(move |segment| format!("{} on {name}", segment.interface))
    }));
    if let Some(interfaces) = without_carrier {
        return format!("the interfaces for {vip} have no carrier ({interfaces}): check their cables and switch ports");
    }
    let named = match terms {
        Terms::Default => None,
        Terms::Selected(selected) => list(selected.iter().flat_map(|(name, advertisement)| {
            let patterns = advertisement.interfaces.iter();
            patterns.map(move |pattern| format!("{pattern} in L2Advertisement {name}"))
        })),
    };
    let mut message = match named {
        Some(named) => format!(
            "no node with a speaker has an interface that spec.interfaces names for {vip} ({named}): correct the names"
        ),
        None => format!(
            "no node with a speaker has an interface in a subnet that holds {vip}: change the pool's addresses, give a \
             node an address in that subnet, or name interfaces in an L2Advertisement"
        ),
    };
    append(
        &mut message,
        "the nodes' interfaces",
        list(running.iter().flat_map(|(_, node)| {
            node.segments.iter().map(|segment| {
                let subnets: Vec<_> = segment.subnets.iter().map(|subnet| subnet.trunc().to_string()).collect();
                if subnets.is_empty() {
                    segment.interface.to_string()
                } else {
                    format!("{} {}", segment.interface, subnets.join(" "))
                }
            })
        })),
    );
    let blind = running.iter().filter(|(_, node)| node.segments.is_empty()).map(|(name, _)| name.to_string());
    append(&mut message, "nodes whose speaker sees no interface (its flag --interfaces)", list(blind));
    message
}

fn nodes_excluded(
    terms: &Terms<'_>,
    connected: &[(&NodeName, &Node)],
    fitness: &impl Fn(&NodeName, &Node) -> Fitness,
) -> String {
    let excluded = connected.iter().map(|(name, node)| match fitness(name, node) {
        Fitness::Barred(bar) => format!("{name} {bar}"),
        Fitness::Unable => format!("{name} can't serve now (see kubectl describe speaker {name})"),
        Fitness::Leaving => format!("{name} gives its addresses away (drained, or about to stop)"),
        _ if !terms.allow(node) => format!("{name} matches no spec.nodeSelectors of an L2Advertisement"),
        _ => format!("{name} has none of the interfaces of the L2Advertisement that allows it"),
    });
    match list(excluded) {
        Some(excluded) => format!("every node with an interface for it is excluded: {excluded}"),
        None => "every node with an interface for it is excluded".to_owned(),
    }
}

/// The first few different things, in order; `None` if there are none.
fn list(things: impl Iterator<Item = String>) -> Option<String> {
    let things: BTreeSet<String> = things.collect();
    let shown: Vec<_> = things.iter().take(LISTED).map(String::as_str).collect();
    let mut text = shown.join(", ");
    let more = things.len().saturating_sub(LISTED);
    if more > 0 {
        text.push_str(" and ");
        text.push_str(&more.to_string());
        text.push_str(" more");
    }
    (!things.is_empty()).then_some(text)
}

fn append(message: &mut String, what: &str, listed: Option<String>) {
    if let Some(listed) = listed {
        // Writing to a String can't fail.
        let _ = write!(message, "; {what}: {listed}");
    }
}
