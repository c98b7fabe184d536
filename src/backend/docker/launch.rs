//! From a request to a container whose guest can be spoken to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder};
use futures_util::TryStreamExt;
use slog::{info, warn};
use tokio::task::spawn_blocking;

use super::address::Address;
use super::client::{EngineError, QUICK, WORK};
use super::container::{Container, clear};
use super::create::{Entry, Order, SOCKET};
use super::entry::Way;
use super::exit::{self, Watch};
use super::image::Image;
use super::instance::Kept;
use super::ports::{self, Reserved};
use super::register::Charge;
use super::site::Site;
use super::verify::{Inspector, Scope};
use super::{Flavor, Shared, podman, secrets, setup};
use crate::backend::owner::plain;
use crate::backend::{BackendError, Launch, Launched};
use crate::guest::{Contained, Doorway, Visitor, connect_container};
use crate::model::{ContainerMode, Port, Seccomp};
use crate::protocol::ContainerSetup;

/// Longest a guest may take for one answer. The pool's own launch timeout is usually shorter.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the first guest is waited for where it is not known whether it can come in.
const TRIAL: Duration = Duration::from_secs(5);
/// Before a guest that has not come is asked for at the engine.
const USUALLY: Duration = Duration::from_millis(300);
/// Most of a container's last words that go into an error, bytes.
const LAST_WORDS: usize = 2 << 10;

/// Why there is no container.
struct Failure {
    error: BackendError,
    /// Whether the way in may be at fault.
    no_way_in: bool,
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self { error, no_way_in: false }
    }
}

fn no_attach(why: &str) -> BackendError {
    BackendError::passing("only engines that share our file system are spoken to", why)
}

/// All that one container is made from, fetched.
struct Parts {
    name: String,
    image: Arc<Image>,
    setup: ContainerSetup,
    profile: Option<String>,
}

/// A container whose guest has come in and been set up.
struct Entered {
    container: Container,
    reserved: Reserved,
    pid: Option<i32>,
    watch: Watch,
    guest: Contained,
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
            Some(Way::Attach) => Err(no_attach("transport = \"attach\"")),
            None => match self.by_link(site, launch, &parts, TRIAL).await {
                Ok(launched) => {
                    self.found(site, Way::Link, "");
                    Ok(launched)
                }
                Err(Failure { error, no_way_in: true }) => {
                    Err(no_attach(&crate::backend::with_causes(&error)))
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

    async fn fetch(&self, site: &Site, launch: &Launch) -> Result<Parts, BackendError> {
        let image = self.images.get(&site.engine).await?;
        let mut env = secrets::environment(&self.spec.env_files).await?;
        env.extend(self.env.clone());
        let secrets = secrets::fetch(&self.spec.secrets).await?;
        let profile = match &self.spec.seccomp {
            Seccomp::Profile(path) => {
                let read = {
                    let path = path.clone();
                    spawn_blocking(move || std::fs::read_to_string(path)).await
                };
                let read = read.map_err(io::Error::other).flatten();
                let step = || format!("read seccomp profile {}", path.display());
                Some(read.map_err(|error| BackendError::passing(step(), error))?)
            }
            Seccomp::Default | Seccomp::Unconfined => None,
        };
        let setup = setup::setup(self.flavor, &self.spec, &self.limits, &image, env, secrets)?;
        let suffix = fastrand::u64(..);
        let name = plain(&format!("ostler-{}-{}-{suffix:016x}", launch.pool, launch.runtime));
        Ok(Parts { name, image, setup, profile })
    }

    /// With everything mounted.
    async fn by_link(
        &self,
        site: &Site,
        launch: &Launch,
        parts: &Parts,
        patience: Duration,
    ) -> Result<Launched, Failure> {
        let step = |what: &str| format!("{what} container {}", parts.name);
        let no_room = |error: io::Error| Failure::from(BackendError::passing(step("prepare"), error));
        let room = site.ground.room(&parts.name).map_err(no_room)?;
        let doorway = Doorway::open(room.short_path(SOCKET)).map_err(no_room)?;
        let program = site.ground.program();
        let entry = Entry::Link { program: &program, directory: &room.path };
        let reserved = self.reserve(site, parts)?;
        let body = self.body(site, launch, parts, entry, &reserved);
        let (container, watch_news) = self.create(site, parts, body).await.map_err(|error| {
            // The one thing in it that is ours alone.
            let no_way_in = error.to_string().contains(&*room.path.to_string_lossy());
            Failure { error: error.at(step("create")), no_way_in }
        })?;
        self.start(&container).await.map_err(|error| {
            let no_way_in = error.to_string().contains(&*room.path.to_string_lossy());
            Failure { error: error.at(step("start")), no_way_in }
        })?;
        let visitor = match self.admit(doorway, &container, patience).await {
            Ok(visitor) => visitor,
            Err(why) => {
                let words = last_words(&container).await;
                let error = BackendError::passing(step("enter"), format!("{why}{words}"));
                return Err(Failure { error, no_way_in: true });
            }
        };
        drop(room);
        let Visitor { control, data, pid, .. } = visitor;
        // Watched from before it is set up, lest its pid come to mean another.
        let watch = Watch::new(Arc::clone(&site.engine), container.id().to_owned(), pid, watch_news);
        let guest = match connect_container(control, data, &parts.setup, ANSWER).await {
            Ok(guest) => guest,
            Err(error) => {
                let error = crate::backend::with_causes(&error);
                let words = last_words(&container).await;
                return Err(BackendError::passing(step("set up"), format!("{error}{words}")).into());
            }
        };
        let entered = Entered { container, reserved, pid, watch, guest };
        Ok(self.finish(site, parts, entered).await?)
    }

    /// From a guest that answers to what the pool works with.
    async fn finish(&self, site: &Site, parts: &Parts, entered: Entered) -> Result<Launched, BackendError> {
        let step = format!("look at container {}", parts.name);
        let Entered { container, reserved, pid, watch, guest } = entered;
        let scope = Scope {
            pid: pid.and_then(|pid| u32::try_from(pid).ok()),
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
        let instance = Box::new(Kept { container, inspector, endpoints, _ports: reserved });
        Ok(Launched { control, data, exit: Box::pin(watch.end()), instance })
    }

    fn reserve(&self, site: &Site, parts: &Parts) -> Result<Reserved, BackendError> {
        let here = matches!(site.engine.address(), Address::Unix(_));
        Reserved::find(&self.spec.ports, here)
            .map_err(|why| BackendError::passing(format!("publish ports of container {}", parts.name), why))
    }

    fn body(
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
    async fn create(
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

    async fn start(&self, container: &Container) -> Result<(), EngineError> {
        let engine = container.engine();
        let client = engine.client().await?;
        engine.within(WORK, client.start_container(container.id(), None)).await
    }

    /// Waits for the guest to come in, or for its container to end instead.
    async fn admit(
        &self,
        doorway: Doorway,
        container: &Container,
        patience: Duration,
    ) -> Result<Visitor, String> {
        let mut coming = std::pin::pin!(doorway.admit(patience));
        let came = |came: io::Result<Visitor>| {
            came.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => format!("its guest did not come in within {patience:?}"),
                _ => format!("its guest did not come in: {error}"),
            })
        };
        loop {
            tokio::select! {
                visitor = &mut coming => return came(visitor),
                () = tokio::time::sleep(USUALLY) => {}
            }
            match exit::inspect(container.engine(), container.id()).await {
                Ok(state) if !exit::is_running(&state) => {
                    return Err(format!("it ended: {}", exit::cause(&state)));
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Logs what containers do without, and what the config has loosened: once, as they are all alike.
    fn tell(&self, inspector: &Inspector, guest: &Contained) {
        use std::sync::atomic::Ordering;
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

/// Where the container's published ports are reached. Podman leaves them out of its lists; they are here alone.
async fn endpoints(site: &Site, id: &str) -> Result<BTreeMap<Port, SocketAddr>, EngineError> {
    let client = site.engine.client().await?;
    let found = site.engine.within(QUICK, client.inspect_container(id, None)).await?;
    let published = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
    Ok(ports::endpoints(&published, site.engine.address().remote()))
}

/// What a container that failed had to say, to be put after the failure.
async fn last_words(container: &Container) -> String {
    let engine = container.engine();
    let fetch = async {
        let client = engine.client().await?;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
        let logs =
            client.logs(container.id(), Some(options)).map_ok(bollard::container::LogOutput::into_bytes);
        engine.within(QUICK, logs.try_collect::<Vec<_>>()).await
    };
    let Ok(chunks) = fetch.await else { return String::new() };
    let said = chunks.concat();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]).trim().to_owned();
    let mut words = String::new();
    if !said.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(words, "; it said: {said}");
    }
    words
}
