//! The nouns everything else is written in. No behaviour beyond naming, printing and comparing.

mod container;
mod health;
mod id;
mod limits;
mod pool;
mod reason;
mod state;
mod usage;

pub use container::{
    Capability, ContainerLogs, ContainerMode, ContainerNetwork, ContainerSpec, EngineHost, ExtraHost, Gpus,
    HostPorts, OWN_LABELS, Port, PortMap, Protocol, PullPolicy, SECRETS_DIRECTORY, Seccomp, SecretSource,
    SecretValue, TlsSpec, Transport, Ulimit, Volume, VolumeAccess, VolumeSource, parse_env_file,
};
pub use health::{ExecProbe, FileProbe, Health, HealthSpec, HttpProbe, Probe, StatusRange, TcpProbe};
pub use id::{Epoch, PoolName, RuntimeId};
pub use limits::Limits;
pub use pool::{
    BackendSpec, Exhausted, FakeSpec, IsolationLevel, NetworkAccess, PoolSpec, ProcessSpec, ResetPolicy,
    RestartPolicy, RestartSpec,
};
pub use reason::Reason;
pub use state::State;
pub use usage::{Meter, Usage};
