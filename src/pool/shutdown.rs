use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::leaving::{Remains, close};
use super::lock::InstanceLock;
use super::scribe::Scribe;
use super::timer::by;
use super::{Error, ErrorKind, Stopper, ending};
use crate::actor::Tree;
use crate::model::PoolName;

/// From the end of patience: by when backends have removed what runtimes shared, by when the actors have ended, by
/// when the log is written, and by when the threads have ended. Runtimes that go at once leave most of it to them.
const CLOSED: Duration = Duration::from_millis(1600);
const ENDED: Duration = Duration::from_millis(1750);
const WRITTEN: Duration = Duration::from_millis(1900);
const STOPPED: Duration = Duration::from_millis(1950);

/// The end of an ostler, on the caller's runtime, so that no thread of ostler's own that hangs holds it up. Dropped before it
/// is over, it goes on in the background, with no more patience.
pub(super) struct Shutdown {
    /// `None` once it is over.
    tree: Option<Tree>,
    pools: Vec<(PoolName, Remains)>,
    lock: Option<InstanceLock>,
    scribe: Option<Scribe>,
    stopper: Stopper,
    log: Logger,
    /// Whether there is nobody to tell what could not be ended.
    is_alone: bool,
}

impl Shutdown {
    pub(super) fn new(
        tree: Tree,
        pools: Vec<(PoolName, Remains)>,
        lock: Option<InstanceLock>,
        scribe: Option<Scribe>,
        stopper: Stopper,
        log: Logger,
    ) -> Self {
        Self { tree: Some(tree), pools, lock, scribe, stopper, log, is_alone: false }
    }

    /// Drains all pools for as long as `grace`, then ends what is left, then the actors.
    pub(super) async fn run(&mut self, grace: Duration) -> Result<(), Error> {
        let Some(tree) = &self.tree else { return Ok(()) };
        let log = &self.log;
        info!(log, "shutting down"; "grace" => ?grace);
        let handles: Vec<_> = self.pools.iter().filter_map(|(_, remains)| remains.pool.clone()).collect();
        let (survivors, patient_until) = ending::drain_all(&handles, grace, self.stopper.hurried()).await;
        let home = tree.runtime.clone();
        let mut closing = JoinSet::new();
        for (name, remains) in &self.pools {
            for backend in &remains.backends {
                closing.spawn_on(close(Arc::clone(backend), name.clone(), log.clone()), &home);
            }
        }
        let all_closed = async {
            while let Some(closed) = closing.join_next().await {
                if let Err(error) = closed {
                    warn!(log, "backend did not close"; "cause" => %error);
                }
            }
        };
        if by(&home, patient_until + CLOSED, all_closed).await.is_none() {
            warn!(log, "backends did not close in time");
        }
        // Once is enough, whoever goes on from here.
        self.pools.clear();
        // The next of the name finds no runtime of ours that could still be ended.
        self.lock = None;
        let quiet = async {
            tree.flush().await;
            tree.end().await;
        };
        let ended = by(&home, patient_until + ENDED, quiet).await.is_some();
        let survivors = if survivors.is_empty() {
            Ok(())
        } else {
            Err(Error::new("shutdown", ErrorKind::Survivors(survivors)))
        };
        if let (true, Err(error)) = (self.is_alone, &survivors) {
            warn!(log, "dropped without shutdown"; "cause" => %error);
        }
        if let Some(scribe) = &self.scribe {
            // What is not by now may be yet, as long as the process lives.
            by(&home, patient_until + WRITTEN, scribe.written()).await;
        }
        let left = (patient_until + STOPPED).saturating_duration_since(Instant::now());
        if let Some(tree) = self.tree.take()
            && !(tree.stop(left).await && ended)
        {
            warn!(self.log, "the actors did not stop in time and are left behind");
        }
        survivors
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        // One that is alone is dropped when what it runs on ends, and there is nothing left to run it on.
        let Some(tree) = self.tree.take().filter(|_| !self.is_alone) else { return };
        let runtime = tree.runtime.clone();
        let mut rest = Self {
            tree: Some(tree),
            pools: std::mem::take(&mut self.pools),
            lock: self.lock.take(),
            scribe: self.scribe.take(),
            stopper: Stopper::new(),
            log: self.log.clone(),
            is_alone: true,
        };
        // What it could not end it has said itself.
        runtime.spawn(async move { drop(rest.run(Duration::ZERO).await) });
    }
}
