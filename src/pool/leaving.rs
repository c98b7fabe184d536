//! What ends while the rest goes on.

use std::future::Future;
use std::sync::{Arc, Weak};

use slog::{Logger, warn};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{ErrorKind, Pool, ask, ending};
use crate::actor::LetGo;
use crate::backend::Backend;
use crate::model::PoolName;

/// What there is of a pool that is to end.
pub(super) struct Remains {
    /// `None` when it never opened.
    pub(super) pool: Option<Pool>,
    /// All that may have runtimes of it.
    pub(super) backends: Vec<Arc<dyn Backend>>,
}

/// A pool that drains in the background, closes its backends and is let go. Holds on to none of it.
pub(super) struct Leaving {
    pool: Option<Pool>,
    backends: Vec<Weak<dyn Backend>>,
    pub(super) closing: JoinHandle<()>,
}

impl Leaving {
    /// Goes on whatever becomes of the value, once `first` is over.
    pub(super) fn start(
        remains: Remains,
        first: impl Future<Output = ()> + Send + 'static,
        name: PoolName,
        log: Logger,
        runtime: &Handle,
    ) -> Self {
        let Remains { pool, backends } = remains;
        let weak = backends.iter().map(Arc::downgrade).collect();
        let drain = pool.as_ref().map(ending::drain);
        let drained = pool.clone();
        let closing = runtime.spawn(async move {
            first.await;
            if let Some(drain) = drain {
                drain.await;
            }
            for backend in backends {
                close(backend, name.clone(), log.clone()).await;
            }
            if let Some(Pool { shared, supervisor }) = drained {
                // An error is a supervisor that has ended, and what it held with it.
                let _: Result<(), ErrorKind> = ask::tell(&supervisor, LetGo { pool: shared }).await;
            }
        });
        Self { pool, backends: weak, closing }
    }

    /// Somebody else sees to its end; nothing when that has been.
    pub(super) fn taken_over(self) -> Option<Remains> {
        if self.closing.is_finished() {
            return None;
        }
        let backends = self.backends.iter().filter_map(Weak::upgrade).collect();
        self.closing.abort();
        Some(Remains { pool: self.pool, backends })
    }

    /// Runtimes that it has yet.
    pub(super) fn left(&self) -> usize {
        self.pool.as_ref().map_or(0, |pool| pool.status().states.values().sum())
    }
}

/// A backend removes what its runtimes shared.
pub(super) async fn close(backend: Arc<dyn Backend>, pool: PoolName, log: Logger) {
    if let Err(error) = backend.close().await {
        warn!(log, "backend did not close"; "pool" => %pool, "cause" => %error);
    }
}
