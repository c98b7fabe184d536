use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::cgroup::Group;
use super::owner::plain;
use crate::backend::Launch;
use crate::model::{IsolationLevel, Limits, NetworkAccess, ProcessSpec};
use crate::protocol::{CgroupPlan, Isolation, Mount, Network, Setup};

/// What the kernel takes for a host name, bytes.
const LONGEST_HOSTNAME: usize = 64;

/// A runtime's directories and host name. `serial` keeps apart what is launched under the same id.
pub(super) fn name(launch: &Launch, serial: u64) -> String {
    plain(&format!("{}-{}.{serial}", launch.pool, launch.runtime))
}

/// What the keeper is told about one runtime.
pub(super) fn setup(
    spec: &ProcessSpec,
    limits: &Limits,
    name: &str,
    group: &Group,
    workspace: &Path,
) -> Setup {
    let (uid, gid) =
        if geteuid().is_root() { (spec.user, spec.user) } else { (geteuid().as_raw(), getegid().as_raw()) };
    let hostname = name.get(name.len().saturating_sub(LONGEST_HOSTNAME)..).unwrap_or(name);
    let mut parents = paths(&group.parents);
    parents.extend(workspace.parent().map(bytes));
    Setup {
        isolation: match spec.isolation {
            IsolationLevel::Auto => Isolation::Auto,
            IsolationLevel::Strict => Isolation::Strict,
            IsolationLevel::Basic => Isolation::Basic,
        },
        network: match spec.network {
            NetworkAccess::None => Network::None,
            NetworkAccess::Host => Network::Host,
        },
        hostname: hostname.as_bytes().to_vec(),
        uid,
        gid,
        mounts: spec
            .read_only
            .iter()
            .map(|path| Mount { source: bytes(path), target: bytes(path) })
            .collect(),
        workspace_size: spec.workspace_size,
        tmp_size: spec.tmp_size,
        basic_workspace: bytes(workspace),
        parents,
        missing: group.missing.clone(),
        cgroups: (!group.directories.is_empty())
            .then(|| CgroupPlan { directories: paths(&group.directories) }),
        file_size: limits.file_size,
        open_files: limits.open_files,
        // The guest is one of them, and is not to be counted.
        pids: limits.pids.map(|pids| pids.saturating_add(1)),
        memory: limits.memory.filter(|_| !group.memory),
    }
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    path.as_ref().as_os_str().as_bytes().to_vec()
}

fn paths(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(bytes).collect()
}
