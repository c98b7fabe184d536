use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

use ostler::model::{BackendSpec, FakeSpec, IsolationLevel, ProcessSpec};

/// What makes the runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "docker"), expect(dead_code, reason = "two need the feature"))]
pub(crate) enum On {
    Process,
    /// Processes without namespaces, which see the host's processes and directories, if little of them.
    Basic,
    Docker(Way),
    Podman(Way),
    Fake,
}

/// How a container is lived with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "docker"), expect(dead_code, reason = "all need the feature"))]
pub(crate) enum Way {
    /// As it comes.
    Plain,
    /// Spoken to through the engine.
    Attached,
    /// Beside the image's own program.
    Service,
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
            Self::Docker(_) => Some("OSTLER_TEST_DOCKER"),
            Self::Podman(_) => Some("OSTLER_TEST_PODMAN"),
            Self::Process | Self::Basic | Self::Fake => None,
        }
    }

    /// What its backend calls itself.
    pub(crate) fn backend(self) -> &'static str {
        match self {
            Self::Process | Self::Basic => "process",
            Self::Docker(_) => "docker",
            Self::Podman(_) => "podman",
            Self::Fake => "fake",
        }
    }

    /// Whether runtimes have process numbers, mounts and directories of their own.
    pub(crate) fn is_walled(self) -> bool {
        self != Self::Basic
    }

    /// Where a lease can write.
    pub(crate) fn places(self) -> &'static [&'static str] {
        if self.is_walled() { &["", "/tmp", "/dev/shm"] } else { &[""] }
    }

    /// Whether the image's own program runs beside leases.
    pub(crate) fn serves(self) -> bool {
        matches!(self, Self::Docker(Way::Service) | Self::Podman(Way::Service))
    }

    fn missing(self) -> Option<&'static str> {
        self.variable().filter(|variable| std::env::var(variable).map_or(true, |host| host.is_empty()))
    }

    /// Its settings, small.
    pub(crate) fn settings(self) -> BackendSpec {
        match self {
            Self::Process => BackendSpec::Process(ProcessSpec::default()),
            Self::Basic => BackendSpec::Process(ProcessSpec {
                isolation: IsolationLevel::Basic,
                ..ProcessSpec::default()
            }),
            #[cfg(feature = "docker")]
            Self::Docker(way) => BackendSpec::Docker(self.container(way)),
            #[cfg(feature = "docker")]
            Self::Podman(way) => BackendSpec::Podman(self.container(way)),
            _ => BackendSpec::Fake(FakeSpec::default()),
        }
    }

    #[cfg(feature = "docker")]
    fn container(self, way: Way) -> ostler::model::ContainerSpec {
        use ostler::model::{ContainerMode, ContainerSpec, Transport};
        let host = self.variable().map(|variable| std::env::var(variable).unwrap().parse().unwrap());
        let image = std::env::var("OSTLER_TEST_IMAGE")
            .unwrap_or_else(|_| "localhost/ostler-test/busybox:latest".to_owned());
        let pull = ostler::model::PullPolicy::Never;
        let plain = ContainerSpec { host, image, pull, ..ContainerSpec::default() };
        match way {
            Way::Plain => plain,
            Way::Attached => ContainerSpec { transport: Transport::Attach, ..plain },
            Way::Service => {
                // It says what it is to whoever looks for what a lease has left.
                let serves = "while :; do /bin/sleep 0.2; done";
                let entrypoint = Some(["/bin/sh", "-c", serves].map(str::to_owned).into());
                let stop_grace = Duration::from_millis(200);
                ContainerSpec { mode: ContainerMode::Service, entrypoint, stop_grace, ..plain }
            }
        }
    }
}
