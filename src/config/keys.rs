//! Every key there is. Defaults are those of the specs' `Default`.

use std::time::Duration;

use crate::model::{
    BackendSpec, Exhausted, FakeSpec, IsolationLevel, NetworkAccess, PoolSpec, ProcessSpec, ResetPolicy,
};

use super::field::{Choice, Field};
use super::key::{Key, backend_keys, is_optional, keys};
use super::kind::Kind;
use super::log::{LogFormat, LogLevel};
use super::settings::Config;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const fn ms(low: u64, high: Duration) -> Kind {
    Kind::Duration(Duration::from_millis(low), high)
}

const MIN_10: Duration = Duration::from_mins(10);
const HOUR: Duration = Duration::from_hours(1);
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
    kind: Kind::Choice(&["process", "fake", "custom"]),
    optional: false,
    doc: "What makes the runtimes: sandboxed processes, nothing real (for tests), or the application's own.",
    get: |spec| Some(Field::setting(&backend_name(&spec.backend).to_owned())),
    set: |spec, setting| {
        let name = String::from_setting(setting)?;
        if name != backend_name(&spec.backend) {
            spec.backend = match name.as_str() {
                "process" => BackendSpec::Process(ProcessSpec::default()),
                "fake" => BackendSpec::Fake(FakeSpec::default()),
                "custom" => BackendSpec::Custom,
                _ => return None,
            };
        }
        Some(())
    },
};

/// The backend's name, which is also that of the table with its own keys.
pub(super) const fn backend_name(backend: &BackendSpec) -> &'static str {
    match backend {
        BackendSpec::Process(_) => "process",
        BackendSpec::Docker(_) => "docker",
        BackendSpec::Podman(_) => "podman",
        BackendSpec::Fake(_) => "fake",
        BackendSpec::Custom => "custom",
    }
}

/// Every key of a pool, in the order of documentation.
pub(super) fn pool() -> impl Iterator<Item = &'static Key<PoolSpec>> + Clone {
    std::iter::once(&BACKEND).chain(COMMON).chain(PROCESS).chain(FAKE)
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
    output_limit: Kind::Size(KIB, GIB),
        "Bytes of each output stream kept by a command that sets no limit; the rest is dropped, and said so.";
    env: Kind::Environment,
        "Environment of every command, on top of PATH, HOME and LANG. Values are treated as secrets.";
    health.interval: ms(10, HOUR),
        "Between two probes of one runtime, with up to a tenth of jitter.";
    health.timeout: ms(1, MIN_10),
        "Longest a probe may take before it counts as failed.";
    health.retries: Kind::Count(1, 100),
        "Failed probes in a row that make a runtime unhealthy, which replaces it.";
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
        "Processors a runtime may keep busy; 0.5 is half of one.";
    limits.file_size: Kind::Size(KIB, 64 * TIB),
        "Largest file a runtime may write.";
    limits.open_files: Kind::Count(16, 1_048_576),
        "Open descriptors of each process.";
};

const PROCESS: &[Key<PoolSpec>] = backend_keys! { "process" Process(ProcessSpec):
    isolation: Kind::Choice(IsolationLevel::WORDS),
        "`auto`: the strongest this host allows, logging what is missing; `strict`: all of it; `basic`: no namespaces.";
    network: Kind::Choice(NetworkAccess::WORDS),
        "Which network a runtime sees: its own loopback only, or the host's.";
    read_only: Kind::Paths,
        "Host paths shown read-only inside, at the same place. Of the default ones those that exist.";
    workspace_size: Kind::Size(64 * KIB, TIB),
        "Size of the workspace, which is held in memory and counts as such.";
    tmp_size: Kind::Size(64 * KIB, TIB),
        "Size of /tmp and of /dev/shm, each.";
    user: Kind::Count(1, 4_294_967_294),
        "User and group of the host that runtimes run as when ostler runs as root. Never root itself.";
};

const FAKE: &[Key<PoolSpec>] = backend_keys! { "fake" Fake(FakeSpec):
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
