//! What the rest of the speaker is still to be told, so that it may be slow: only the latest about each thing is kept.

use super::{Event, Task};
use herald_core::member::About;
use herald_core::names::IfIndex;
use std::collections::{BTreeMap, VecDeque};

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Member(About),
    Hindrance(IfIndex, Task),
}

/// Events in the order in which the things they are about first changed. No more wait than there are things to tell of.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    order: VecDeque<Topic>,
    latest: BTreeMap<Topic, Event>,
}

impl Outbox {
    /// Puts an event in place of the one about the same thing, or at the end.
    pub(super) fn push(&mut self, event: Event) {
        let topic = topic(&event);
        if self.latest.insert(topic.clone(), event).is_none() {
            self.order.push_back(topic);
        }
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.order.pop_front().and_then(|topic| self.latest.remove(&topic))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Forgets all: nobody listens any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn topic(event: &Event) -> Topic {
    match event {
        Event::Member(event) => Topic::Member(event.about()),
        Event::Hindered { link, task, .. } => Topic::Hindrance(*link, *task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herald_core::member;
    use std::time::Duration;

    fn woke(milliseconds: u64) -> Event {
        Event::Member(member::Event::Woke { lateness: Duration::from_millis(milliseconds) })
    }

    fn hindered(link: u32, hindrance: Option<&str>) -> Event {
        Event::Hindered { link: IfIndex(link), task: Task::Beats, hindrance: hindrance.map(str::to_owned) }
    }

    #[test]
    fn of_events_about_the_same_thing_the_latest_waits_in_the_first_ones_place() {
        let mut outbox = Outbox::default();
        for event in [hindered(1, Some("in use")), woke(200), hindered(2, None), hindered(1, None), woke(300)] {
            outbox.push(event);
        }
        let events: Vec<_> = std::iter::from_fn(|| outbox.pop()).collect();
        assert_eq!(events, [hindered(1, None), woke(300), hindered(2, None)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_was_taken_is_told_anew_when_it_changes() {
        let mut outbox = Outbox::default();
        outbox.push(woke(200));
        assert_eq!(outbox.pop(), Some(woke(200)));
        outbox.push(woke(200));
        assert_eq!(outbox.pop(), Some(woke(200)));
        assert_eq!(outbox.pop(), None);
    }
}
