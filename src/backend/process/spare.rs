use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use slog::{Logger, warn};

use crate::backend::{BackendError, Launched};

/// How long the spare waits to be the pool's first runtime. A pool that keeps none ready soon has none.
const KEPT: Duration = Duration::from_secs(1);

/// The runtime that was made to see whether one can be made. It is as good as any, so the first launch takes it.
#[derive(Debug)]
pub(super) struct Spare(ArrayQueue<Launched>);

impl Spare {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(ArrayQueue::new(1)))
    }

    /// Keeps a runtime for a moment. Must be called inside a tokio runtime.
    pub(super) fn keep(self: &Arc<Self>, launched: Launched, log: Logger) {
        // One that was there already ends as it drops.
        drop(self.0.force_push(launched));
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            if let Err(error) = this.end().await {
                warn!(log, "the spare sandbox is not gone"; "cause" => %error);
            }
        });
    }

    pub(super) fn take(&self) -> Option<Launched> {
        self.0.pop()
    }

    /// Destroys it, if it is still here.
    pub(super) async fn end(&self) -> Result<(), BackendError> {
        match self.take() {
            Some(mut launched) => launched.instance.destroy().await,
            None => Ok(()),
        }
    }
}
