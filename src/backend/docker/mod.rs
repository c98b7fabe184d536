//! Containers, made by a Docker engine or by any that speaks as it does.
//!
//! ```text
//!  Docker ──▶ Engine (client) ──create · start · remove──▶ engine ──▶ container: guest ──▶ commands
//!     │                                                                    │
//!     │◀───────────── a socket in a mounted directory, or the attach stream ┘
//!     ├── Watch: sees its end (pidfd, event stream, polling) ── Inspector: looks from outside
//!     └── Caretaker: engine's health, events, orphans
//! ```
//!
//! A container has no network, no capabilities, no new privileges, no root and a read-only root file system with
//! sized places in memory, unless its spec says otherwise. Our guest is its first process: a file that is mounted
//! or uploaded, so that an image needs nothing in it. Commands go to the guest and never through the engine, whose
//! own exec takes a hundred times as long.
//!
//! No file is the truth about who owns what; labels are. Whatever bears this instance's label and whose owner is
//! provably dead is removed the second time it is seen. Containers are not adopted: a guest ends with its host's
//! connection, so that nothing runs on unwatched, and a fresh one costs less than finding out what became of an
//! old one.

mod address;
mod attach;
mod caretaker;
mod cgroup;
mod client;
mod container;
mod create;
mod entry;
mod exit;
mod figures;
mod grants;
mod ground;
mod hash;
mod image;
mod instance;
mod journal;
mod label;
mod launch;
mod link;
mod output;
mod parts;
mod podman;
mod ports;
mod register;
mod secrets;
mod setup;
mod site;
mod stats;
mod sweep;
mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use slog::Logger;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use self::entry::Ways;
use self::image::Images;
use self::site::Site;
use super::{Backend, BackendError, BoxFuture, Launch, Launched, Owner};
use crate::model::{ContainerSpec, Limits};

/// The backends `docker` and `podman`.
#[derive(Clone)]
pub struct Docker {
    shared: Arc<Shared>,
}

/// Whose engine it is. They speak alike, and do not quite do alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Docker's, or one that takes itself for one.
    Docker,
    /// Podman's.
    Podman,
}

struct Shared {
    flavor: Flavor,
    spec: ContainerSpec,
    limits: Limits,
    env: BTreeMap<String, String>,
    owner: Owner,
    log: Logger,
    images: Images,
    ways: Ways,
    /// Made once, by whoever needs it first.
    site: OnceCell<Arc<Site>>,
    /// Whether the log already says what is missing.
    told: AtomicBool,
}

impl fmt::Debug for Docker {
    /// Without the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker")
            .field("flavor", &self.shared.flavor)
            .field("image", &self.shared.spec.image)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Flavor {
    fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// Variables that may say where the engine listens, in this order.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["DOCKER_HOST"],
            Self::Podman => &["CONTAINER_HOST", "DOCKER_HOST"],
        }
    }
}

impl Docker {
    /// Makes containers as `spec` says, each within `limits`, with `env` for a service and for all commands. `log`
    /// is the pool's. Does nothing yet.
    #[must_use]
    pub fn new(
        flavor: Flavor,
        spec: &ContainerSpec,
        limits: &Limits,
        env: &BTreeMap<String, String>,
        owner: Owner,
        log: Logger,
    ) -> Arc<Self> {
        let images = Images::new(&spec.image, spec.platform.as_deref(), spec.pull);
        let shared = Shared {
            flavor,
            spec: spec.clone(),
            limits: limits.clone(),
            env: env.clone(),
            owner,
            log,
            images,
            ways: Ways::new(spec.transport),
            site: OnceCell::new(),
            told: AtomicBool::new(false),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    async fn site(&self) -> Result<&Arc<Site>, BackendError> {
        let make = || async {
            let (spec, flavor, owner) = (self.spec.clone(), self.flavor, self.owner.clone());
            let made_from = format!("{:?} {:?} {:?}", self.spec, self.limits, self.env.keys());
            let site = spawn_blocking(move || Site::new(&spec, flavor, &owner, &made_from)).await;
            let site =
                site.map_err(|failed| BackendError::passing("prepare", failed)).flatten().map(Arc::new)?;
            caretaker::employ(&site, &self.log);
            Ok(site)
        };
        self.site.get_or_try_init(make).await
    }

    /// Whether the engine is there. That the image is not, or can't be pulled, is no reason not to start: it may come.
    async fn prepare(&self) -> Result<(), BackendError> {
        let site = self.site().await?;
        let step = || format!("prepare {}", self.flavor);
        site.engine.client().await.map_err(|error| error.at(step()))?;
        self.has_apparmor(&site.engine).await.map_err(|error| error.at(step()))?;
        if let Err(error) = self.images.get(&site.engine).await {
            slog::warn!(self.log, "{}", super::with_causes(&error));
        }
        Ok(())
    }
}

impl Backend for Docker {
    fn name(&self) -> &'static str {
        self.shared.flavor.name()
    }

    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.prepare().await })
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.launch(&launch).await })
    }

    fn sweep(&self) -> BoxFuture<Result<u32, BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let site = shared.site().await?;
            caretaker::sweep(site).await.map_err(|error| error.at("sweep"))
        })
    }

    fn trouble(&self) -> Option<String> {
        self.shared.site.get().and_then(|site| site.trouble.borrow().clone())
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Some(site) = shared.site.get().map(Arc::clone) else {
                return Ok(());
            };
            // Launches that were given up leave containers whose removal nobody else waits for.
            site.running.all_gone().await;
            if site.running.has_strays() {
                caretaker::sweep(&site).await.map_err(|error| error.at("sweep"))?;
            }
            let cleared = spawn_blocking(move || site.ground.clear()).await;
            cleared.map_err(|failed| BackendError::passing("close", failed))
        })
    }
}
