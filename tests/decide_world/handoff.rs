use std::collections::VecDeque;

use ostler::decide::Stock;
use ostler::model::RuntimeId;

/// Ready tickets, waiters and leases, as the real handoff orders them: strictly first in, first out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handoff {
    pub(crate) ready: VecDeque<RuntimeId>,
    pub(crate) waiters: usize,
    /// Of the waiters, in their order, who may have a runtime beyond `max`.
    wishes: VecDeque<bool>,
    pub(crate) leased: Vec<RuntimeId>,
    pub(crate) closed: bool,
    pub(crate) mark: Option<usize>,
    lowest: usize,
    signalled: bool,
}

impl Handoff {
    pub(crate) fn stock(&self) -> Stock {
        let overflow = self.wishes.iter().filter(|wish| **wish).count();
        Stock { ready: self.ready.len(), waiters: self.waiters, overflow }
    }

    /// The oldest waiter gets it, or it is ready. Tells whether it was leased.
    pub(super) fn put(&mut self, id: RuntimeId) -> bool {
        if self.waiters > 0 {
            self.waiters -= 1;
            self.wishes.pop_front();
            self.leased.push(id);
            return true;
        }
        self.ready.push_back(id);
        false
    }

    pub(super) fn wait(&mut self, wishes: bool) {
        self.waiters += 1;
        self.wishes.push_back(wishes);
    }

    /// Whoever came last goes.
    pub(super) fn give_up(&mut self) {
        self.waiters = self.waiters.saturating_sub(1);
        self.wishes.pop_back();
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.waiters = 0;
        self.wishes.clear();
    }

    pub(super) fn pop(&mut self) -> Option<RuntimeId> {
        let id = self.ready.pop_front();
        self.lowest = self.lowest.min(self.ready.len());
        id
    }

    /// Takes out one that is ready; tells whether it was.
    pub(super) fn remove(&mut self, id: RuntimeId) -> bool {
        let before = self.ready.len();
        self.ready.retain(|ready| *ready != id);
        self.lowest = self.lowest.min(self.ready.len());
        self.ready.len() < before
    }

    /// Whether the supervisor is to be told that stock is low: once per crossing.
    pub(super) fn signals(&mut self) -> bool {
        let low = self.mark.is_some_and(|mark| self.ready.len() < mark || self.waiters > 0);
        let signal = low && !self.signalled;
        self.signalled |= signal;
        signal
    }

    pub(super) fn lowest_since_tick(&mut self) -> usize {
        self.signalled = false;
        std::mem::replace(&mut self.lowest, self.ready.len()).min(self.ready.len())
    }
}
