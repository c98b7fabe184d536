//! Looking at a runtime from outside, through what the kernel shows of its processes.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::backend::Residue;

/// The guest's process as `/proc` shows it, held open: when the guest ends, its pid may come to mean another
/// process, but what is held does not.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) pid: u32,
    proc: File,
}

impl Guest {
    pub(super) fn hold(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, proc: File::open(format!("/proc/{pid}"))? })
    }

    pub(super) fn path(&self, part: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{part}", self.proc.as_raw_fd()))
    }

    pub(super) fn children(&self) -> io::Result<String> {
        fs::read_to_string(self.path(&format!("task/{}/children", self.pid)))
    }

    /// Point, root, type and options of each mount, in a fixed order. Leaves out what a remount changes.
    pub(super) fn mounts(&self) -> io::Result<Vec<String>> {
        let text = fs::read_to_string(self.path("mountinfo"))?;
        let mut mounts: Vec<_> = text.lines().map(lasting_part).collect();
        mounts.sort_unstable();
        Ok(mounts)
    }

    pub(super) fn ipc(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.path("ns/ipc"))?.ino())
    }
}

/// A mount without its ids and device, which a new mount of the same kind doesn't share.
fn lasting_part(line: &str) -> String {
    let mut fields = line.split(' ');
    let (root, point) = (fields.nth(3).unwrap_or(""), fields.next().unwrap_or(""));
    let rest: Vec<_> = fields.collect();
    format!("{point} {root} {}", rest.join(" "))
}

pub(super) fn processes(guest: &Guest, cgroups: &[PathBuf]) -> Result<(), Residue> {
    let children = look("processes", guest.children())?;
    if !children.trim().is_empty() {
        return Err(found(format!("processes {}", children.trim())));
    }
    let own = guest.pid.to_string();
    for directory in cgroups {
        let all = look("cgroup", fs::read_to_string(directory.join("cgroup.procs")))?;
        if let Some(other) = all.lines().find(|pid| *pid != own) {
            return Err(found(format!("process {other} in {}", directory.display())));
        }
    }
    Ok(())
}

pub(super) fn compare(before: &[String], now: &[String]) -> Result<(), Residue> {
    let beyond = |some: &[String], others: &[String]| {
        some.iter().find(|mount| others.binary_search(mount).is_err()).cloned()
    };
    if let Some(new) = beyond(now, before) {
        return Err(found(format!("mount {new}")));
    }
    match beyond(before, now) {
        Some(gone) => Err(found(format!("mount missing: {gone}"))),
        None if before.len() != now.len() => Err(found("a mount upon another")),
        None => Ok(()),
    }
}

pub(super) fn empty(directory: &Path, name: &Path) -> Result<(), Residue> {
    let mut entries = look(&name.to_string_lossy(), fs::read_dir(directory))?;
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let entry = look(&name.to_string_lossy(), entry)?;
            Err(found(format!("file {}", name.join(entry.file_name()).display())))
        }
    }
}

pub(super) fn look<T>(what: &str, result: io::Result<T>) -> Result<T, Residue> {
    result.map_err(|error| found(format!("unknown: {what} can't be looked at: {error}")))
}

pub(super) fn found(what: impl Into<String>) -> Residue {
    Residue { what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remount_of_the_same_kind_is_the_same() {
        let before = "87 83 0:42 / /work rw,nosuid - tmpfs tmpfs rw,size=1k";
        let after = "91 83 0:99 / /work rw,nosuid - tmpfs tmpfs rw,size=1k";
        assert_eq!(lasting_part(before), lasting_part(after));
        let other = "91 83 0:99 / /work rw - tmpfs tmpfs rw,size=1k";
        assert_ne!(lasting_part(before), lasting_part(other));
    }

    #[test]
    fn added_missing_and_doubled_mounts_are_found() {
        let mounts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let clean = mounts(&["/a", "/b"]);
        assert_eq!(compare(&clean, &clean), Ok(()));
        assert_eq!(compare(&clean, &mounts(&["/a", "/b", "/c"])).unwrap_err().what, "mount /c");
        assert_eq!(compare(&clean, &mounts(&["/a"])).unwrap_err().what, "mount missing: /b");
        assert_eq!(compare(&clean, &mounts(&["/a", "/a", "/b"])).unwrap_err().what, "a mount upon another");
    }
}
