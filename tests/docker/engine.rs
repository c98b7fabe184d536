//! The engines under test.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use ostler::model::{BackendSpec, ContainerSpec};
use ostler::{Config, Ostler, Pool, PoolSpec};
use slog::{Discard, Drain, Logger, o};
use tempfile::TempDir;

/// The image most tests are content with: busybox, in `/bin`, and nothing else.
pub(crate) fn image() -> String {
    std::env::var("OSTLER_TEST_IMAGE").unwrap_or_else(|_| "ostler-test/busybox:latest".to_owned())
}

/// One engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Docker,
    Podman,
}

#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    pub(crate) host: String,
}

impl Engine {
    /// Those there are; for each that is not, a line that counts as a skip.
    pub(crate) fn all(test: &str) -> Vec<Self> {
        [(Kind::Docker, "OSTLER_TEST_DOCKER"), (Kind::Podman, "OSTLER_TEST_PODMAN")]
            .into_iter()
            .filter_map(|(kind, variable)| match std::env::var(variable) {
                Ok(host) if !host.is_empty() => Some(Self { kind, host }),
                _ => {
                    skip(&format!("{test} on {kind:?}: {variable} is not set"));
                    None
                }
            })
            .collect()
    }

    /// A pool's backend on this engine.
    pub(crate) fn settings(&self, spec: &ContainerSpec) -> BackendSpec {
        let spec = ContainerSpec { host: Some(self.host.parse().unwrap()), ..spec.clone() };
        match self.kind {
            Kind::Docker => BackendSpec::Docker(spec),
            Kind::Podman => BackendSpec::Podman(spec),
        }
    }

    /// A client of the test's own.
    pub(crate) async fn client(&self) -> Docker {
        self.connect(60).negotiate_version().await.unwrap()
    }

    /// One that has not said a word yet, and waits so many seconds for an answer.
    pub(crate) fn connect(&self, seconds: u64) -> Docker {
        let connect =
            if self.host.starts_with("tcp:") { Docker::connect_with_http } else { Docker::connect_with_unix };
        connect(&self.host, seconds, API_DEFAULT_VERSION).unwrap()
    }

    /// Ids of all containers of an instance, running or not.
    pub(crate) async fn containers(&self, instance: &str) -> Vec<String> {
        let filters = [("label".to_owned(), vec![format!("ostler.instance={instance}")])].into();
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let client = self.client().await;
        let mut tries = 0;
        let found = loop {
            match client.list_containers(Some(options.clone())).await {
                Ok(found) => break found,
                // Podman has a word for containers on their way to the end that the client does not know.
                Err(bollard::errors::Error::JsonDataError { .. }) if tries < 200 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        found.into_iter().filter_map(|container| container.id).collect()
    }
}

/// Says a line that counts as a skip. Not by a macro, whose output is kept back when a test succeeds.
pub(crate) fn skip(what: &str) {
    std::io::stderr().write_all(format!("\nSKIPPED: {what}\n").as_bytes()).unwrap();
}

/// What every container here is made from, unless a test says otherwise.
pub(crate) fn spec() -> ContainerSpec {
    ContainerSpec {
        image: image(),
        pull: ostler::model::PullPolicy::Never,
        workspace_size: 16 << 20,
        tmp_size: 8 << 20,
        shm_size: 1 << 20,
        ..ContainerSpec::default()
    }
}

/// An ostler with one pool, under a name of its own.
pub(crate) struct Stable {
    pub(crate) ostler: Ostler,
    pub(crate) pool: Pool,
    pub(crate) engine: Engine,
    pub(crate) instance: String,
    pub(crate) state: TempDir,
}

pub(crate) fn config(instance: &str, state: &Path, pool: PoolSpec) -> Config {
    Config::builder().instance(instance).state_dir(state).pool("p", pool).build().unwrap()
}

/// A name that no other test has.
pub(crate) fn unique() -> String {
    format!("test-{:016x}", fastrand::u64(..))
}

fn log() -> Logger {
    if std::env::var_os("OSTLER_TEST_LOG").is_none() {
        return Logger::root(Discard, o!());
    }
    let drain =
        slog_term::FullFormat::new(slog_term::PlainSyncDecorator::new(std::io::stderr())).build().fuse();
    Logger::root(drain, o!())
}

impl Stable {
    pub(crate) async fn open(engine: &Engine, container: &ContainerSpec, pool: PoolSpec) -> Self {
        Self::open_at(engine, &engine.host, container, pool).await
    }

    /// With the engine reached elsewhere than the test reaches it.
    pub(crate) async fn open_at(
        engine: &Engine,
        host: &str,
        container: &ContainerSpec,
        pool: PoolSpec,
    ) -> Self {
        Self::try_open_at(engine, host, container, pool).await.unwrap()
    }

    /// Why it does not start, with all causes.
    pub(crate) async fn try_open_at(
        engine: &Engine,
        host: &str,
        container: &ContainerSpec,
        pool: PoolSpec,
    ) -> Result<Self, String> {
        Self::try_open_in(tempfile::tempdir().unwrap(), engine, host, container, pool).await
    }

    /// With this directory for its state.
    pub(crate) async fn try_open_in(
        state: TempDir,
        engine: &Engine,
        host: &str,
        container: &ContainerSpec,
        pool: PoolSpec,
    ) -> Result<Self, String> {
        let instance = unique();
        let reached = Engine { host: host.to_owned(), ..engine.clone() };
        let pool = PoolSpec { backend: reached.settings(container), ..pool };
        let config = config(&instance, state.path(), pool);
        let started = Ostler::builder(config).logger(log()).start().await;
        let ostler = started.map_err(|error| format!("{error:?}"))?;
        let pool = ostler.pool("p").unwrap();
        Ok(Self { ostler, pool, engine: engine.clone(), instance, state })
    }

    /// Ends it, and sees that nothing is left.
    pub(crate) async fn close(self) {
        let Self { ostler, pool, engine, instance, state } = self;
        drop(pool);
        // No lease is out, so that it waits for the engine alone, which may be busy with other tests.
        ostler.shutdown_within(Duration::from_secs(30)).await.unwrap();
        assert_eq!(engine.containers(&instance).await, Vec::<String>::new());
        let left = std::fs::read_dir(state.path().join("containers")).into_iter().flatten().count();
        assert_eq!(left, 0, "directories are left");
    }
}
