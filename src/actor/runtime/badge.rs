use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::actor::shared::Endpoints;
use crate::guest::Wire;
use crate::model::{Epoch, State};
use crate::observe::Chart;

/// What a Runtime actor says of its runtime, true at every moment. Its reports say the same; but a supervisor that
/// starts over goes by this, and need not have heard them.
#[derive(Debug)]
pub(in crate::actor) struct Badge {
    /// `Booting` never shows: backends hand over guests that have said hello.
    state: Cell<State>,
    fallen: Cell<bool>,
    reports: Cell<u64>,
    cleaned_after: Cell<Epoch>,
    ware: RefCell<Option<Ware>>,
}

/// What a ticket is made of, once the runtime is warm.
#[derive(Debug)]
pub(in crate::actor) struct Ware {
    pub(in crate::actor) wire: Arc<dyn Wire>,
    /// The runtime's name for others.
    pub(in crate::actor) handle: Arc<str>,
    /// Where its ports are reached.
    pub(in crate::actor) endpoints: Endpoints,
    /// How it does, for others.
    pub(in crate::actor) chart: Arc<Chart>,
}

impl Default for Badge {
    fn default() -> Self {
        Self {
            state: Cell::new(State::Launching),
            fallen: Cell::new(false),
            reports: Cell::new(0),
            cleaned_after: Cell::new(Epoch::default()),
            ware: RefCell::new(None),
        }
    }
}

impl Badge {
    /// Where the runtime stands.
    pub(in crate::actor) fn state(&self) -> State {
        self.state.get()
    }

    pub(super) fn enter(&self, state: State) {
        self.state.set(state);
    }

    /// Whether it ended or must be ended.
    pub(in crate::actor) fn is_fallen(&self) -> bool {
        self.fallen.get()
    }

    pub(super) fn fall(&self) {
        self.fallen.set(true);
    }

    /// The last epoch that it was cleaned after.
    pub(in crate::actor) fn cleaned_after(&self) -> Epoch {
        self.cleaned_after.get()
    }

    pub(super) fn clean(&self, ended: Epoch) {
        self.cleaned_after.set(ended);
        self.enter(State::Circulating);
    }

    /// How many reports there have been.
    pub(in crate::actor) fn reports(&self) -> u64 {
        self.reports.get()
    }

    pub(super) fn next_report(&self) -> u64 {
        self.reports.set(self.reports.get() + 1);
        self.reports.get()
    }

    pub(super) fn warm(&self, ware: Ware) {
        self.ware.replace(Some(ware));
        self.enter(State::Circulating);
    }

    pub(in crate::actor) fn has_ware(&self) -> bool {
        self.ware.borrow().is_some()
    }

    pub(in crate::actor) fn take_ware(&self) -> Option<Ware> {
        self.ware.take()
    }
}
