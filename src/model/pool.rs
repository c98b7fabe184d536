use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{ContainerSpec, HealthSpec, Limits};

/// Everything one pool is made from. The fields are the config file's keys, with its defaults and bounds;
/// `config/demo.toml` documents each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolSpec {
    /// What makes the runtimes.
    pub backend: BackendSpec,
    /// Runtimes kept ready. Default 1; 0 to `max`.
    pub min: usize,
    /// Runtimes that may exist at once, in any state. Default 4; 1 to 100 000.
    pub max: usize,
    /// Further runtimes that leases may ask for when the pool is exhausted, each destroyed on return.
    /// Default 0; 0 to 10 000.
    pub overflow: usize,
    /// Waiters that may queue before an acquire fails with `Overloaded`. Default 1024; 0 to 1 000 000.
    pub queue: usize,
    /// How long an acquire waits. Default 30 s; 1 ms to 1 h.
    pub acquire_timeout: Duration,
    /// What an acquire does when no runtime is ready. Default `wait`.
    pub when_exhausted: Exhausted,
    /// How long a lease may be held without being renewed; after it its runtime is destroyed under it. Default none;
    /// 100 ms to 30 days.
    pub max_lease: Option<Duration>,
    /// A lease held for longer than this is told of, with the place in the code that acquired it. Default none; 100
    /// ms to 30 days.
    pub leak_after: Option<Duration>,
    /// Leases a runtime serves before it is replaced. Default none; 1 to 1 000 000 000.
    pub max_uses: Option<u64>,
    /// Age at which a runtime is replaced, made shorter by up to a tenth at random so that they don't all go
    /// at once. Default none; 1 s to 30 days.
    pub max_lifetime: Option<Duration>,
    /// How long more runtimes than `min` may stay ready unneeded. Default 10 min; 100 ms to 30 days.
    pub idle_timeout: Option<Duration>,
    /// A runtime ready for longer than this is pinged before it is leased. Default 1 s; 1 ms to 1 h.
    pub test_after_idle: Duration,
    /// How a runtime is cleaned between leases. Default `wipe`.
    pub reset: ResetPolicy,
    /// Longest a reset may take before the runtime is destroyed. Default 5 s; 10 ms to 10 min.
    pub reset_timeout: Duration,
    /// Launches under way at once. Default 4; 1 to 256.
    pub launch_parallelism: usize,
    /// Longest from launch to leasable. Default 30 s; 10 ms to 1 h.
    pub launch_timeout: Duration,
    /// Longest a runtime's destruction may take before it is reported as a survivor. Default 10 s; 10 ms to
    /// 10 min.
    pub retire_timeout: Duration,
    /// Health probes.
    pub health: HealthSpec,
    /// What happens after failures.
    pub restart: RestartSpec,
    /// Command run in each new runtime before it is leased; a status other than 0 is a failed launch.
    pub warm_up: Vec<String>,
    /// Host directory whose content each lease finds in its workspace. Read once, when the pool starts;
    /// at most 64 MiB.
    pub template: Option<PathBuf>,
    /// Environment of every command, beside `PATH`, `HOME`, `LANG`. Values are secrets: the config never shows
    /// them.
    pub env: BTreeMap<String, String>,
    /// Timeout of a command that sets none. Default 60 s; 1 ms to 1 day.
    pub exec_timeout: Duration,
    /// Longest that a file operation waits for the guest's next word; after it, whether it was done is unknown, and the
    /// runtime is replaced. What the caller's own reader or writer takes does not count. Default 60 s; 10 ms to 1 day.
    pub file_timeout: Duration,
    /// Bytes of each output stream kept by a command that sets no limit. Default 1 MiB; 1 KiB to 1 GiB.
    pub output_limit: u64,
    /// What each runtime may use.
    pub limits: Limits,
}

impl Default for PoolSpec {
    fn default() -> Self {
        Self {
            backend: BackendSpec::Process(ProcessSpec::default()),
            min: 1,
            max: 4,
            overflow: 0,
            queue: 1024,
            acquire_timeout: Duration::from_secs(30),
            when_exhausted: Exhausted::Wait,
            max_lease: None,
            leak_after: None,
            max_uses: None,
            max_lifetime: None,
            idle_timeout: Some(Duration::from_mins(10)),
            test_after_idle: Duration::from_secs(1),
            reset: ResetPolicy::Wipe,
            reset_timeout: Duration::from_secs(5),
            launch_parallelism: 4,
            launch_timeout: Duration::from_secs(30),
            retire_timeout: Duration::from_secs(10),
            health: HealthSpec::default(),
            restart: RestartSpec::default(),
            warm_up: Vec::new(),
            template: None,
            env: BTreeMap::new(),
            exec_timeout: Duration::from_mins(1),
            file_timeout: Duration::from_mins(1),
            output_limit: 1 << 20,
            limits: Limits::default(),
        }
    }
}

impl PoolSpec {
    /// Whether runtimes made from `other` can serve where this spec is asked for: everything that shapes the
    /// runtime itself is the same, whatever the pool's size and timing.
    #[must_use]
    pub fn makes_the_same_as(&self, other: &Self) -> bool {
        self.backend == other.backend
            && self.warm_up == other.warm_up
            && self.template == other.template
            && self.env == other.env
            && self.limits == other.limits
            && self.reset == other.reset
    }
}

/// What an acquire does when no runtime is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exhausted {
    /// Wait in the queue, up to the timeout.
    #[default]
    Wait,
    /// Fail at once, with an estimate of when to try again.
    Fail,
    /// Get a runtime beyond `max`, up to `overflow` of them; wait when those are out too.
    Overflow,
}

/// How a runtime is cleaned between leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetPolicy {
    /// Not at all: the next lease finds what the last one left.
    None,
    /// All processes killed, every writable place wiped, verified from outside.
    #[default]
    Wipe,
}

/// What is replaced after it has ended by itself. What ostler retires, for its age or after a lease, always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Everything.
    #[default]
    Always,
    /// What failed: ended with another status than 0 or by a signal, could not be launched or cleaned, or failed its
    /// probes. After an ordinary end the pool has one fewer.
    OnFailure,
    /// Nothing: after each end the pool has one fewer.
    Never,
}

/// What happens after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RestartSpec {
    /// What is replaced after it has ended by itself. Default `always`.
    pub policy: RestartPolicy,
    /// Launches caused by failure that a window may hold before the pool is degraded. Default 10; 1 to
    /// 10 000.
    pub intensity: u32,
    /// The window. Default 1 min; 100 ms to 1 day.
    pub window: Duration,
    /// First pause after a failed launch; doubles with each further one, with jitter in [½, 1]. Default 200 ms;
    /// 1 ms to 1 h.
    pub backoff: Duration,
    /// Longest pause. Default 30 s; `backoff` to 1 day.
    pub backoff_cap: Duration,
}

impl Default for RestartSpec {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::Always,
            intensity: 10,
            window: Duration::from_mins(1),
            backoff: Duration::from_millis(200),
            backoff_cap: Duration::from_secs(30),
        }
    }
}

/// What makes a pool's runtimes, with the settings only it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BackendSpec {
    /// Sandboxed process trees on this host.
    Process(ProcessSpec),
    /// Containers of a Docker engine, or of one that speaks as it does.
    Docker(ContainerSpec),
    /// Containers of a Podman engine.
    Podman(ContainerSpec),
    /// Nothing real: scripted and seeded, for tests.
    Fake(FakeSpec),
    /// The application's own, handed to the builder under the pool's name.
    Custom,
}

impl BackendSpec {
    /// Whether what it makes bears the instance's name, so that two ostlers of one name would meet.
    #[must_use]
    pub const fn bears_the_name(&self) -> bool {
        !matches!(self, Self::Fake(_) | Self::Custom)
    }
}

/// Settings of the `process` backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessSpec {
    /// How far the runtime is kept apart from the host. Default `auto`.
    pub isolation: IsolationLevel,
    /// Which network it sees. Default `none`.
    pub network: NetworkAccess,
    /// Absolute host paths shown read-only inside, at the same place. Default: the system's program directories,
    /// those of them that exist.
    pub read_only: Vec<PathBuf>,
    /// Size of the workspace, bytes. Default 256 MiB; 64 KiB to 1 TiB.
    pub workspace_size: u64,
    /// Size of `/tmp` and of `/dev/shm`, bytes each. Default 64 MiB; 64 KiB to 1 TiB.
    pub tmp_size: u64,
    /// The host's user and group the runtimes run as when ostler runs as root. Default 65534; never 0.
    pub user: u32,
}

impl Default for ProcessSpec {
    fn default() -> Self {
        Self {
            isolation: IsolationLevel::Auto,
            network: NetworkAccess::None,
            read_only: ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
                .map(PathBuf::from)
                .into(),
            workspace_size: 256 << 20,
            tmp_size: 64 << 20,
            user: 65534,
        }
    }
}

/// How far a sandboxed process is kept apart from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationLevel {
    /// The strongest this host allows; what is missing is logged.
    #[default]
    Auto,
    /// All of it, or the pool does not start.
    Strict,
    /// No namespaces.
    Basic,
}

/// Which network a runtime sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkAccess {
    /// Loopback of its own.
    #[default]
    None,
    /// The host's.
    Host,
}

/// Settings of the `fake` backend. Rates are per call, from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FakeSpec {
    /// Seed of all its choices.
    pub seed: u64,
    /// How long a launch takes. At most 1 h.
    pub launch: Duration,
    /// How long a reset takes. At most 1 h.
    pub reset: Duration,
    /// Launches that fail.
    pub launch_failures: f64,
    /// Resets that fail.
    pub reset_failures: f64,
    /// Probes that are never answered.
    pub hangs: f64,
    /// Runtimes that end by themselves, per probe.
    pub exits: f64,
}
