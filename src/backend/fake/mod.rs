//! A backend with nothing behind it: seeded and scripted, it can fail, hang, be slow, panic or lie at any
//! call. It is how the promises are tested, and how a host application tests its own handling of a pool.
//!
//! Its runtimes keep files in memory and know a handful of programs (`true`, `false`, `echo`, `cat`, `sleep`,
//! `exit`); everything goes through the same wires and sessions as with a real guest.

mod program;
mod runtime;
mod script;
mod term;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Backend, BackendError, BoxFuture, Exit, Launch, Launched};
use crate::model::{Epoch, FakeSpec, RuntimeId};

use runtime::{FakeInstance, FakeRuntime};
pub use script::{Act, Point, Script, Seeded};
use wire::FakeWire;

/// Makes runtimes that exist only in memory. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Fake {
    shared: Arc<Shared>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").field("census", &self.census()).finish_non_exhaustive()
    }
}

struct Shared {
    script: Box<dyn Script>,
    launched: AtomicU64,
    destroyed: AtomicU64,
    /// For tests that reach in from outside. Not pool state: no decision reads it.
    alive: Mutex<BTreeMap<RuntimeId, Weak<FakeRuntime>>>,
}

/// What a [`Fake`] has made so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Runtimes that came to be.
    pub launched: u64,
    /// Of those, the ones that still are.
    pub alive: u64,
}

impl Fake {
    /// With faults at the spec's rates.
    #[must_use]
    pub fn new(spec: &FakeSpec) -> Self {
        Self::scripted(Seeded::new(spec))
    }

    /// With a script of one's own.
    #[must_use]
    pub fn scripted(script: impl Script + 'static) -> Self {
        let shared = Shared {
            script: Box::new(script),
            launched: AtomicU64::new(0),
            destroyed: AtomicU64::new(0),
            alive: Mutex::new(BTreeMap::new()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Ends a runtime from outside, as `kill -9` would; answers whether there was one.
    pub fn kill(&self, id: RuntimeId) -> bool {
        let runtime = self.alive().get(&id).and_then(Weak::upgrade);
        runtime.is_some_and(|runtime| runtime.end("signal 9"))
    }

    /// Ends a runtime from inside, as one that is done; answers whether there was one.
    pub fn finish(&self, id: RuntimeId) -> bool {
        let runtime = self.alive().get(&id).and_then(Weak::upgrade);
        runtime.is_some_and(|runtime| runtime.end(Exit::ORDINARY))
    }

    /// How many files a runtime has; none when there is no such runtime.
    #[must_use]
    pub fn files(&self, id: RuntimeId) -> usize {
        let runtime = self.alive().get(&id).and_then(Weak::upgrade);
        runtime.map_or(0, |runtime| runtime.files().len())
    }

    /// The last epoch whose operations a runtime's guest refuses; `None` when there is no such runtime.
    #[must_use]
    pub fn fence(&self, id: RuntimeId) -> Option<Epoch> {
        let runtime = self.alive().get(&id).and_then(Weak::upgrade);
        runtime.map(|runtime| Epoch(runtime.fence()))
    }

    /// What there is.
    #[must_use]
    pub fn census(&self) -> Census {
        let launched = self.shared.launched.load(Ordering::Relaxed);
        Census { launched, alive: launched - self.shared.destroyed.load(Ordering::Relaxed) }
    }

    fn alive(&self) -> std::sync::MutexGuard<'_, BTreeMap<RuntimeId, Weak<FakeRuntime>>> {
        self.shared.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Fake {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait lets others answer with their own")]
    fn name(&self) -> &str {
        "fake"
    }

    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        let act = self.shared.script.next(Point::Prepare);
        Box::pin(async move { act.carry_out("prepare").await })
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let fake = self.clone();
        let id = launch.runtime;
        Box::pin(async move {
            fake.shared.script.next(Point::Launch).carry_out(&format!("launch {id}")).await?;
            fake.shared.launched.fetch_add(1, Ordering::Relaxed);
            let runtime = Arc::new(FakeRuntime::new(id, fake.clone()));
            fake.alive().insert(id, Arc::downgrade(&runtime));
            let ended = Arc::clone(&runtime);
            Ok(Launched {
                control: Arc::new(FakeWire::new(&runtime)),
                data: Arc::new(FakeWire::new(&runtime)),
                exit: Box::pin(async move { Exit { cause: ended.ended().await } }),
                instance: Box::new(FakeInstance(runtime)),
            })
        })
    }
}
