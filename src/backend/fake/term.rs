use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Which lease a wire serves at the moment. Wakes in order, unlike a `watch`: one seed must be one run.
#[derive(Debug, Default)]
pub(super) struct Term {
    /// The epoch of the lease that has begun and not ended; 0 when there is none.
    epoch: AtomicU64,
    changed: Notify,
}

impl Term {
    pub(super) fn begin(&self, epoch: u64) {
        self.set(epoch);
    }

    pub(super) fn end(&self) {
        self.set(0);
    }

    /// Whether an operation with this epoch may not go on. One without belongs to no lease.
    pub(super) fn is_over(&self, epoch: Option<u64>) -> bool {
        epoch.is_some_and(|epoch| epoch == 0 || epoch != self.epoch.load(Ordering::Acquire))
    }

    /// Ready when [`is_over`](Self::is_over) holds.
    pub(super) async fn over(&self, epoch: Option<u64>) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change goes unnoticed.
            changed.as_mut().enable();
            if self.is_over(epoch) {
                return;
            }
            changed.await;
        }
    }

    fn set(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
        self.changed.notify_waiters();
    }
}
