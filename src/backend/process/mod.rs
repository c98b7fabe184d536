//! Sandboxed process trees on this host.
//!
//! ```text
//!  Process ──▶ Spawner (one thread) ──▶ keeper ──▶ guest ──▶ commands
//!     │            cgroups, streams        │  namespaces, mounts, limits, filter
//!     └── Inspector: looks from outside    └── ends them all when this process dies
//! ```
//!
//! A runtime is a guest in user, pid, mount, ipc, uts and network namespaces of its own, on a read-only root
//! with a private workspace and `/tmp`; its commands further lose every capability, can change files only in
//! these places (Landlock), and are refused what leads out of a sandbox (seccomp). Cgroups of version 1 or 2
//! limit them all together where the host lets us have any. The keeper, a process beside each guest, sets all
//! this up and cleans up after it, whoever dies first. It works for root and for an ordinary user alike.
//!
//! Where the host gives no namespaces, `auto` falls back to a process tree in a directory of the host's with
//! all of the above that still works. What is missing is logged once per pool; `strict` refuses it.

mod abandoned;
mod cgroup;
mod directories;
mod ground;
mod instance;
mod keeper;
mod launch;
mod log;
mod plan;
mod program;
mod remains;
mod spare;
mod spawner;
mod start;
mod sweep;
mod verify;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use slog::{Logger, info, warn};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use self::ground::Ground;
use self::spare::Spare;
use self::start::Start;
use super::{Backend, BackendError, BoxFuture, Launch, Launched, Owner};
use crate::model::{Limits, NetworkAccess, PoolName, ProcessSpec, RuntimeId};
use crate::protocol::SetupReport;

/// The backend `process`.
#[derive(Clone)]
pub struct Process {
    shared: Arc<Shared>,
}

struct Shared {
    spec: Arc<ProcessSpec>,
    limits: Arc<Limits>,
    owner: Owner,
    log: Logger,
    /// Made once, by whoever needs it first.
    ground: OnceCell<Arc<Ground>>,
    spare: Arc<Spare>,
    /// Whether the log already says what is missing.
    told: AtomicBool,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("spec", &self.shared.spec).finish_non_exhaustive()
    }
}

impl Process {
    /// Makes runtimes as `spec` says, each within `limits`. `log` is the pool's. Does nothing yet.
    #[must_use]
    pub fn new(spec: &ProcessSpec, limits: &Limits, owner: Owner, log: Logger) -> Arc<Self> {
        let shared = Shared {
            spec: Arc::new(spec.clone()),
            limits: Arc::new(limits.clone()),
            owner,
            log,
            ground: OnceCell::new(),
            spare: Spare::new(),
            told: AtomicBool::new(false),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    async fn ground(&self) -> Result<&Arc<Ground>, BackendError> {
        let make = || async {
            let (owner, limits) = (self.owner.clone(), Arc::clone(&self.limits));
            blocking(move || Ground::new(&owner, &limits)).await.map(Arc::new)
        };
        self.ground.get_or_try_init(make).await.map_err(|error| failed("prepare sandboxes", error))
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, BackendError> {
        let ground = self.ground().await?;
        let name = plan::name(launch, Ground::serial());
        let workspace = ground.workspace(&name);
        let start = Start {
            program: Arc::clone(&ground.program),
            cgroups: Arc::clone(&ground.cgroups),
            spec: Arc::clone(&self.spec),
            limits: Arc::clone(&self.limits),
            name: name.clone(),
            workspace: workspace.clone(),
        };
        let started =
            ground.spawner.start(start).await.map_err(|error| failed(format!("start {name}"), error))?;
        let (report, launched) = launch::follow(started, self.spec.isolation, &name, &workspace).await?;
        self.tell(&report);
        Ok(launched)
    }

    /// Logs what runtimes do without, and what the config has loosened: once, as they are all alike.
    fn tell(&self, report: &SetupReport) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        for missing in &report.missing {
            warn!(self.log, "isolation without {}", missing.part; "why" => &missing.why);
        }
        if self.spec.network == NetworkAccess::Host {
            warn!(self.log, "sandboxes see the host's network, as the config says");
        }
        info!(self.log, "sandboxes can be made"; "namespaces" => report.namespaces);
    }

    async fn sweep(&self) -> Result<u32, BackendError> {
        let ground = Arc::clone(self.ground().await?);
        blocking(move || ground.sweep()).await.map_err(|error| failed("sweep", error))
    }
}

fn failed(step: impl Into<String>, error: io::Error) -> BackendError {
    BackendError::passing(step, error)
}

async fn blocking<T: Send + 'static>(run: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(run).await.map_err(io::Error::other)?
}

impl Backend for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    /// Sweeps, then makes one runtime: what keeps the first from being made would keep all.
    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.sweep().await?;
            let trial = Launch { pool: PoolName::new("first"), runtime: RuntimeId(0) };
            let launched = shared.launch(&trial).await?;
            shared.spare.keep(launched, shared.log.clone());
            Ok(())
        })
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            match shared.spare.take() {
                Some(launched) => Ok(launched),
                None => shared.launch(&launch).await,
            }
        })
    }

    fn sweep(&self) -> BoxFuture<Result<u32, BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.sweep().await })
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Some(ground) = shared.ground.get().map(Arc::clone) else {
                return Ok(());
            };
            shared.spare.end().await?;
            ground.spawner.last_ended().await.map_err(|error| failed("close", error))?;
            blocking(move || ground.close()).await.map_err(|error| failed("close", error))
        })
    }
}
