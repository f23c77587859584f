//! Writes for Services that the API server refuses, and will refuse until somebody changes something.

use super::{Failure, FailureClass};
use crate::effects::EffectKind;
use herald_core::names::Uid;
use std::collections::BTreeMap;

/// The last refused write of each Service's life.
#[derive(Debug, Default)]
pub(super) struct RefusedWrites {
    writes: BTreeMap<Uid, Failure>,
}

impl RefusedWrites {
    /// Notes a failure; `true` = it is a refusal, and news.
    pub(super) fn note(&mut self, service: &Uid, failure: &Failure) -> bool {
        let refused = matches!(failure.class, FailureClass::Invalid | FailureClass::Forbidden);
        refused && self.writes.insert(service.clone(), failure.clone()).as_ref() != Some(failure)
    }

    /// Notes that effects of these kinds succeeded.
    pub(super) fn succeeded(&mut self, service: &Uid, kinds: &[EffectKind]) {
        if self.writes.get(service).is_some_and(|failure| kinds.contains(&failure.effect)) {
            self.writes.remove(service);
        }
    }

    pub(super) fn get(&self, service: &Uid) -> Option<&Failure> {
        self.writes.get(service)
    }

    pub(super) fn forget(&mut self, service: &Uid) {
        self.writes.remove(service);
    }
}
