//! What a pool of containers is made from.

mod confinement;
mod engine;
mod env_file;
mod loosened;
mod network;
mod port;
mod secret;
mod ulimit;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use confinement::{Capability, Gpus, Seccomp};
pub use engine::{ContainerMode, EngineHost, PullPolicy, TlsSpec, Transport};
pub use env_file::parse_env_file;
pub use network::{ContainerNetwork, ExtraHost};
pub use port::{HostPorts, Port, PortMap, Protocol};
pub use secret::{SecretSource, SecretValue};
pub use ulimit::Ulimit;
pub use volume::{Volume, VolumeAccess, VolumeSource};

/// Where a container's secrets are: one file each, named as the secret, on a tmpfs that only its user reads.
pub const SECRETS_DIRECTORY: &str = "/run/secrets";

/// What every label that ostler itself sets begins with; a spec must not set such.
pub const OWN_LABELS: &str = "ostler.";

/// Settings of the backends `docker` and `podman`.
///
/// Besides these count the pool's `limits`: `memory`, `pids` and `cpus` of the whole container, `file_size` and
/// `open_files` of each process. Whatever is set here, all capabilities but those of `cap_add` are dropped, no
/// process gains privileges, and no container is privileged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerSpec {
    /// Where the engine listens. Default none: `$DOCKER_HOST` (for `podman` `$CONTAINER_HOST` first), else the
    /// engine's usual sockets.
    pub host: Option<EngineHost>,
    /// Files for an engine behind TLS. Default none: those of `$DOCKER_CERT_PATH` when `$DOCKER_TLS_VERIFY` is set.
    pub tls: TlsSpec,
    /// How the guest is spoken to. Default `auto`.
    pub transport: Transport,
    /// The image. It must be set, and needs nothing inside.
    pub image: String,
    /// When the image is pulled. Default `missing`.
    pub pull: PullPolicy,
    /// Which variant of an image of several. `linux/arm64`, for example. Default none: the engine's.
    pub platform: Option<String>,
    /// Whether the container waits for operations or runs the image's service. Default `sandbox`.
    pub mode: ContainerMode,
    /// The service's program, in place of the image's entrypoint. Default none. Only with `mode = "service"`.
    pub entrypoint: Option<Vec<String>>,
    /// The service's arguments, in place of the image's command. Default none. Only with `mode = "service"`.
    pub command: Option<Vec<String>>,
    /// From a service's stop signal, the image's or TERM, until it is killed: before its container is removed.
    /// Default 1 s; 0 s to 1 min, shorter than `retire_timeout`.
    pub stop_grace: Duration,
    /// Whom the container runs as: a name or number, and a group after a colon. Default none: the image's user,
    /// or 65534:65534 when that is root. Root must be asked for by name.
    pub user: Option<String>,
    /// Files of `NAME=value` lines, read at each launch; the pool's `env` wins over them. Default none.
    pub env_files: Vec<PathBuf>,
    /// Secrets by name, each a file of [`SECRETS_DIRECTORY`]. Default none.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What is mounted. Default nothing.
    pub volumes: Vec<Volume>,
    /// Ports reached from the host. Default none.
    pub ports: Vec<PortMap>,
    /// Which network it has. Default `none`.
    pub network: ContainerNetwork,
    /// Name servers. Default none: the engine's.
    pub dns: Vec<IpAddr>,
    /// Names of hosts beside those of DNS. Default none.
    pub extra_hosts: Vec<ExtraHost>,
    /// The only hosts it may connect to. No engine can hold it to that, so any is refused. Default none.
    pub allowed_hosts: Vec<String>,
    /// Swap beside the memory, bytes. Default 0; 0 to 64 TiB.
    pub swap: u64,
    /// Limits of each process beside those of the pool's `limits`. Default none.
    pub ulimits: Vec<Ulimit>,
    /// Size of the workspace, bytes. Default 256 MiB; 64 KiB to 1 TiB.
    pub workspace_size: u64,
    /// Size of `/tmp`, bytes. Default 64 MiB; 64 KiB to 1 TiB.
    pub tmp_size: u64,
    /// Size of `/dev/shm`, bytes. Default 64 MiB; 64 KiB to 1 TiB.
    pub shm_size: u64,
    /// Devices for computing. Default `none`.
    pub gpus: Gpus,
    /// The OCI runtime, one the engine knows by this name: `runc`, `runsc`, `kata`. Default none: the engine's.
    pub runtime: Option<String>,
    /// The filter of system calls. Default `default`, the engine's.
    pub seccomp: Seccomp,
    /// The `AppArmor` profile; `unconfined` for none at all. Default none: the engine's.
    pub apparmor: Option<String>,
    /// Capabilities it has in spite of all. Default none.
    pub cap_add: BTreeSet<Capability>,
    /// Whether the root file system cannot be written to. Default true.
    pub read_only_root: bool,
    /// Whether the engine's own init is process 1, before the guest, which reaps and forwards without it.
    /// Default false.
    pub init: bool,
    /// Labels beside ostler's own. Default none.
    pub labels: BTreeMap<String, String>,
    /// Files with what the main process of each container writes.
    pub logs: ContainerLogs,
    /// Between two samples of a container's use of cpu, memory, network and disk, at least: Docker tells each
    /// second, Podman every five. Default 10 s; 100 ms to 1 h; none: no samples, and the engine counts nothing.
    pub stats_interval: Option<Duration>,
}

impl Default for ContainerSpec {
    fn default() -> Self {
        Self {
            host: None,
            tls: TlsSpec::default(),
            transport: Transport::Auto,
            image: String::new(),
            pull: PullPolicy::Missing,
            platform: None,
            mode: ContainerMode::Sandbox,
            entrypoint: None,
            command: None,
            stop_grace: Duration::from_secs(1),
            user: None,
            env_files: Vec::new(),
            secrets: BTreeMap::new(),
            volumes: Vec::new(),
            ports: Vec::new(),
            network: ContainerNetwork::None,
            dns: Vec::new(),
            extra_hosts: Vec::new(),
            allowed_hosts: Vec::new(),
            swap: 0,
            ulimits: Vec::new(),
            workspace_size: 256 << 20,
            tmp_size: 64 << 20,
            shm_size: 64 << 20,
            gpus: Gpus::None,
            runtime: None,
            seccomp: Seccomp::Default,
            apparmor: None,
            cap_add: BTreeSet::new(),
            read_only_root: true,
            init: false,
            labels: BTreeMap::new(),
            logs: ContainerLogs::default(),
            stats_interval: Some(Duration::from_secs(10)),
        }
    }
}

impl ContainerSpec {
    /// The directories in memory that a reset wipes, with their sizes: the workspace, `/tmp`, `/dev/shm` and each
    /// tmpfs volume.
    pub fn wiped<'s>(&'s self, workspace: &'s str) -> impl Iterator<Item = (PathBuf, u64)> + 's {
        let own = [(workspace, self.workspace_size), ("/tmp", self.tmp_size), ("/dev/shm", self.shm_size)];
        let volumes = self.volumes.iter().filter_map(|volume| match volume.source {
            VolumeSource::Tmpfs(size) => Some((volume.target.clone(), size.unwrap_or(self.tmp_size))),
            VolumeSource::Bind(_) | VolumeSource::Named(_) => None,
        });
        own.into_iter().map(|(path, size)| (PathBuf::from(path), size)).chain(volumes)
    }
}

/// Where the main processes' output goes: a directory for the pool, files for each container that outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerLogs {
    /// The directory. Default none: `logs/` and the pool's name in the state directory.
    pub dir: Option<PathBuf>,
    /// Bytes at which a file is full and the next is begun. Default 10 MiB; 4 KiB to 1 GiB.
    pub size: u64,
    /// Files of each container, the oldest of which goes first. Default 3; 1 to 100.
    pub files: u32,
    /// Containers that are gone whose files are kept, the oldest of which go first. Default 100; 0 to 100 000.
    pub kept: u32,
}

impl Default for ContainerLogs {
    fn default() -> Self {
        Self { dir: None, size: 10 << 20, files: 3, kept: 100 }
    }
}
