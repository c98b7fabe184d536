use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use slog::{Discard, Logger, o, warn};
use tokio_util::task::AbortOnDropHandle;

use super::arriving::Arriving;
use super::builder::{Builder, Log};
use super::leaving::{Leaving, Remains};
use super::lock::InstanceLock;
use super::scribe::Scribe;
use super::shutdown::Shutdown;
use super::{BlockingEvents, Error, ErrorKind, Events, Pool, Stopper, backends, sweep, template};
use crate::actor::{MadeBy, Placement, Tree};
use crate::backend::{Aside, Backend};
use crate::config::Config;
use crate::model::{PoolName, PoolSpec};
use crate::observe::render;

/// Keeps the pools of a configuration. The first thing an application makes, and the last it ends.
///
/// Runs on three threads of its own, and calls backends that the application has brought, and its log, on others; its
/// handles work from any async runtime, and from none through [`blocking`](super::blocking). Dropped without [`shutdown`](Self::shutdown), it ends everything in the background.
pub struct Ostler {
    /// `None` once it has been shut down.
    pub(super) tree: Option<Tree>,
    stopper: Stopper,
    /// The right to the instance's name, once there is something that bears it.
    lock: Option<InstanceLock>,
    /// What is in force.
    pub(super) config: Config,
    pub(super) pools: BTreeMap<PoolName, Running>,
    /// Taken out of the configuration, and not gone yet.
    pub(super) leaving: BTreeMap<PoolName, Leaving>,
    pub(super) log: Logger,
    /// Who writes it, unless nobody is to.
    scribe: Option<Scribe>,
}

pub(super) struct Running {
    pub(super) pool: Pool,
    pub(super) backend: Arc<dyn Backend>,
    /// Only of one that the application has brought.
    pub(super) sweeps: Option<AbortOnDropHandle<()>>,
    pub(super) former: Vec<Arc<dyn Backend>>,
}

impl Running {
    /// With the backend of now, and those that it has had before and that may have runtimes yet.
    pub(super) fn into_remains(self) -> Remains {
        let mut backends = self.former;
        backends.push(self.backend);
        Remains { pool: Some(self.pool), backends }
    }
}

impl Ostler {
    /// Starts the pools of a configuration, silently and with its own backends. Returns when every backend has
    /// been found fit to make runtimes and the first launches are under way; see [`Pool::ready`].
    ///
    /// Cancel-safe: dropped, it ends what it has started.
    ///
    /// # Errors
    /// [`ErrorKind::Start`] when a backend can't make runtimes (under `isolation = "strict"`, say), a template can't
    /// be read, another ostler holds the instance's name, or the system gives no thread. Nothing is left running
    /// then.
    pub async fn start(config: Config) -> Result<Self, Error> {
        Self::builder(config).start().await
    }

    /// Starts the pools of a configuration with a logger, backends or a seed of one's own.
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    pub(super) async fn start_with(builder: Builder) -> Result<Self, Error> {
        let Builder { config, log, backends, placement, seed, faults, subscribers } = builder;
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        let (scribe, log) = match log {
            None => (None, Logger::root(Discard, o!())),
            Some(Log { to, may_block: true }) if placement == Placement::OwnThreads => {
                let (scribe, log) = Scribe::employ(to).map_err(Error::not_started)?;
                (Some(scribe), log)
            }
            Some(log) => (None, log.to),
        };
        let tree_log = log.new(o!("instance" => config.instance.clone()));
        let tree = Tree::start(placement, seed, faults, tree_log).await.map_err(Error::not_started)?;
        for subscriber in subscribers {
            tree.subscribe(subscriber);
        }
        let (tree, stopper) = (Some(tree), Stopper::new());
        let mut ostler = Self {
            tree,
            stopper,
            lock: None,
            config: config.clone(),
            pools: BTreeMap::new(),
            leaving: BTreeMap::new(),
            log: log.clone(),
            scribe,
        };
        for (name, spec) in &config.pools {
            let own = backends.get(name).cloned();
            if let Err(error) = ostler.open(name, spec, own).await {
                if let Err(left) = ostler.shutdown_within(Duration::ZERO).await {
                    warn!(log, "ended with something left"; "cause" => %left);
                }
                return Err(error.in_pool(name));
            }
        }
        Ok(ostler)
    }

    /// A pool by its name in the configuration.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchPool`].
    pub fn pool(&self, name: &str) -> Result<Pool, Error> {
        self.pools
            .get(name)
            .map(|running| running.pool.clone())
            .ok_or_else(|| Error::new("pool", ErrorKind::NoSuchPool).in_pool(&PoolName::new(name)))
    }

    /// All pools, by name.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values().map(|running| &running.pool)
    }

    /// What happens in all pools from now on, at most `capacity` events behind, of which 1 and 1 048 576 are the bounds.
    #[must_use]
    pub fn events(&self, capacity: usize) -> Events {
        let (events, subscriber) = Events::new(capacity);
        if let Some(tree) = &self.tree {
            tree.subscribe(subscriber);
        }
        events
    }

    /// As [`events`](Self::events), for a plain thread.
    #[must_use]
    pub fn blocking_events(&self, capacity: usize) -> BlockingEvents {
        let (events, subscriber) = BlockingEvents::new(capacity);
        if let Some(tree) = &self.tree {
            tree.subscribe(subscriber);
        }
        events
    }

    /// The figures of all pools in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let figures: Vec<_> = self.pools().map(Pool::status).collect();
        render(&figures)
    }

    /// What hurries a [`shutdown`](Self::shutdown), which takes the ostler itself.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Ends everything: waiters fail, leases may finish for as long as the configuration's `shutdown_grace`, then
    /// every runtime goes. Takes at most that and two seconds, whatever hangs.
    ///
    /// Cancel-safe: dropped, everything ends at once in the background.
    ///
    /// # Errors
    /// [`ErrorKind::Survivors`] with the names of runtimes that could not be ended.
    pub async fn shutdown(self) -> Result<(), Error> {
        let grace = self.config.shutdown_grace;
        self.shutdown_within(grace).await
    }

    /// As [`shutdown`](Self::shutdown) with a grace of one's own; zero ends leased runtimes at once.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub async fn shutdown_within(mut self, grace: Duration) -> Result<(), Error> {
        match self.take_all() {
            Some(mut shutdown) => shutdown.run(grace).await,
            None => Ok(()),
        }
    }

    /// Everything there is, to be ended; dropped, that happens in the background.
    fn take_all(&mut self) -> Option<Shutdown> {
        let tree = self.tree.take()?;
        let (stopper, log) = (self.stopper.clone(), self.log.clone());
        Some(Shutdown::new(tree, self.take_pools(), self.lock.take(), self.scribe.take(), stopper, log))
    }

    /// All that must be ended, what is leaving too.
    fn take_pools(&mut self) -> Vec<(PoolName, Remains)> {
        let running = mem::take(&mut self.pools).into_iter();
        let running = running.map(|(name, running)| (name, running.into_remains()));
        let leaving = mem::take(&mut self.leaving).into_iter();
        running.chain(leaving.filter_map(|(name, leaving)| Some((name, leaving.taken_over()?)))).collect()
    }

    pub(super) async fn open(
        &mut self,
        name: &PoolName,
        spec: &PoolSpec,
        own: Option<Arc<dyn Backend>>,
    ) -> Result<(), Error> {
        let is_own = own.is_some();
        let own = match own {
            Some(backend) => Some(self.aside(backend).await?),
            None => None,
        };
        let log = self.log.new(o!("pool" => name.to_string()));
        let (mut arriving, made_by) = self.made_by(name, spec, own, true).await?;
        let backend = Arc::clone(&made_by.backend);
        let mut sweeps = None;
        if is_own {
            let runtime = &arriving.tree.runtime;
            let swept = runtime.spawn(sweep::once(Arc::clone(&backend), log.clone())).await;
            swept.map_err(Error::not_started)?.map_err(Error::not_started)?;
            let again = runtime.spawn(sweep::again(Arc::downgrade(&backend), log));
            sweeps = Some(AbortOnDropHandle::new(again));
        }
        arriving.open(spec, made_by).await?;
        if let Some(pool) = arriving.arrive() {
            self.pools.insert(name.clone(), Running { pool, backend, sweeps, former: Vec::new() });
        }
        Ok(())
    }

    /// Puts an application's own backend where it holds up none of the actors, if they have threads of their own.
    async fn aside(&self, backend: Arc<dyn Backend>) -> Result<Arc<dyn Backend>, Error> {
        let Some(tree) = self.tree.as_ref().filter(|tree| tree.has_threads()) else { return Ok(backend) };
        // In a task, as all that asks it: its panic is an error then.
        let aside = tree.runtime.spawn(Aside::new(backend)).await;
        Ok(Arc::new(aside.map_err(Error::not_started)?.map_err(Error::not_started)?))
    }

    /// Makes sure that the instance's name is ours.
    async fn lock(&mut self) -> Result<(), Error> {
        let (Some(tree), None) = (&self.tree, &self.lock) else { return Ok(()) };
        let (state_dir, instance) = (self.config.state_dir.clone(), self.config.instance.clone());
        let take = move || InstanceLock::take(&state_dir, &instance);
        let taken = tree.runtime.spawn_blocking(take).await.map_err(io::Error::other).flatten();
        let mut lock = taken.map_err(Error::not_started)?;
        lock.beat(&tree.runtime, self.log.clone());
        self.lock = Some(lock);
        Ok(())
    }

    /// A backend found fit to make runtimes, and what it lays out in them. One that `is_new` leaves again with what is
    /// arriving.
    pub(super) async fn made_by(
        &mut self,
        name: &PoolName,
        spec: &PoolSpec,
        own: Option<Arc<dyn Backend>>,
        is_new: bool,
    ) -> Result<(Arriving<'_>, MadeBy), Error> {
        let log = self.log.new(o!("pool" => name.to_string()));
        if own.is_none() && spec.backend.bears_the_name() {
            self.lock().await?;
        }
        let backend = match own {
            Some(backend) => backend,
            None => backends::build(&self.config, spec, &log).map_err(Error::not_started)?,
        };
        let Some(tree) = &self.tree else { return Err(Error::new("start", ErrorKind::Closed)) };
        let template = match spec.template.clone() {
            None => None,
            Some(directory) => {
                let pack = move || template::pack(&directory);
                Some(tree.runtime.spawn_blocking(pack).await.map_err(Error::not_started)??)
            }
        };
        let mut arriving = Arriving::new(name.clone(), tree, &mut self.leaving, self.log.clone());
        let kind = arriving.prepare(&backend, is_new).await?;
        Ok((arriving, MadeBy { backend, kind, template }))
    }
}

impl Drop for Ostler {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

impl fmt::Debug for Ostler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ostler").field("pools", &self.pools.keys()).finish_non_exhaustive()
    }
}
