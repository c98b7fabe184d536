//! What has happened, until Metrics is told.
//!
//! Telling it wakes its thread, which after each lease again costs a short lease more than a twentieth of its time. So
//! while nobody listens it hears all of it at once, with the next tick; and while there is no Metrics it is kept for the
//! next one.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::Addr;
use actix::prelude::SendError;

use super::Supervisor;
use crate::actor::metrics::{Metrics, Observed};
use crate::model::PoolName;
use crate::observe::{Change, count};

/// So much is told at once, whoever listens.
const BATCH: usize = 64;
/// Kept at most for a Metrics that is to come.
const KEPT: usize = 1024;

/// In the order in which it happened.
#[derive(Default)]
pub(super) struct News(VecDeque<Observed>);

impl News {
    fn add(&mut self, observed: Observed) {
        if self.0.len() < KEPT {
            self.0.push_back(observed);
        } else {
            count(&observed.shared.board.events_dropped);
        }
    }

    fn tell(&mut self, metrics: &Addr<Metrics>) {
        for observed in self.0.drain(..) {
            // States and reasons are on the board already; a full mailbox costs an event, and that is counted.
            if let Err(SendError::Full(lost) | SendError::Closed(lost)) = metrics.try_send(observed) {
                count(&lost.shared.board.events_dropped);
            }
        }
    }
}

impl Supervisor {
    pub(super) fn observe(&mut self, pool: &PoolName, change: Change) {
        let Some(pool) = self.estate.pools.get(pool) else { return };
        let observed = Observed { shared: Arc::clone(&pool.shared), change, number: self.audience.number() };
        self.estate.news.add(observed);
        if self.audience.is_there() || self.estate.news.0.len() >= BATCH {
            self.tell_news();
        }
    }

    pub(super) fn tell_news(&mut self) {
        // One that has just panicked is started again.
        if let Some(metrics) = self.estate.metrics.as_ref().filter(|metrics| metrics.connected()) {
            self.estate.news.tell(metrics);
        }
    }
}
