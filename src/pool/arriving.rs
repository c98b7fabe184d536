//! What begins, and may come to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use slog::Logger;
use tokio::task::JoinHandle;

use super::leaving::{Leaving, Remains};
use super::{Error, Pool, ask};
use crate::actor::{Charter, MadeBy, OpenPool, Tree};
use crate::backend::{Backend, BackendError};
use crate::model::{PoolName, PoolSpec};

/// A backend and the pool that is to have it, from their first trace until somebody sees to them. Dropped before, they
/// leave again.
pub(super) struct Arriving<'a> {
    pub(super) tree: &'a Tree,
    leaving: &'a mut BTreeMap<PoolName, Leaving>,
    name: PoolName,
    log: Logger,
    /// `None` when another pool's life depends on it, or somebody has it.
    guarded: Option<Arc<dyn Backend>>,
    preparing: Option<JoinHandle<Result<String, BackendError>>>,
    pool: Option<Pool>,
}

impl<'a> Arriving<'a> {
    pub(super) fn new(
        name: PoolName,
        tree: &'a Tree,
        leaving: &'a mut BTreeMap<PoolName, Leaving>,
        log: Logger,
    ) -> Self {
        Self { tree, leaving, name, log, guarded: None, preparing: None, pool: None }
    }

    /// Finds out whether the backend can make runtimes; answers what it calls itself. One that `is_new` is closed
    /// should this come to nothing.
    pub(super) async fn prepare(
        &mut self,
        backend: &Arc<dyn Backend>,
        is_new: bool,
    ) -> Result<String, Error> {
        self.guarded = is_new.then(|| Arc::clone(backend));
        let preparing = Arc::clone(backend);
        let prepared = self.preparing.insert(self.tree.runtime.spawn(async move {
            preparing.prepare().await?;
            Ok(preparing.name().to_owned())
        }));
        let prepared = prepared.await;
        self.preparing = None;
        prepared.map_err(Error::not_started)?.map_err(Error::not_started)
    }

    /// Has the supervisor open the pool.
    pub(super) async fn open(&mut self, spec: &PoolSpec, made_by: MadeBy) -> Result<(), Error> {
        let charter = Charter::new(self.name.clone(), spec.clone(), made_by, self.tree);
        let supervisor = &self.tree.supervisor;
        let pool = Pool { shared: Arc::clone(&charter.shared), supervisor: supervisor.clone() };
        self.pool = Some(pool);
        let open = |answer| OpenPool { charter: charter.clone(), answer };
        ask::ask(supervisor, open).await.map_err(|kind| Error::new("start", kind))
    }

    /// Somebody sees to them from here; answers the pool that opened.
    pub(super) fn arrive(mut self) -> Option<Pool> {
        self.guarded = None;
        self.pool.take()
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        let (pool, preparing) = (self.pool.take(), self.preparing.take());
        let Some(backend) = self.guarded.take() else { return };
        let prepared = async {
            if let Some(preparing) = preparing {
                // However it ended.
                drop(preparing.await);
            }
        };
        let remains = Remains { pool, backends: vec![backend] };
        let (name, log) = (self.name.clone(), self.log.clone());
        let leaving = Leaving::start(remains, prepared, name.clone(), log, &self.tree.runtime);
        self.leaving.insert(name, leaving);
    }
}
