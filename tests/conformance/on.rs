use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

use ostler::model::{BackendSpec, FakeSpec, ProcessSpec};

/// What makes the runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "docker"), expect(dead_code, reason = "two need the feature"))]
pub(crate) enum On {
    Process,
    Docker,
    Podman,
    Fake,
}

/// No case takes longer, on a machine that is busy with all of them.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs one case.
pub(crate) fn run<F: Future<Output = ()>>(on: On, case: fn(On) -> F) {
    if let Some(variable) = on.missing() {
        let test = std::thread::current().name().unwrap_or("a case").to_owned();
        // Not by a macro, whose output is kept back when a test succeeds.
        let line = format!("\nSKIPPED: {test}: {variable} is not set\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, case(on)).await.unwrap() });
}

impl On {
    /// The variable with its engine's address.
    pub(crate) fn variable(self) -> Option<&'static str> {
        match self {
            Self::Docker => Some("OSTLER_TEST_DOCKER"),
            Self::Podman => Some("OSTLER_TEST_PODMAN"),
            Self::Process | Self::Fake => None,
        }
    }

    fn missing(self) -> Option<&'static str> {
        self.variable().filter(|variable| std::env::var(variable).map_or(true, |host| host.is_empty()))
    }

    /// Its settings, small.
    pub(crate) fn settings(self) -> BackendSpec {
        match self {
            Self::Process => BackendSpec::Process(ProcessSpec::default()),
            #[cfg(feature = "docker")]
            Self::Docker => BackendSpec::Docker(self.container()),
            #[cfg(feature = "docker")]
            Self::Podman => BackendSpec::Podman(self.container()),
            _ => BackendSpec::Fake(FakeSpec::default()),
        }
    }

    #[cfg(feature = "docker")]
    fn container(self) -> ostler::model::ContainerSpec {
        let host = self.variable().map(|variable| std::env::var(variable).unwrap().parse().unwrap());
        let image = std::env::var("OSTLER_TEST_IMAGE")
            .unwrap_or_else(|_| "localhost/ostler-test/busybox:latest".to_owned());
        let pull = ostler::model::PullPolicy::Never;
        ostler::model::ContainerSpec { host, image, pull, ..Default::default() }
    }
}
