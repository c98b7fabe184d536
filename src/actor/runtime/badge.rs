use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::actor::shared::Endpoints;
use crate::guest::Wire;
use crate::model::{Epoch, State};
use crate::observe::Chart;

/// What a Runtime actor says of its runtime, true at every moment. Its reports say the same; but a supervisor that
/// starts over goes by this, and need not have heard them.
///
/// Locked for as long as it takes to copy a few words: by its Runtime, and by a supervisor that starts over, which must
/// not see what a report says without seeing that it was made.
#[derive(Debug, Default)]
pub(in crate::actor) struct Badge(Mutex<Inscription>);

#[derive(Debug, Default)]
struct Inscription {
    words: Words,
    ware: Option<Ware>,
}

/// A badge, as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(in crate::actor) struct Words {
    /// Where the runtime stands. `Booting` never shows: backends hand over guests that have said hello.
    pub(in crate::actor) state: State,
    /// It ended or must be ended.
    pub(in crate::actor) fallen: bool,
    /// How many reports there have been.
    pub(in crate::actor) reports: u64,
    /// The last epoch that it was cleaned after.
    pub(in crate::actor) cleaned_after: Epoch,
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

impl Default for Words {
    fn default() -> Self {
        Self { state: State::Launching, fallen: false, reports: 0, cleaned_after: Epoch::default() }
    }
}

impl Badge {
    /// All of it but the ware, and whether that is there.
    pub(in crate::actor) fn read(&self) -> (Words, bool) {
        let badge = self.lock();
        (badge.words, badge.ware.is_some())
    }

    /// Where the runtime stands.
    pub(super) fn state(&self) -> State {
        self.lock().words.state
    }

    pub(super) fn is_fallen(&self) -> bool {
        self.lock().words.fallen
    }

    pub(super) fn cleaned_after(&self) -> Epoch {
        self.lock().words.cleaned_after
    }

    pub(super) fn enter(&self, state: State) {
        self.lock().words.state = state;
    }

    /// Writes down what the next so many reports say; answers the number of the first.
    pub(super) fn report(&self, reports: u64, change: impl FnOnce(&mut Words)) -> u64 {
        let mut badge = self.lock();
        let first = badge.words.reports + 1;
        badge.words.reports += reports;
        change(&mut badge.words);
        first
    }

    /// As [`report`](Self::report), of a runtime that is leasable from now on.
    pub(super) fn report_warm(&self, ware: Ware) -> u64 {
        let mut badge = self.lock();
        badge.ware = Some(ware);
        badge.words.state = State::Circulating;
        badge.words.reports += 1;
        badge.words.reports
    }

    pub(in crate::actor) fn take_ware(&self) -> Option<Ware> {
        self.lock().ware.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inscription> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
