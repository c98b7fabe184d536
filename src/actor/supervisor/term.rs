use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Addr;
use crossbeam_utils::atomic::AtomicCell;

use super::news::News;
use super::pool::Pool;
use crate::actor::health::Health;
use crate::actor::maintenance::Maintenance;
use crate::actor::metrics::Metrics;
use crate::model::PoolName;

/// All that a supervisor is responsible for. Moves from one to the next.
#[derive(Default)]
pub(in crate::actor) struct Estate {
    pub(super) pools: BTreeMap<PoolName, Pool>,
    /// `None` until they have first reported for duty.
    pub(super) health: Option<Addr<Health>>,
    pub(super) maintenance: Option<Addr<Maintenance>>,
    pub(super) metrics: Option<Addr<Metrics>>,
    pub(super) news: News,
    /// Why they had to be replaced, until somebody is there who can pass it on.
    pub(super) unwatched: Option<String>,
    pub(super) seed: u64,
}

impl Estate {
    pub(in crate::actor) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

/// One supervisor's time in office, as its thread and that of its [`Office`](crate::actor::office) see it.
#[derive(Default)]
pub(in crate::actor) struct Term {
    beats: AtomicU64,
    /// Here unless the supervisor is at work on it: between two messages, and while anything runs that is not ours and
    /// may never end. Whoever takes it out owns it, in one step; who finds nothing is not in office.
    estate: AtomicCell<Option<Box<Estate>>>,
}

impl Term {
    /// A sign of life.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::actor) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    pub(in crate::actor) fn take(&self) -> Option<Estate> {
        self.estate.take().map(|estate| *estate)
    }

    pub(super) fn lay_down(&self, estate: Estate) {
        self.estate.store(Some(Box::new(estate)));
    }
}
