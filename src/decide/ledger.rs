use std::collections::BTreeMap;
use std::fmt;

use super::Moment;
use crate::model::{Reason, RuntimeId, State};

/// What is known of one runtime that is not gone.
#[derive(Clone, Debug)]
pub struct Slot {
    pub(super) state: State,
    pub(super) kind: SlotKind,
    /// Which version of the spec it was made from.
    pub(super) generation: u64,
    /// When it becomes too old; `None` when it never does.
    pub(super) aged_at: Option<Moment>,
    /// Why it must not be leased again, once that is known. It may still be leased now.
    pub(super) condemned: Option<Reason>,
    /// Why it is being retired, once it is.
    pub(super) reason: Option<Reason>,
}

impl Slot {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What it counts against.
    #[must_use]
    pub fn kind(&self) -> SlotKind {
        self.kind
    }
}

/// Which allowance a runtime counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// `max`.
    Pooled,
    /// `overflow`: destroyed after one lease.
    Overflow,
}

/// A transition the life of a runtime does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal {
    /// Of which runtime.
    pub id: RuntimeId,
    /// From where; `None` when there is no such runtime.
    pub from: Option<State>,
    /// To where.
    pub to: State,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => write!(f, "{} cannot go from {from} to {}", self.id, self.to),
            None => write!(f, "{} cannot become {}: there is no such runtime", self.id, self.to),
        }
    }
}

/// Every runtime of a pool in exactly one state, and the counts that follow from that. Counts change in
/// `add` and `transition` and nowhere else.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    slots: BTreeMap<RuntimeId, Slot>,
    pooled: [usize; State::ALL.len()],
    overflow: [usize; State::ALL.len()],
    launched: u64,
    retired: [u64; Reason::ALL.len()],
}

impl Ledger {
    pub(super) fn add(&mut self, id: RuntimeId, slot: Slot) {
        self.launched += 1;
        self.counts(slot.kind)[slot.state as usize] += 1;
        self.slots.insert(id, slot);
    }

    /// Moves a runtime along an edge that [`State::may_become`] allows. `Gone` removes it.
    pub(super) fn transition(&mut self, id: RuntimeId, to: State) -> Result<(), Illegal> {
        let Some(slot) = self.slots.get_mut(&id) else {
            return Err(Illegal { id, from: None, to });
        };
        let from = slot.state;
        if !from.may_become(to) {
            return Err(Illegal { id, from: Some(from), to });
        }
        slot.state = to;
        let kind = slot.kind;
        if to == State::Gone {
            let reason = self.slots.remove(&id).and_then(|slot| slot.reason);
            if let Some(reason) = reason {
                self.retired[reason as usize] += 1;
            }
        }
        let counts = self.counts(kind);
        counts[from as usize] -= 1;
        if to != State::Gone {
            counts[to as usize] += 1;
        }
        Ok(())
    }

    /// Counts anew who is there, and takes each one's state from others. One that it had not heard of was made from
    /// what counts now.
    pub(super) fn recount(&mut self, there: Vec<(RuntimeId, State)>, generation: u64) {
        let mut known = std::mem::take(&mut self.slots);
        self.pooled = Default::default();
        self.overflow = Default::default();
        for (id, state) in there {
            let unknown = Slot {
                state,
                kind: SlotKind::Pooled,
                generation,
                aged_at: None,
                condemned: None,
                reason: None,
            };
            let slot = Slot { state, ..known.remove(&id).unwrap_or(unknown) };
            self.counts(slot.kind)[state as usize] += 1;
            self.slots.insert(id, slot);
        }
        for reason in known.into_values().filter_map(|slot| slot.reason) {
            self.retired[reason as usize] += 1;
        }
    }

    fn counts(&mut self, kind: SlotKind) -> &mut [usize; State::ALL.len()] {
        match kind {
            SlotKind::Pooled => &mut self.pooled,
            SlotKind::Overflow => &mut self.overflow,
        }
    }

    /// One runtime, unless it is gone.
    #[must_use]
    pub fn get(&self, id: RuntimeId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: RuntimeId) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    /// Every runtime that is not gone, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (RuntimeId, &Slot)> {
        self.slots.iter().map(|(id, slot)| (*id, slot))
    }

    /// Where a runtime stands; `None` when it is gone or never was.
    #[must_use]
    pub fn state(&self, id: RuntimeId) -> Option<State> {
        self.get(id).map(Slot::state)
    }

    /// Runtimes in a state, overflow ones included.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.pooled[state as usize] + self.overflow[state as usize]
    }

    /// Runtimes of a kind in a state.
    #[must_use]
    pub fn count_of(&self, kind: SlotKind, state: State) -> usize {
        match kind {
            SlotKind::Pooled => self.pooled[state as usize],
            SlotKind::Overflow => self.overflow[state as usize],
        }
    }

    /// Runtimes of a kind in any state.
    #[must_use]
    pub fn total(&self, kind: SlotKind) -> usize {
        match kind {
            SlotKind::Pooled => self.pooled.iter().sum(),
            SlotKind::Overflow => self.overflow.iter().sum(),
        }
    }

    /// Runtimes on their way to their first lease.
    #[must_use]
    pub fn arriving(&self, kind: SlotKind) -> usize {
        State::ALL
            .into_iter()
            .filter(|state| state.is_arriving())
            .map(|state| self.count_of(kind, state))
            .sum()
    }

    /// Launches so far.
    #[must_use]
    pub fn launched(&self) -> u64 {
        self.launched
    }

    /// Runtimes gone so far for a reason.
    #[must_use]
    pub fn retired(&self, reason: Reason) -> u64 {
        self.retired[reason as usize]
    }

    /// Whether there is no runtime at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
