//! Lists of all objects of a kind: what one lacks is gone, although no watch ever said so.

use crate::records::Report;
use std::collections::{BTreeMap, BTreeSet};

/// How far the list of one kind is.
#[derive(Debug)]
pub(super) struct Listing<K> {
    named: Option<BTreeSet<K>>,
    complete: bool,
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { named: None, complete: false }
    }
}

impl<K: Ord + Clone> Listing<K> {
    /// Whether a list has ever come to its end.
    pub(super) const fn complete(&self) -> bool {
        self.complete
    }

    pub(super) fn begin(&mut self) {
        self.named = Some(BTreeSet::new());
    }

    pub(super) fn name(&mut self, key: &K) {
        if let Some(named) = &mut self.named {
            named.insert(key.clone());
        }
    }

    /// Ends the list; returns the known keys that it lacked.
    pub(super) fn finish<'a>(&mut self, known: impl Iterator<Item = &'a K>) -> Vec<K>
    where
        K: 'a,
    {
        self.complete = true;
        let named = self.named.take().unwrap_or_default();
        known.filter(|key| !named.contains(key)).cloned().collect()
    }

    /// Keeps a map of objects whose versions don't matter; `true` = it changed, or became complete.
    pub(super) fn apply<V: PartialEq>(&mut self, map: &mut BTreeMap<K, V>, report: Report<K, V>) -> bool {
        match report {
            Report::Listing => {
                self.begin();
                false
            }
            Report::Is(key, value) => {
                self.name(&key);
                let same = map.get(&key) == Some(&value);
                if !same {
                    map.insert(key, value);
                }
                !same
            }
            Report::Gone(key, _) => map.remove(&key).is_some(),
            Report::Listed => {
                let first = !self.complete;
                let absent = self.finish(map.keys());
                for key in &absent {
                    map.remove(key);
                }
                first || !absent.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_second_list_lacks_is_gone_and_what_it_names_again_is_no_news() {
        let mut listing = Listing::default();
        let mut map = BTreeMap::new();
        let mut apply = |report| (listing.apply(&mut map, report), map.clone());
        for report in [Report::Listing, Report::Is("a", 1), Report::Is("b", 2), Report::Listed] {
            apply(report);
        }
        assert_eq!(apply(Report::Listing), (false, BTreeMap::from([("a", 1), ("b", 2)])));
        assert_eq!(apply(Report::Is("b", 2)), (false, BTreeMap::from([("a", 1), ("b", 2)])));
        assert_eq!(apply(Report::Listed), (true, BTreeMap::from([("b", 2)])));
    }
}
