//! Where the processes of a container are counted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::backend::outside::Quota;

/// A cgroup directory that has all processes of a container, by the pid of one.
pub(super) fn of(pid: u32) -> io::Result<PathBuf> {
    let directories = directories_of(pid)?;
    let pid = pid.to_string();
    let is_there = |directory: &PathBuf| {
        fs::read_to_string(directory.join("cgroup.procs")).is_ok_and(|all| all.lines().any(|one| one == pid))
    };
    directories
        .into_iter()
        .find(is_there)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup of the container is in sight"))
}

/// The file that counts what was killed in a container's cgroup for want of memory, by the pid of one of its
/// processes. None where there is none in sight.
pub(super) fn oom_counter(pid: u32) -> Option<PathBuf> {
    let mut files = directories_of(pid)
        .ok()?
        .into_iter()
        .flat_map(|directory| ["memory.oom_control", "memory.events"].map(|name| directory.join(name)));
    files.find(|file| oom_kills(file).is_some())
}

/// What it counts; none when the cgroup is gone.
pub(super) fn oom_kills(counter: &Path) -> Option<u64> {
    let text = fs::read_to_string(counter).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The limit on a container's processor time, by the pid of one of its processes. None where there is none in sight.
pub(super) fn quota(pid: u32) -> Option<Quota> {
    let mut files = directories_of(pid).ok()?.into_iter().flat_map(|directory| {
        [("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")].map(|(name, none)| (directory.join(name), none))
    });
    files.find_map(|(file, none)| {
        let limit = fs::read_to_string(&file).ok()?.trim().to_owned();
        (!limit.starts_with(none)).then(|| Quota { file, limit, unlimited: none.to_owned() })
    })
}

/// Where a process is counted, as far as that is in sight.
fn directories_of(pid: u32) -> io::Result<Vec<PathBuf>> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(directories(&mounts, &cgroups))
}

/// Where the paths in `/proc/PID/cgroup` are in what is mounted. Root directories are left out, since everybody
/// is in them.
fn directories(mounts: &str, cgroups: &str) -> Vec<PathBuf> {
    cgroups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (root, point) = mounts.lines().find_map(|mount| mounted(mount, controllers))?;
            let inside = Path::new(path).strip_prefix(root).ok()?;
            (!inside.as_os_str().is_empty()).then(|| Path::new(point).join(inside))
        })
        .collect()
}

/// Root and point of a mount of the hierarchy with these controllers; none for version 2.
fn mounted<'m>(line: &'m str, controllers: &str) -> Option<(&'m str, &'m str)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let is_it = match kind {
        "cgroup2" => controllers.is_empty(),
        "cgroup" => {
            !controllers.is_empty()
                && controllers.split(',').all(|name| options.split(',').any(|option| option == name))
        }
        _ => false,
    };
    is_it.then_some((root, point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_where_they_are_mounted() {
        let mounts = "38 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      40 31 0:38 /outer /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n";
        let cgroups = "8:pids:/docker/abc\n9:memory:/docker/abc\n1:cpu:/\n0::/outer/docker/abc\n";
        assert_eq!(
            directories(mounts, cgroups),
            [PathBuf::from("/sys/fs/cgroup/pids/docker/abc"), "/sys/fs/cgroup/unified/docker/abc".into()]
        );
        assert!(directories(mounts, "8:pids:/\n0::/elsewhere\n").is_empty());
    }
}
