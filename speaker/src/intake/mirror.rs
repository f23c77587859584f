//! What one watch has shown: the last complete view of one kind of object, as records of what we read of them.
//!
//! The records, not the events, are the truth: a watch that had to list again says nothing about what vanished
//! meanwhile, so a list replaces everything at once when it is complete. Until then, and while the API server is
//! away, the last view stays.

use std::collections::BTreeMap;

/// What a watch says, one object at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<K, V> {
    /// A list is about to be asked for; nothing has been answered yet.
    ListBegins,
    /// The list holds this object.
    Listed(K, Reading<V>),
    /// The list is complete.
    ListEnds,
    /// An object came or changed.
    Changed(K, Reading<V>),
    /// An object is gone.
    Gone(K),
}

/// One object as we read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<V> {
    /// What we read of it.
    Record(V),
    /// Nothing in it concerns us.
    Irrelevant,
    /// It can't be read; what was known of it stays.
    Unreadable,
}

/// All objects of one kind.
#[derive(Clone, Debug)]
pub struct Mirror<K, V> {
    records: BTreeMap<K, V>,
    listing: Option<BTreeMap<K, V>>,
    view: View,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// Nothing has been listed yet.
    None,
    /// The last one of an earlier life: the API server has not answered in this one.
    Remembered,
    /// What the API server said.
    Listed,
}

/// What is different now: keys with the records they had. Empty but there: that there is nothing is known only now.
pub(super) type Difference<K, V> = Option<Vec<(K, Option<V>)>>;

impl<K, V> Default for Mirror<K, V> {
    fn default() -> Self {
        Self { records: BTreeMap::new(), listing: None, view: View::None }
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> Mirror<K, V> {
    /// The records.
    pub const fn records(&self) -> &BTreeMap<K, V> {
        &self.records
    }

    /// Whether there is a complete view, listed or remembered.
    pub const fn is_complete(&self) -> bool {
        !matches!(self.view, View::None)
    }

    /// Whether the API server has listed everything at least once.
    pub const fn is_listed(&self) -> bool {
        matches!(self.view, View::Listed)
    }

    /// Takes the view of an earlier life, until the API server says more.
    pub fn remember(&mut self, records: BTreeMap<K, V>) -> Difference<K, V> {
        if self.is_listed() {
            return None;
        }
        self.view = View::Remembered;
        Some(self.replace(records))
    }

    fn replace(&mut self, records: BTreeMap<K, V>) -> Vec<(K, Option<V>)> {
        let mut before = std::mem::replace(&mut self.records, records);
        let mut different = Vec::new();
        for (key, record) in &self.records {
            let old = before.remove(key);
            if old.as_ref() != Some(record) {
                different.push((key.clone(), old));
            }
        }
        different.extend(before.into_iter().map(|(key, old)| (key, Some(old))));
        different
    }

    /// Takes in what was seen and says what is different now.
    pub fn apply(&mut self, seen: Seen<K, V>) -> Difference<K, V> {
        match seen {
            Seen::ListBegins => {
                self.listing = Some(BTreeMap::new());
                None
            }
            Seen::Listed(key, reading) => {
                let record = match reading {
                    Reading::Record(record) => Some(record),
                    Reading::Irrelevant => None,
                    Reading::Unreadable => self.records.get(&key).cloned(),
                };
                if let (Some(listing), Some(record)) = (&mut self.listing, record) {
                    listing.insert(key, record);
                }
                None
            }
            Seen::ListEnds => {
                let listed = self.listing.take().unwrap_or_default();
                let is_first = !self.is_listed();
                self.view = View::Listed;
                let different = self.replace(listed);
                (is_first || !different.is_empty()).then_some(different)
            }
            Seen::Changed(key, Reading::Record(record)) => {
                if self.records.get(&key) == Some(&record) {
                    return None;
                }
                let old = self.records.insert(key.clone(), record);
                Some(vec![(key, old)])
            }
            Seen::Changed(_, Reading::Unreadable) => None,
            Seen::Changed(key, Reading::Irrelevant) | Seen::Gone(key) => {
                let old = self.records.remove(&key)?;
                Some(vec![(key, Some(old))])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(mirror: &mut Mirror<u8, char>, items: &[(u8, Reading<char>)]) -> Difference<u8, char> {
        assert_eq!(mirror.apply(Seen::ListBegins), None);
        for (key, reading) in items {
            assert_eq!(mirror.apply(Seen::Listed(*key, reading.clone())), None);
        }
        mirror.apply(Seen::ListEnds)
    }

    #[test]
    fn a_list_replaces_everything_but_only_when_it_is_complete() {
        let mut mirror = Mirror::default();
        assert_eq!(listed(&mut mirror, &[]), Some(vec![]), "to know that there is nothing is news");
        assert!(mirror.is_complete());
        let two = [(1, Reading::Record('a')), (2, Reading::Record('b'))];
        assert_eq!(listed(&mut mirror, &two), Some(vec![(1, None), (2, None)]));
        assert_eq!(listed(&mut mirror, &two), None, "the same is no news");
        mirror.apply(Seen::ListBegins);
        mirror.apply(Seen::Listed(2, Reading::Record('c')));
        assert_eq!(mirror.records().len(), 2, "a list under way changes nothing");
        assert_eq!(mirror.apply(Seen::ListEnds), Some(vec![(2, Some('b')), (1, Some('a'))]));
        assert_eq!(*mirror.records(), BTreeMap::from([(2, 'c')]));
    }

    #[test]
    fn a_change_is_news_only_if_what_we_read_differs() {
        let mut mirror = Mirror::default();
        listed(&mut mirror, &[(1, Reading::Record('a'))]);
        assert_eq!(mirror.apply(Seen::Changed(1, Reading::Record('a'))), None);
        assert_eq!(mirror.apply(Seen::Changed(1, Reading::Record('b'))), Some(vec![(1, Some('a'))]));
        assert_eq!(mirror.apply(Seen::Changed(1, Reading::Irrelevant)), Some(vec![(1, Some('b'))]));
        assert_eq!(mirror.apply(Seen::Gone(1)), None);
    }

    #[test]
    fn an_object_that_cannot_be_read_stays_as_it_was() {
        let mut mirror = Mirror::default();
        listed(&mut mirror, &[(1, Reading::Record('a')), (2, Reading::Unreadable)]);
        assert_eq!(mirror.apply(Seen::Changed(1, Reading::Unreadable)), None);
        assert_eq!(listed(&mut mirror, &[(1, Reading::Unreadable)]), None);
        assert_eq!(*mirror.records(), BTreeMap::from([(1, 'a')]));
    }

    #[test]
    fn what_is_remembered_counts_until_the_api_server_answers_and_never_after() {
        let mut mirror = Mirror::default();
        assert_eq!(mirror.remember(BTreeMap::from([(1, 'a'), (2, 'b')])), Some(vec![(1, None), (2, None)]));
        assert!(mirror.is_complete() && !mirror.is_listed());
        assert_eq!(listed(&mut mirror, &[(1, Reading::Record('a'))]), Some(vec![(2, Some('b'))]));
        assert_eq!(mirror.remember(BTreeMap::from([(3, 'c')])), None);
        assert_eq!(*mirror.records(), BTreeMap::from([(1, 'a')]));
    }
}
