use std::collections::BTreeMap;
use std::sync::Arc;

use slog::Logger;

use super::{BlockingEvents, Error, Events, Ostler};
use crate::actor::{Faults, Placement, Subscriber};
use crate::backend::Backend;
use crate::config::Config;
use crate::model::PoolName;

/// How an [`Ostler`] starts, where the configuration does not say.
#[derive(Debug)]
#[must_use = "nothing starts before `start`"]
pub struct Builder {
    pub(super) config: Config,
    pub(super) log: Option<Log>,
    pub(super) backends: BTreeMap<PoolName, Arc<dyn Backend>>,
    pub(super) placement: Placement,
    pub(super) seed: Option<u64>,
    pub(super) faults: Faults,
    pub(super) subscribers: Vec<Subscriber>,
}

/// An application's.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) to: Logger,
    /// Whether it may hold up whoever says something to it.
    pub(super) may_block: bool,
}

impl Builder {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            log: None,
            backends: BTreeMap::new(),
            placement: Placement::default(),
            seed: None,
            faults: Faults::default(),
            subscribers: Vec::new(),
        }
    }

    /// Logs go here, written by a thread of its own, so that it may take its time. Of what it has not taken 1 024 records
    /// are kept; how many more there were, and over how many it has panicked, it is told when it takes some again.
    /// Default: nowhere.
    pub fn logger(mut self, log: Logger) -> Self {
        self.log = Some(Log { to: log, may_block: true });
        self
    }

    /// As [`logger`](Self::logger), without a thread and a queue of its own: for a log that has both, as `slog_async`'s
    /// has. It is called on the threads that supervise, which it must neither hold up nor panic on.
    pub fn nonblocking_logger(mut self, log: Logger) -> Self {
        self.log = Some(Log { to: log, may_block: false });
        self
    }

    /// What makes the runtimes of one pool, in place of what its configuration names. A pool whose backend is
    /// `custom` must have one.
    pub fn backend(mut self, pool: &str, backend: Arc<dyn Backend>) -> Self {
        self.backends.insert(PoolName::new(pool), backend);
        self
    }

    /// Runs the actors on the caller's `tokio::task::LocalSet` instead of three threads of their own, and the log with them. For tests that
    /// stop or steer tokio's clock; with the fake backend every run with the same seed is then the same.
    pub fn on_this_thread(mut self) -> Self {
        self.placement = Placement::Here;
        self
    }

    /// As [`Ostler::events`], from the very first: those that [`start`](Self::start) itself brings about too.
    #[must_use]
    pub fn events(&mut self, capacity: usize) -> Events {
        let (events, subscriber) = Events::new(capacity);
        self.subscribers.push(subscriber);
        events
    }

    /// As [`events`](Self::events), for a plain thread.
    #[must_use]
    pub fn blocking_events(&mut self, capacity: usize) -> BlockingEvents {
        let (events, subscriber) = BlockingEvents::new(capacity);
        self.subscribers.push(subscriber);
        events
    }

    /// Seeds every random choice ostler makes: jitter, and nothing else. Default: random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Calls `saboteur` with an actor's name and a point's before and after each message that an actor takes, and
    /// before each command it carries out; it may panic. For ostler's own tests.
    #[doc(hidden)]
    pub fn sabotage(mut self, saboteur: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        self.faults = Faults::new(Arc::new(saboteur));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`Ostler::start`].
    pub async fn start(self) -> Result<Ostler, Error> {
        Ostler::start_with(self).await
    }
}
