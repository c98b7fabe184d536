//! What the process backend tells the keeper before there is a guest, and what the keeper answers.

use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};

/// How far a sandboxed process is kept apart from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// The strongest this host allows; what is missing is reported.
    #[default]
    Auto,
    /// All of it, or no runtime.
    Strict,
    /// No namespaces: a process tree with limits, no-new-privileges and what else works without them.
    Basic,
}

/// Which network the runtime sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A namespace of its own with loopback only.
    #[default]
    None,
    /// The host's.
    Host,
}

/// A host directory or file shown read-only inside the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host.
    pub source: Vec<u8>,
    /// Path inside.
    pub target: Vec<u8>,
}

/// A cgroup directory made by the host for one runtime: the keeper moves the guest into each, and removes
/// them when the guest has ended, also when the host was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPlan {
    /// Directories, one per hierarchy.
    pub directories: Vec<Vec<u8>>,
}

/// The whole plan for one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How strong.
    pub isolation: Isolation,
    /// Which network.
    pub network: Network,
    /// Host name inside.
    pub hostname: Vec<u8>,
    /// The host's user and group the sandbox runs as.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// Read-only views of the host.
    pub mounts: Vec<Mount>,
    /// Size of the workspace, bytes (with namespaces: a tmpfs).
    pub workspace_size: u64,
    /// Size of `/tmp` and of `/dev/shm`, bytes each.
    pub tmp_size: u64,
    /// Where the workspace is without namespaces: a host directory made for this runtime, which the keeper
    /// removes when the guest has ended. Unused otherwise.
    pub basic_workspace: Vec<u8>,
    /// Where the limits' cgroups are; none where the host has none to give.
    pub cgroups: Option<CgroupPlan>,
    /// `RLIMIT_FSIZE`, bytes.
    pub file_size: Option<u64>,
    /// `RLIMIT_NOFILE`.
    pub open_files: Option<u64>,
    /// `RLIMIT_NPROC`.
    pub pids: Option<u64>,
    /// `RLIMIT_AS` stand-in where there is no memory cgroup, bytes.
    pub memory: Option<u64>,
}

/// A part of the isolation that this host did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which part: `user namespace`, `landlock`, `seccomp`, `memory cgroup` and so on.
    pub part: String,
    /// Why: the step and the system's error.
    pub why: String,
}

/// The keeper's answer, as the first frame on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupReport {
    /// The guest's pid as the host sees it.
    pub pid: u32,
    /// Whether the guest has namespaces of its own.
    pub namespaces: bool,
    /// What `auto` did without.
    pub missing: Vec<Missing>,
    /// Why there is no guest, when there is none.
    pub failure: Option<String>,
}
