use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::cgroup::Group;
use crate::backend::Launch;
use crate::backend::owner::plain;
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
    let (uid, gid) = ids(spec);
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

/// Whom runtimes run as: another user where we may become one, else the one we are. In a user namespace of
/// our own, as in a rootless container, even root may be unable to.
fn ids(spec: &ProcessSpec) -> (u32, u32) {
    let known = |map: &str| fs::read_to_string(map).is_ok_and(|map| covers(&map, spec.user));
    if geteuid().is_root() && known("/proc/self/uid_map") && known("/proc/self/gid_map") {
        (spec.user, spec.user)
    } else {
        (geteuid().as_raw(), getegid().as_raw())
    }
}

/// Whether an id exists in a user namespace with this map.
fn covers(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| (first..first + count).contains(&u64::from(id)))
    })
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    path.as_ref().as_os_str().as_bytes().to_vec()
}

fn paths(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_looked_up_in_every_range() {
        assert!(covers("         0          0 4294967295\n", 65534));
        assert!(!covers("0 1000 1\n", 65534));
        assert!(covers("0 1000 1\n1 100000 65536\n", 65534));
        assert!(!covers("nonsense", 1));
    }
}
