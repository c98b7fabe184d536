use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::chart::Charts;
use super::histogram::Histogram;
use crate::model::{Reason, RuntimeId, State};

/// A pool's public figures: written by their one owner each, read by anybody without asking an actor.
///
/// The supervisor copies its ledger here after each step; leases count themselves. Single figures are exact;
/// two read one after the other may be a step apart.
#[derive(Debug)]
pub(crate) struct Board {
    states: [AtomicUsize; State::ALL.len()],
    retired: [AtomicU64; Reason::ALL.len()],
    launched: AtomicU64,
    degraded: watch::Sender<Option<Arc<str>>>,
    trouble: watch::Sender<Option<Arc<str>>>,
    /// Of the runtimes that are there.
    pub(crate) charts: Charts,
    /// Those that did not wait, or were tested after it; the handoff counts the others.
    pub(crate) leases: Spread,
    /// Runtimes that were waited for and then had to be tested.
    pub(crate) tested_waits: AtomicU64,
    /// Of the cold ones, those that a launch ended; seldom raised.
    pub(crate) cold_launch: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) exhausted: AtomicU64,
    pub(crate) leaked: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
    pub(crate) wait: Histogram,
    pub(crate) exec: Histogram,
    pub(crate) launch: Histogram,
    pub(crate) reset: Histogram,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            states: Default::default(),
            retired: Default::default(),
            launched: AtomicU64::new(0),
            degraded: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
            charts: Charts::default(),
            leases: Spread::default(),
            tested_waits: AtomicU64::new(0),
            cold_launch: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            overloaded: AtomicU64::new(0),
            exhausted: AtomicU64::new(0),
            leaked: AtomicU64::new(0),
            events_dropped: AtomicU64::new(0),
            wait: Histogram::default(),
            exec: Histogram::default(),
            launch: Histogram::default(),
            reset: Histogram::default(),
        }
    }
}

impl Board {
    pub(crate) fn set_state(&self, state: State, count: usize) {
        self.states[state as usize].store(count, Ordering::Relaxed);
    }

    pub(crate) fn state(&self, state: State) -> usize {
        self.states[state as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn set_retired(&self, reason: Reason, count: u64) {
        self.retired[reason as usize].store(count, Ordering::Relaxed);
    }

    pub(crate) fn retired(&self, reason: Reason) -> u64 {
        self.retired[reason as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn set_launched(&self, count: u64) {
        self.launched.store(count, Ordering::Relaxed);
    }

    pub(crate) fn launched(&self) -> u64 {
        self.launched.load(Ordering::Relaxed)
    }

    /// With the cause, for as long as it is.
    pub(crate) fn set_degraded(&self, cause: Option<&str>) {
        self.degraded.send_replace(cause.map(Arc::from));
    }

    pub(crate) fn is_degraded(&self) -> bool {
        self.degraded.borrow().is_some()
    }

    /// The last failure, in words; `None` once a launch has come through again.
    pub(crate) fn set_trouble(&self, trouble: Option<&str>) {
        self.trouble.send_replace(trouble.map(Arc::from));
    }

    pub(crate) fn last_failure(&self) -> Option<Arc<str>> {
        self.trouble.borrow().clone()
    }

    /// Why it is degraded, else the last failure.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.degraded.borrow().clone().or_else(|| self.last_failure())
    }
}

/// A counter that every lease raises, spread over cache lines so that two processors seldom raise it in the
/// same one.
#[derive(Debug, Default)]
pub(crate) struct Spread([Line; 16]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Spread {
    /// Adds one, in the line of this runtime.
    #[inline]
    pub(crate) fn count(&self, runtime: RuntimeId) {
        let lines = self.0.len() as u64;
        // The remainder of sixteen fits everywhere.
        let line = usize::try_from(runtime.0 % lines).unwrap_or(0);
        count(&self.0[line].0);
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}

/// Adds one to a counter that only ever grows.
#[inline]
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
