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
    complete: bool,
}

impl<K, V> Default for Mirror<K, V> {
    fn default() -> Self {
        Self { records: BTreeMap::new(), listing: None, complete: false }
    }
}

impl<K: Ord, V: Clone + PartialEq> Mirror<K, V> {
    /// The records.
    pub const fn records(&self) -> &BTreeMap<K, V> {
        &self.records
    }

    /// Whether everything has been listed at least once.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes in what was seen and says whether anything we read is different now.
    pub fn apply(&mut self, seen: Seen<K, V>) -> bool {
        match seen {
            Seen::ListBegins => {
                self.listing = Some(BTreeMap::new());
                false
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
                false
            }
            Seen::ListEnds => {
                let listed = self.listing.take().unwrap_or_default();
                let news = !self.complete || listed != self.records;
                self.records = listed;
                self.complete = true;
                news
            }
            Seen::Changed(key, Reading::Record(record)) => {
                let news = self.records.get(&key) != Some(&record);
                self.records.insert(key, record);
                news
            }
            Seen::Changed(_, Reading::Unreadable) => false,
            Seen::Changed(key, Reading::Irrelevant) | Seen::Gone(key) => self.records.remove(&key).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(mirror: &mut Mirror<u8, char>, items: &[(u8, Reading<char>)]) -> bool {
        assert!(!mirror.apply(Seen::ListBegins));
        for (key, reading) in items {
            assert!(!mirror.apply(Seen::Listed(*key, reading.clone())));
        }
        mirror.apply(Seen::ListEnds)
    }

    #[test]
    fn a_list_replaces_everything_but_only_when_it_is_complete() {
        let mut mirror = Mirror::default();
        assert!(listed(&mut mirror, &[]), "to know that there is nothing is news");
        assert!(mirror.is_complete());
        assert!(listed(&mut mirror, &[(1, Reading::Record('a')), (2, Reading::Record('b'))]));
        assert!(!listed(&mut mirror, &[(1, Reading::Record('a')), (2, Reading::Record('b'))]), "the same is no news");
        mirror.apply(Seen::ListBegins);
        mirror.apply(Seen::Listed(3, Reading::Record('c')));
        assert_eq!(mirror.records().len(), 2, "a list under way changes nothing");
        assert!(mirror.apply(Seen::ListEnds));
        assert_eq!(*mirror.records(), BTreeMap::from([(3, 'c')]));
    }

    #[test]
    fn a_change_is_news_only_if_what_we_read_differs() {
        let mut mirror = Mirror::default();
        listed(&mut mirror, &[(1, Reading::Record('a'))]);
        assert!(!mirror.apply(Seen::Changed(1, Reading::Record('a'))));
        assert!(mirror.apply(Seen::Changed(1, Reading::Record('b'))));
        assert!(mirror.apply(Seen::Changed(1, Reading::Irrelevant)));
        assert!(!mirror.apply(Seen::Gone(1)));
    }

    #[test]
    fn an_object_that_cannot_be_read_stays_as_it_was() {
        let mut mirror = Mirror::default();
        listed(&mut mirror, &[(1, Reading::Record('a')), (2, Reading::Unreadable)]);
        assert!(!mirror.apply(Seen::Changed(1, Reading::Unreadable)));
        assert!(!listed(&mut mirror, &[(1, Reading::Unreadable)]));
        assert_eq!(*mirror.records(), BTreeMap::from([(1, 'a')]));
    }
}
