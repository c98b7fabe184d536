//! Every key there is. Defaults are those of the specs' `Default`.

use std::time::Duration;

use crate::model::{
    BackendSpec, ContainerSpec, ExecProbe, Exhausted, FakeSpec, FileProbe, HttpProbe, IsolationLevel,
    NetworkAccess, PoolSpec, Probe, ProcessSpec, ResetPolicy, RestartPolicy, TcpProbe,
};

use super::container::{CONTAINER, shapes};
use super::field::{Choice, Field};
use super::key::{Key, is_optional, keys, variant_keys};
use super::kind::Kind;
use super::log::{LogFormat, LogLevel};
use super::settings::Config;

pub(super) const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const TIB: u64 = 1 << 40;

pub(super) const fn ms(low: u64, high: Duration) -> Kind {
    Kind::Duration(Duration::from_millis(low), high)
}

const MIN_10: Duration = Duration::from_mins(10);
pub(super) const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const DAYS_30: Duration = Duration::from_hours(30 * 24);

/// The keys at the top of the file and in its `[log]` table.
pub(super) const TOP: &[Key<Config>] = keys! { Config:
    instance: Kind::Name,
        "Name of this ostler. What it creates bears it; two alive at once need different ones.";
    state_dir: Kind::Path,
        "Directory for lock files and for the workspaces of runtimes without namespaces; made when missing.";
    shutdown_grace: ms(1, HOUR),
        "How long a shutdown waits for leases to end by themselves; after it they are ended.";
    log.level: Kind::Choice(LogLevel::WORDS),
        "The least severe records that the `ostler` binary writes.";
    log.format: Kind::Choice(LogFormat::WORDS),
        "How it writes them: `text` for people, `json` for machines.";
};

/// What makes the runtimes. Read before all others, because it decides which of them apply.
pub(super) const BACKEND: Key<PoolSpec> = Key {
    name: "backend",
    kind: Kind::Choice(&["process", "docker", "podman", "fake", "custom"]),
    optional: false,
    doc: "What makes the runtimes: sandboxed processes, containers, nothing real (for tests), or the application's own.",
    get: |spec| Some(Field::setting(&backend_name(&spec.backend).to_owned())),
    set: |spec, setting| {
        let name = String::from_setting(setting)?;
        if name != backend_name(&spec.backend) {
            spec.backend = match name.as_str() {
                "process" => BackendSpec::Process(ProcessSpec::default()),
                "docker" => BackendSpec::Docker(ContainerSpec::default()),
                "podman" => BackendSpec::Podman(ContainerSpec::default()),
                "fake" => BackendSpec::Fake(FakeSpec::default()),
                "custom" => BackendSpec::Custom,
                _ => return None,
            };
        }
        Some(())
    },
};

/// The backend's name.
pub(super) const fn backend_name(backend: &BackendSpec) -> &'static str {
    match backend {
        BackendSpec::Process(_) => "process",
        BackendSpec::Docker(_) => "docker",
        BackendSpec::Podman(_) => "podman",
        BackendSpec::Fake(_) => "fake",
        BackendSpec::Custom => "custom",
    }
}

/// What shows that a runtime is healthy. As with the backend, it decides which other keys apply.
const PROBE: Key<PoolSpec> = Key {
    name: "health.probe",
    kind: Kind::Choice(&["guest", "exec", "http", "tcp", "file", "image"]),
    optional: false,
    doc: "What shows health, beside the guest's answer to a ping: a command, a server, a port, a file, the image's own check.",
    get: |spec| Some(Field::setting(&probe_name(&spec.health.probe).to_owned())),
    set: |spec, setting| {
        let name = String::from_setting(setting)?;
        if name != probe_name(&spec.health.probe) {
            spec.health.probe = match name.as_str() {
                "guest" => Probe::Guest,
                "exec" => Probe::Exec(ExecProbe::default()),
                "http" => Probe::Http(HttpProbe::default()),
                "tcp" => Probe::Tcp(TcpProbe::default()),
                "file" => Probe::File(FileProbe::default()),
                "image" => Probe::Image,
                _ => return None,
            };
        }
        Some(())
    },
};

const fn probe_name(probe: &Probe) -> &'static str {
    match probe {
        Probe::Guest => "guest",
        Probe::Exec(_) => "exec",
        Probe::Http(_) => "http",
        Probe::Tcp(_) => "tcp",
        Probe::File(_) => "file",
        Probe::Image => "image",
    }
}

/// A table of keys that apply only to some pools.
pub(super) struct Conditional {
    /// Its name within the pool.
    pub(super) table: &'static str,
    /// To which, as the condition is written in a file.
    pub(super) only: &'static str,
    /// Whether a pool is one of them; if not, what it has instead.
    pub(super) fits: fn(&PoolSpec) -> Result<(), String>,
}

const fn conditional(
    table: &'static str,
    only: &'static str,
    fits: fn(&PoolSpec) -> Result<(), String>,
) -> Conditional {
    Conditional { table, only, fits }
}

/// The tables that not every pool may have.
pub(super) const CONDITIONAL: &[Conditional] = &[
    conditional("process", "backend = \"process\"", |pool| backend_is(pool, &["process"])),
    conditional("container", "backend = \"docker\" and backend = \"podman\"", |pool| {
        backend_is(pool, &["docker", "podman"])
    }),
    conditional("fake", "backend = \"fake\"", |pool| backend_is(pool, &["fake"])),
    conditional("health.exec", "health.probe = \"exec\"", |pool| probe_is(pool, "exec")),
    conditional("health.http", "health.probe = \"http\"", |pool| probe_is(pool, "http")),
    conditional("health.tcp", "health.probe = \"tcp\"", |pool| probe_is(pool, "tcp")),
    conditional("health.file", "health.probe = \"file\"", |pool| probe_is(pool, "file")),
];

fn backend_is(pool: &PoolSpec, names: &[&str]) -> Result<(), String> {
    let name = backend_name(&pool.backend);
    if names.contains(&name) { Ok(()) } else { Err(format!("backend = \"{name}\"")) }
}

fn probe_is(pool: &PoolSpec, wanted: &str) -> Result<(), String> {
    let name = probe_name(&pool.health.probe);
    if name == wanted { Ok(()) } else { Err(format!("health.probe = \"{name}\"")) }
}

/// Every key of a pool, in the order of documentation. Those that decide which others apply come before them.
pub(super) fn pool() -> impl Iterator<Item = &'static Key<PoolSpec>> + Clone {
    let first = std::iter::once(&BACKEND).chain(COMMON).chain(std::iter::once(&PROBE));
    let probes = EXEC_PROBE.iter().chain(HTTP_PROBE).chain(TCP_PROBE).chain(FILE_PROBE);
    first.chain(HEALTH).chain(probes).chain(FURTHER).chain(PROCESS).chain(CONTAINER).chain(FAKE)
}

const COMMON: &[Key<PoolSpec>] = keys! { PoolSpec:
    min: Kind::Count(0, 100_000),
        "Runtimes kept ready; not above `max`.";
    max: Kind::Count(1, 100_000),
        "Runtimes that may exist at once, whatever they are doing.";
    overflow: Kind::Count(0, 10_000),
        "Runtimes beyond `max` for leases that ask for one, each destroyed on return; see `when_exhausted`.";
    queue: Kind::Count(0, 1_000_000),
        "Acquires that may wait at once; the next one fails as overloaded.";
    acquire_timeout: ms(1, HOUR),
        "How long an acquire waits for a runtime.";
    when_exhausted: Kind::Choice(Exhausted::WORDS),
        "What an acquire does when nothing is ready: wait, fail at once, or get one of `overflow`.";
    max_lease: ms(100, DAYS_30),
        "How long a lease may be held unless it is renewed; after it its runtime is destroyed under it.";
    leak_after: ms(100, DAYS_30),
        "A lease held for longer is logged and told of, with the place in the code that acquired it.";
    max_uses: Kind::Count(1, 1_000_000_000),
        "Leases a runtime serves before it is replaced.";
    max_lifetime: ms(1000, DAYS_30),
        "Age at which a runtime is replaced, up to a tenth earlier at random so that they don't go together.";
    idle_timeout: ms(100, DAYS_30),
        "How long more runtimes than `min` may stay ready unneeded.";
    test_after_idle: ms(1, HOUR),
        "A runtime that was ready for longer than this is pinged before it is leased.";
    reset: Kind::Choice(ResetPolicy::WORDS),
        "How a runtime is cleaned between leases: `wipe` everything, or not at all.";
    reset_timeout: ms(10, MIN_10),
        "Longest a reset may take; after it the runtime is destroyed.";
    launch_parallelism: Kind::Count(1, 256),
        "Launches under way at once.";
    launch_timeout: ms(10, HOUR),
        "Longest from launch to leasable, `warm_up` included; after it the launch has failed.";
    retire_timeout: ms(10, MIN_10),
        "Longest a runtime's destruction may take; after it the runtime is reported as a survivor.";
    warm_up: Kind::Command,
        "Command run in each new runtime before it is leased; a status other than 0 fails the launch.";
    template: Kind::Path,
        "Directory whose content each lease finds in its workspace; read when the pool starts, at most 64MiB.";
    exec_timeout: ms(1, DAY),
        "Timeout of a command that sets none.";
    file_timeout: ms(10, DAY),
        "Longest that a file operation waits for the guest's next word; then its runtime is replaced.";
    output_limit: Kind::Size(KIB, GIB),
        "Bytes of each output stream kept by a command that sets no limit; the rest is dropped, and said so.";
    env: Kind::Environment,
        "Environment of every command, on top of PATH, HOME and LANG. Values are treated as secrets.";
};

const HEALTH: &[Key<PoolSpec>] = keys! { PoolSpec:
    health.interval: ms(10, HOUR),
        "Between two probes of one runtime, with up to a tenth of jitter.";
    health.timeout: ms(1, MIN_10),
        "Longest a probe may take before it counts as failed.";
    health.retries: Kind::Count(1, 100),
        "Failed probes in a row that make a runtime unhealthy, which replaces it.";
    health.start_period: ms(0, HOUR),
        "How long after its launch a runtime's failed probes do not count.";
};

const EXEC_PROBE: &[Key<PoolSpec>] = variant_keys! { "health.exec" in health.probe: Probe::[Exec](ExecProbe):
    command: Kind::Command,
        "The command; it must be set for this probe.";
};

const HTTP_PROBE: &[Key<PoolSpec>] = variant_keys! { "health.http" in health.probe: Probe::[Http](HttpProbe):
    port: Kind::Count(1, 65535),
        "The port inside, reached from the host: one of `container.ports`, or any if the network is the host's.";
    path: Kind::Word(&shapes::URL_PATH),
        "Path and query of the `GET`; redirects are not followed.";
    status: Kind::Word(&shapes::STATUS),
        "What the answer's status must be.";
    body: Kind::Word(&shapes::ANY_TEXT),
        "Text that the first 64KiB of the answer's body must have in them.";
};

const TCP_PROBE: &[Key<PoolSpec>] = variant_keys! { "health.tcp" in health.probe: Probe::[Tcp](TcpProbe):
    port: Kind::Count(1, 65535),
        "The port inside; reached as with `http`.";
};

const FILE_PROBE: &[Key<PoolSpec>] = variant_keys! { "health.file" in health.probe: Probe::[File](FileProbe):
    path: Kind::Word(&shapes::INNER_PATH),
        "The file; a relative path starts at the workspace.";
};

const FURTHER: &[Key<PoolSpec>] = keys! { PoolSpec:
    restart.policy: Kind::Choice(RestartPolicy::WORDS),
        "What is replaced after it has ended by itself: everything, all but what ended with status 0, or nothing.";
    restart.intensity: Kind::Count(1, 10_000),
        "Launches caused by failure that one `window` may hold; with more the pool is degraded.";
    restart.window: ms(100, DAY),
        "The window that `intensity` counts in.";
    restart.backoff: ms(1, HOUR),
        "Pause after a failed launch; doubles with each further one, at random between half and all of it.";
    restart.backoff_cap: ms(1, DAY),
        "Longest pause; not below `backoff`.";
    limits.memory: Kind::Size(4 * MIB, 64 * TIB),
        "Memory of all processes of a runtime together.";
    limits.pids: Kind::Count(4, 4_194_304),
        "Processes and threads of a runtime.";
    limits.cpus: Kind::Fraction(0.01, 4096.0),
        "Processors a runtime may keep busy; 0.5 is half of one. Set aside while its guest is late with an end.";
    limits.file_size: Kind::Size(KIB, 64 * TIB),
        "Largest file a runtime may write.";
    limits.open_files: Kind::Count(16, 1_048_576),
        "Open descriptors of each process.";
};

const PROCESS: &[Key<PoolSpec>] = variant_keys! { "process" in backend: BackendSpec::[Process](ProcessSpec):
    isolation: Kind::Choice(IsolationLevel::WORDS),
        "`auto`: the strongest this host allows, logging what is missing; `strict`: all of it; `basic`: no namespaces.";
    network: Kind::Choice(NetworkAccess::WORDS),
        "Which network a runtime sees: its own loopback only, or the host's.";
    read_only: Kind::Paths,
        "Host paths shown read-only inside, at the same place. Of the default ones those that exist; none of a sandbox's own: /, /dev, /etc, /proc, /tmp, /work.";
    workspace_size: Kind::Size(64 * KIB, TIB),
        "Size of the workspace, which is held in memory and counts as such.";
    tmp_size: Kind::Size(64 * KIB, TIB),
        "Size of /tmp and of /dev/shm, each.";
    user: Kind::Count(1, 4_294_967_294),
        "User and group of the host that runtimes run as when ostler runs as root. Never root itself.";
};

const FAKE: &[Key<PoolSpec>] = variant_keys! { "fake" in backend: BackendSpec::[Fake](FakeSpec):
    seed: Kind::Count(0, u64::MAX),
        "Seed of all its choices.";
    launch: ms(0, HOUR),
        "How long a launch takes.";
    reset: ms(0, HOUR),
        "How long a reset takes.";
    launch_failures: Kind::Fraction(0.0, 1.0),
        "Share of launches that fail.";
    reset_failures: Kind::Fraction(0.0, 1.0),
        "Share of resets that fail.";
    hangs: Kind::Fraction(0.0, 1.0),
        "Share of probes that are never answered.";
    exits: Kind::Fraction(0.0, 1.0),
        "Share of probes at which the runtime ends by itself.";
};
