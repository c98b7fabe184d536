//! From a request to a container whose guest can be spoken to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptionsBuilder;
use slog::{info, warn};
use tokio::task::spawn_blocking;

use super::address::Address;
use super::client::{EngineError, QUICK, WORK};
use super::container::{Container, clear};
use super::create::{Entry, Order};
use super::entry::Way;
use super::exit::Watch;
use super::instance::{Farewell, Kept};
use super::journal::Journal;
use super::parts::Parts;
use super::ports::{self, Reserved};
use super::register::Charge;
use super::site::Site;
use super::stats::Sampling;
use super::verify::{Inspector, Scope};
use super::{Flavor, Shared, cgroup, output, podman, setup};
use crate::backend::outside::Throttled;
use crate::backend::{BackendError, Launch, Launched, with_causes};
use crate::guest::{Contained, Wire};
use crate::model::{ContainerMode, Port};

/// Longest a guest may take for one answer. The pool's own launch timeout is usually shorter.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How long the first guest is waited for where it is not known whether it can come in.
const TRIAL: Duration = Duration::from_secs(5);

/// The guest's, for control and for data.
type Wires = (Arc<dyn Wire>, Arc<dyn Wire>);

/// Why there is no container.
pub(super) struct Failure {
    pub(super) error: BackendError,
    /// Whether the way in may be at fault.
    pub(super) no_way_in: bool,
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self { error, no_way_in: false }
    }
}

/// A container whose guest has come in and been set up.
pub(super) struct Entered {
    pub(super) container: Container,
    pub(super) reserved: Reserved,
    /// The guest's, where it can be seen from here.
    pub(super) pid: Option<i32>,
    pub(super) watch: Watch,
    pub(super) guest: Contained,
    pub(super) journal: Arc<Journal>,
    pub(super) way: Way,
}

impl Shared {
    /// Cancel-safe: dropped, it removes what it has begun.
    pub(super) async fn launch(&self, launch: &Launch) -> Result<Launched, BackendError> {
        let launched = self.try_to_launch(launch).await;
        if launched.is_err() {
            self.images.forget();
        }
        launched
    }

    async fn try_to_launch(&self, launch: &Launch) -> Result<Launched, BackendError> {
        let site = self.site().await?;
        let parts = self.fetch(site, launch).await?;
        match self.ways.known() {
            Some(Way::Link) => {
                self.by_link(site, launch, &parts, ANSWER).await.map_err(|failure| failure.error)
            }
            Some(Way::Attach) => self.by_attach(site, launch, &parts).await,
            None => match self.by_link(site, launch, &parts, TRIAL).await {
                Ok(launched) => {
                    self.found(site, Way::Link, "");
                    Ok(launched)
                }
                Err(Failure { error, no_way_in: true }) => {
                    let launched = self.by_attach(site, launch, &parts).await?;
                    self.found(site, Way::Attach, &with_causes(&error));
                    Ok(launched)
                }
                Err(failure) => Err(failure.error),
            },
        }
    }

    fn found(&self, site: &Site, way: Way, why: &str) {
        if self.ways.found(way) {
            info!(self.log, "containers can be made"; "engine" => %site.engine.address(), "transport" => way.name());
            if way == Way::Attach {
                warn!(self.log, "the engine does not share our file system, so all goes through it"; "tried" => why);
            }
        }
    }

    /// From a guest that answers to what the pool works with.
    pub(super) async fn finish(
        &self,
        site: &Site,
        parts: &Parts,
        entered: Entered,
    ) -> Result<Launched, BackendError> {
        let step = format!("look at container {}", parts.name);
        let Entered { container, reserved, pid, watch, guest, journal, way } = entered;
        let pid = pid.and_then(|pid| u32::try_from(pid).ok());
        let scope = Scope {
            pid,
            places: setup::places(self.flavor, &self.spec, &parts.image),
            has_service: self.spec.mode == ContainerMode::Service,
            root_is_writable: !self.spec.read_only_root,
        };
        let inspector = Inspector::new(Arc::clone(&site.engine), container.id(), scope).await;
        let inspector =
            Arc::new(inspector.map_err(|residue| BackendError::passing(step.clone(), residue.what))?);
        self.tell(&inspector, &guest);
        let endpoints = if reserved.published.is_empty() {
            BTreeMap::new()
        } else {
            endpoints(site, container.id()).await.map_err(|error| error.at(step))?
        };
        let Contained { control, data, .. } = guest;
        let (control, data) = throttled(pid, (control, data)).await;
        // Attached, its output comes by another way.
        let unread = match (way, self.spec.mode) {
            (Way::Attach, _) => None,
            (Way::Link, ContainerMode::Sandbox) => Some(journal),
            (Way::Link, ContainerMode::Service) => {
                let (engine, id) = (Arc::clone(&site.engine), container.id().to_owned());
                tokio::spawn(output::follow(engine, id, journal, self.log.clone()));
                None
            }
        };
        let sampling = self.spec.stats_interval.map(|interval| {
            let (engine, id) = (Arc::clone(&site.engine), container.id().to_owned());
            Sampling::begin(engine, id, interval, self.log.clone())
        });
        let instance = Box::new(Kept {
            log: self.log.clone(),
            container,
            inspector,
            endpoints,
            image: Arc::clone(&parts.image),
            unread,
            journals: parts.journals.clone(),
            way,
            sampling,
            service: (self.spec.mode == ContainerMode::Service)
                .then(|| Farewell { control: Arc::clone(&control), grace: self.spec.stop_grace }),
            _ports: reserved,
        });
        Ok(Launched { control, data, exit: Box::pin(watch.end()), instance })
    }

    pub(super) fn reserve(&self, site: &Site, parts: &Parts) -> Result<Reserved, BackendError> {
        let here = matches!(site.engine.address(), Address::Unix(_));
        Reserved::find(&self.spec.ports, here)
            .map_err(|why| BackendError::passing(format!("publish ports of container {}", parts.name), why))
    }

    pub(super) fn body(
        &self,
        site: &Site,
        launch: &Launch,
        parts: &Parts,
        entry: Entry<'_>,
        reserved: &Reserved,
    ) -> ContainerCreateBody {
        let order = Order {
            spec: &self.spec,
            limits: &self.limits,
            image: &parts.image,
            entry,
            ports: &reserved.published,
            labels: site.mark.labels(launch),
            profile: parts.profile.as_deref(),
        };
        match self.flavor {
            Flavor::Docker => order.body(),
            Flavor::Podman => podman::adjusted(order.body(), &self.spec),
        }
    }

    /// Has the engine make a container. This must not be given up half-way: what the engine makes all the same
    /// would be nobody's.
    pub(super) async fn create(
        &self,
        site: &Site,
        parts: &Parts,
        body: ContainerCreateBody,
    ) -> Result<(Container, Arc<tokio::sync::Notify>), EngineError> {
        let (engine, running) = (Arc::clone(&site.engine), Arc::clone(&site.running));
        let mut options = CreateContainerOptionsBuilder::new().name(&parts.name);
        if let Some(platform) = &self.spec.platform {
            options = options.platform(platform);
        }
        let charge = Charge::new(parts.name.clone(), &running);
        let made = tokio::spawn(async move {
            let client = engine.client().await?;
            match engine.within(WORK, client.create_container(Some(options.build()), body)).await {
                Ok(made) => {
                    let news = running.enter(&made.id);
                    Ok((Container::new(made.id, charge, engine, running), news))
                }
                Err(error) => {
                    if error.is_absence() {
                        tokio::spawn(clear(engine, charge));
                    }
                    Err(error)
                }
            }
        });
        made.await.unwrap_or_else(|failed| Err(EngineError::Conflict(failed.to_string())))
    }

    pub(super) async fn start(&self, container: &Container) -> Result<(), EngineError> {
        self.has_gpus(container).await?;
        let engine = container.engine();
        let client = engine.client().await?;
        let started = engine.within(WORK, client.start_container(container.id(), None)).await;
        started.map_err(|error| self.blamed(error))
    }

    /// Logs what containers do without, and what the config has loosened: once, as they are all alike.
    fn tell(&self, inspector: &Inspector, guest: &Contained) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        for missing in &guest.report.missing {
            warn!(self.log, "containers without {}", missing.part; "why" => &missing.why);
        }
        for loosened in self.spec.loosened() {
            warn!(self.log, "isolation loosened, as the config says"; "by" => loosened);
        }
        if inspector.takes_the_guests_word() {
            warn!(self.log, "whether directories are empty after a reset can't be looked at from outside");
        }
    }
}

/// Wires that can help a guest which is late, where its processor time is limited and that can be seen from here.
async fn throttled(pid: Option<u32>, wires: Wires) -> Wires {
    let Some(pid) = pid else { return wires };
    match spawn_blocking(move || cgroup::quota(pid)).await {
        Ok(Some(quota)) => Throttled::both(quota, wires),
        // Without one, or out of sight, it is as late as it is.
        Ok(None) | Err(_) => wires,
    }
}

/// Where the container's published ports are reached. Podman leaves them out of its lists; they are here alone.
async fn endpoints(site: &Site, id: &str) -> Result<BTreeMap<Port, SocketAddr>, EngineError> {
    let client = site.engine.client().await?;
    let found = site.engine.within(QUICK, client.inspect_container(id, None)).await?;
    let published = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
    Ok(ports::endpoints(&published, site.engine.address().remote()))
}
