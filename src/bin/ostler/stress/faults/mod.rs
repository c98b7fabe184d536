//! Harm, and who can do it to what.
//!
//! Half of the faults are done by whoever holds a lease ([`Fault::is_holders`]): they are ordered, and the next
//! client with a lease carries the order out. The others come from outside, which is a matter of the backend:
//! its [`Faults`] do them, and say which they can't.

mod container;
mod daemon;
mod engine;
mod fake;
mod injector;
mod kind;
mod orders;
mod process;
mod real;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use fastrand::Rng;
use ostler::backend::Backend;
use ostler::model::{BackendSpec, PoolSpec};
use ostler::{Pool, PoolName};
use tokio::time::Instant;

pub(super) use self::daemon::Daemon;
pub(crate) use self::daemon::DaemonPid;
use super::world::{Target, World};

pub(super) use fake::JUMP;
pub(super) use injector::inject;
pub(crate) use kind::{Fault, Wanted};
pub(super) use orders::Orders;

/// Does harm to the runtimes of one pool from outside. What it touches, it has made sure is the pool's.
pub(super) trait Faults: Send + Sync {
    /// Why a fault can't be done here; nothing when it can.
    fn refuses(&self, fault: Fault) -> Option<&'static str>;

    /// Does it, having told the docket; answers whether there was anything to do it to.
    fn inflict<'a>(&'a self, fault: Fault, scene: &'a Scene<'a>, rng: &'a mut Rng) -> Inflicted<'a>;

    /// Ends what still goes on, so that the pool can get well.
    fn relent(&self) {}

    /// When it did what may make any runtime slow, since this was last asked.
    fn strains(&self) -> Vec<Instant> {
        Vec::new()
    }

    /// Runtimes that still are, as far as only the backend knows.
    ///
    /// # Errors
    /// Nobody knows: the backend can't be asked, or does not answer.
    fn alive(&self) -> anyhow::Result<u64> {
        Ok(0)
    }

    /// Runtimes there are at this moment, where that can be seen past the pool and all at once.
    ///
    /// # Errors
    /// As [`alive`](Self::alive).
    fn count(&self) -> anyhow::Result<Option<usize>> {
        Ok(None)
    }
}

/// Whether it was done.
pub(super) type Inflicted<'a> = Pin<Box<dyn Future<Output = anyhow::Result<bool>> + 'a>>;

/// Where harm is done.
pub(super) struct Scene<'a> {
    pub(super) pool: &'a Pool,
    pub(super) world: &'a World,
}

impl Scene<'_> {
    /// Harm is about to be done to a runtime: whoever has it may lose it.
    fn hurt(&self, handle: &str) {
        for target in self.meant() {
            target.docket.hurt(handle.to_owned(), self.world.stamps.next());
        }
        self.trouble();
    }

    /// It is about to be killed.
    fn killed(&self, handle: &str) {
        self.meant().for_each(|target| target.notices.killed(handle));
    }

    /// It could not be killed.
    fn spared(&self, handle: &str) {
        self.meant().for_each(|target| target.notices.spared(handle));
    }

    /// Pools whose runtime a handle may mean: fake ones of several pools go by the same.
    fn meant(&self) -> impl Iterator<Item = &Target> {
        let name = self.pool.name();
        self.world.targets.iter().filter(move |target| !target.is_fake() || target.pool.name() == name)
    }

    /// While this is done, harm may come to runtimes that are not there yet to be named.
    async fn upheaval<T>(&self, doing: impl Future<Output = T>) -> T {
        let _until_done = Upheaval::begin(self.world);
        doing.await
    }

    /// Something is about to happen that may cost a waiter its place.
    fn trouble(&self) {
        for target in &self.world.targets {
            target.docket.trouble(self.world.stamps.next());
        }
    }
}

/// Over when it is dropped, whether or not anybody has waited for its end.
struct Upheaval<'a>(&'a World);

impl<'a> Upheaval<'a> {
    fn begin(world: &'a World) -> Self {
        for target in &world.targets {
            target.docket.upheaval(world.stamps.next());
        }
        Self(world)
    }
}

impl Drop for Upheaval<'_> {
    fn drop(&mut self) {
        for target in &self.0.targets {
            target.docket.calm(self.0.stamps.next());
        }
    }
}

/// Which clock a run goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The world's.
    Real,
    /// One that jumps whenever everybody waits for it.
    Virtual,
}

/// Who does harm to the runtimes of a pool, and the backend that makes them where that takes one of our own.
pub(super) fn of(
    pool: &PoolName,
    spec: &PoolSpec,
    seed: u64,
    clock: Clock,
    daemon: &Daemon,
) -> (Arc<dyn Faults>, Option<Arc<dyn Backend>>) {
    let containers = |of: &_| {
        let socket = crate::engine::socket(&spec.backend);
        Arc::new(container::Containers::new(pool, socket, of, &spec.limits, daemon))
    };
    match &spec.backend {
        BackendSpec::Fake(faults) => {
            let staged = Arc::new(fake::Staged::new(faults, seed, clock));
            let backend = staged.backend();
            (staged, Some(backend))
        }
        BackendSpec::Process(process) => (Arc::new(process::Outside::new(process, &spec.limits)), None),
        BackendSpec::Docker(of) | BackendSpec::Podman(of) => (containers(of), None),
        BackendSpec::Custom => (Arc::new(Nothing), None),
    }
}

/// For a backend that nothing is known of.
struct Nothing;

impl Faults for Nothing {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        let harmless = matches!(fault, Fault::Panic | Fault::Cancel | Fault::OutputFlood);
        (!harmless).then_some("nothing is known of its backend")
    }

    fn inflict<'a>(&'a self, _: Fault, _: &'a Scene<'a>, _: &'a mut Rng) -> Inflicted<'a> {
        Box::pin(async { Ok(false) })
    }
}
