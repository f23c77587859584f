//! Where an address may be announced: what an `L2Advertisement` allows, and which interfaces of a node that means.

use super::{Node, Segment, Subject};
use crate::address::Vip;
use crate::names::{InterfaceName, PoolName};
use crate::selector::Selector;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An interface name, or a glob over names: `*` stands for any text, `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfacePattern(String);

impl InterfacePattern {
    /// Takes a name or glob as it was written.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the pattern means this interface.
    pub fn matches(&self, interface: &InterfaceName) -> bool {
        glob(self.0.as_bytes(), interface.as_str().as_bytes())
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Matches left to right; on a mismatch the last `*` takes one byte more, so the cost is at most the product of the
/// lengths, and both are short.
fn glob(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (Some((wanted, pattern_rest)), Some((byte, text_rest))) if *wanted == b'?' || wanted == byte => {
                (pattern, text) = (pattern_rest, text_rest);
            }
            (None, None) => return true,
            _ => match retry.and_then(|(after, from)| Some((after, from.split_first()?.1))) {
                Some((after, from)) => {
                    retry = Some((after, from));
                    (pattern, text) = (after, from);
                }
                None => return false,
            },
        }
    }
}

/// How much a node is wanted as announcer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// Higher is preferred; weights of all matching preferences add up.
    pub weight: i32,
    /// The nodes meant.
    pub nodes: Selector,
}

/// One `L2Advertisement`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertisement {
    /// Pools meant by name.
    pub pools: BTreeSet<PoolName>,
    /// Pools meant by label, in addition to the named ones. With neither, all pools are meant.
    pub pool_selector: Option<Selector>,
    /// Services meant by label; `None` means all.
    pub service_selector: Option<Selector>,
    /// Nodes that may announce: any of these; empty allows all.
    pub node_selectors: Vec<Selector>,
    /// Which of the allowed nodes to prefer.
    pub preferred_nodes: Vec<Preference>,
    /// Interfaces to announce on; empty means those with a subnet that holds the address.
    pub interfaces: Vec<InterfacePattern>,
}

impl Advertisement {
    /// Whether it speaks of this address.
    pub fn selects(&self, subject: &Subject) -> bool {
        let any_pool = self.pools.is_empty() && self.pool_selector.is_none();
        let by_label = || self.pool_selector.as_ref().is_some_and(|selector| selector.matches(&subject.pool_labels));
        (any_pool || self.pools.contains(&subject.pool) || by_label())
            && self.service_selector.as_ref().is_none_or(|selector| selector.matches(&subject.holder_labels))
    }

    /// Whether a node with these labels may announce.
    pub fn allows(&self, labels: &BTreeMap<String, String>) -> bool {
        self.node_selectors.is_empty() || self.node_selectors.iter().any(|selector| selector.matches(labels))
    }

    /// Whether the address may be announced on this interface, carrier or not.
    pub fn covers(&self, vip: Vip, segment: &Segment) -> bool {
        if self.interfaces.is_empty() {
            segment.holds(vip)
        } else {
            self.interfaces.iter().any(|pattern| pattern.matches(&segment.interface))
        }
    }

    /// How much it prefers a node with these labels.
    pub fn weight(&self, labels: &BTreeMap<String, String>) -> i64 {
        let matching = self.preferred_nodes.iter().filter(|preference| preference.nodes.matches(labels));
        matching.fold(0, |sum, preference| sum.saturating_add(i64::from(preference.weight)))
    }
}

/// All that speaks for announcing one address.
pub(super) enum Terms<'a> {
    /// The pool's own default: wherever a subnet holds the address.
    Default,
    /// These advertisements, each with its name; they replace the default.
    Selected(Vec<(&'a str, &'a Advertisement)>),
}

impl<'a> Terms<'a> {
    /// `None`: the address is not to be announced.
    pub(super) fn of(subject: &Subject, advertisements: &'a BTreeMap<String, Advertisement>) -> Option<Self> {
        let selected: Vec<_> = advertisements
            .iter()
            .filter(|(_, advertisement)| advertisement.selects(subject))
            .map(|(name, advertisement)| (name.as_str(), advertisement))
            .collect();
        match (selected.is_empty(), subject.advertised_by_default) {
            (false, _) => Some(Self::Selected(selected)),
            (true, true) => Some(Self::Default),
            (true, false) => None,
        }
    }

    /// Whether some advertisement would use this interface of some node.
    pub(super) fn cover(&self, vip: Vip, segment: &Segment) -> bool {
        match self {
            Self::Default => segment.holds(vip),
            Self::Selected(selected) => selected.iter().any(|(_, advertisement)| advertisement.covers(vip, segment)),
        }
    }

    /// Whether some advertisement allows this node.
    pub(super) fn allow(&self, node: &Node) -> bool {
        match self {
            Self::Default => true,
            Self::Selected(selected) => selected.iter().any(|(_, advertisement)| advertisement.allows(&node.labels)),
        }
    }

    /// The interfaces with a carrier on which this node would announce the address.
    pub(super) fn interfaces<'n>(&self, vip: Vip, node: &'n Node) -> impl Iterator<Item = &'n InterfaceName> {
        let live = node.segments.iter().filter(|segment| segment.carrier);
        live.filter(move |segment| match self {
            Self::Default => segment.holds(vip),
            Self::Selected(selected) => selected
                .iter()
                .any(|(_, advertisement)| advertisement.allows(&node.labels) && advertisement.covers(vip, segment)),
        })
        .map(|segment| &segment.interface)
    }

    /// How much the advertisements that allow this node prefer it.
    pub(super) fn weight(&self, node: &Node) -> i64 {
        match self {
            Self::Default => 0,
            Self::Selected(selected) => selected
                .iter()
                .filter(|(_, advertisement)| advertisement.allows(&node.labels))
                .fold(0, |sum, (_, advertisement)| sum.saturating_add(advertisement.weight(&node.labels))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_glob() {
        let cases = [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("eth*", "eth0", true),
            ("eth*", "eth", true),
            ("*", "bond0", true),
            ("en?s0", "eno1s0", false),
            ("en?s0", "en1s0", true),
            ("*.10", "bond0.10", true),
            ("*.10", "bond0.100", false),
            ("b*d*0", "bond0.20", true),
            ("b*d*0", "bond0.2", false),
            ("", "eth0", false),
        ];
        for (pattern, name, expected) in cases {
            let matches = InterfacePattern::new(pattern).matches(&InterfaceName::new(name));
            assert_eq!(matches, expected, "{pattern} against {name}");
        }
    }
}
