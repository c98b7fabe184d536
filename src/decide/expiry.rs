use std::collections::BTreeSet;

use super::Moment;
use crate::model::{Reason, RuntimeId};

/// Who is due to be replaced though nothing is wrong with it, in order. Kept beside the ledger so that asking
/// costs the same with ten runtimes and ten thousand.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiry {
    by_age: BTreeSet<(Moment, RuntimeId)>,
    outdated: BTreeSet<RuntimeId>,
    strays: BTreeSet<RuntimeId>,
}

impl Expiry {
    /// A runtime to be replaced at a certain age.
    pub(super) fn ages(&mut self, id: RuntimeId, at: Moment) {
        self.by_age.insert((at, id));
    }

    /// A runtime made from a spec that is no longer the pool's.
    pub(super) fn is_outdated(&mut self, id: RuntimeId) {
        self.outdated.insert(id);
    }

    /// A runtime beyond `max` that must not stay in the pool.
    pub(super) fn is_stray(&mut self, id: RuntimeId) {
        self.strays.insert(id);
    }

    /// No longer of interest: it is condemned, or gone.
    pub(super) fn forget(&mut self, id: RuntimeId, aged_at: Option<Moment>) {
        if let Some(at) = aged_at {
            self.by_age.remove(&(at, id));
        }
        self.outdated.remove(&id);
        self.strays.remove(&id);
    }

    /// Those whose time has come, outdated ones first, the oldest of each first.
    pub(super) fn due(&self, now: Moment) -> impl Iterator<Item = (RuntimeId, Reason)> {
        let outdated = self.outdated.iter().map(|id| (*id, Reason::SpecChanged));
        let aged =
            self.by_age.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| (*id, Reason::Aged));
        outdated.chain(aged)
    }

    pub(super) fn strays(&self) -> impl Iterator<Item = RuntimeId> {
        self.strays.iter().copied()
    }
}
