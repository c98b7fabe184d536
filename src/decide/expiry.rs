use std::collections::BTreeSet;

use super::Moment;
use super::ledger::{Slot, SlotKind};
use crate::model::{Reason, RuntimeId};

/// Which circulating runtimes are to be replaced though nothing is wrong with them, and when. Kept beside the
/// ledger so that asking costs the same with ten runtimes and ten thousand.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiry {
    by_age: BTreeSet<(Moment, RuntimeId)>,
    outdated: BTreeSet<RuntimeId>,
}

impl Expiry {
    /// It circulates from now on. Overflow runtimes don't outlive their one lease anyway.
    pub(super) fn watch(&mut self, id: RuntimeId, slot: &Slot, generation: u64) {
        if slot.kind == SlotKind::Overflow {
            return;
        }
        if slot.generation != generation {
            self.outdated.insert(id);
        } else if let Some(at) = slot.aged_at {
            self.by_age.insert((at, id));
        }
    }

    /// It circulates no more, or is condemned already.
    pub(super) fn forget(&mut self, id: RuntimeId, slot: &Slot) {
        if let Some(at) = slot.aged_at {
            self.by_age.remove(&(at, id));
        }
        self.outdated.remove(&id);
    }

    /// The one to replace first: outdated before aged, the oldest of each.
    pub(super) fn due(&self, now: Moment) -> Option<(RuntimeId, Reason)> {
        let outdated = self.outdated.first().map(|id| (*id, Reason::SpecChanged));
        let aged = || self.by_age.first().filter(|(at, _)| *at <= now).map(|(_, id)| (*id, Reason::Aged));
        outdated.or_else(aged)
    }
}
