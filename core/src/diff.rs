//! The difference between two keyed collections: what is, and what should be.

use std::collections::BTreeMap;

/// What to do to one key so that `is` becomes `should`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a, V> {
    /// Absent, should be there.
    Insert(&'a V),
    /// There, should differ.
    Update {
        /// As it is.
        is: &'a V,
        /// As it should be.
        should: &'a V,
    },
    /// There, should be absent.
    Remove(&'a V),
}

/// Lists the changes in the order of the keys; equal values are none.
pub fn changes<'a, K: Ord, V: PartialEq>(
    is: &'a BTreeMap<K, V>,
    should: &'a BTreeMap<K, V>,
) -> BTreeMap<&'a K, Change<'a, V>> {
    let removed = is.iter().filter(|(key, _)| !should.contains_key(key)).map(|(key, is)| (key, Change::Remove(is)));
    let wanted = should.iter().filter_map(|(key, should)| match is.get(key) {
        None => Some((key, Change::Insert(should))),
        Some(is) if is == should => None,
        Some(is) => Some((key, Change::Update { is, should })),
    });
    removed.chain(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let is = BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
        let should = BTreeMap::from([(2, 'b'), (3, 'd'), (4, 'e')]);
        let expected = BTreeMap::from([
            (&1, Change::Remove(&'a')),
            (&3, Change::Update { is: &'c', should: &'d' }),
            (&4, Change::Insert(&'e')),
        ]);
        assert_eq!(changes(&is, &should), expected);
        assert_eq!(changes(&should, &should), BTreeMap::new());
    }
}
