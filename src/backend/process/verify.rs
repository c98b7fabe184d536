//! Looking at a runtime from outside, after its guest has said that it is clean.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Residue;
use crate::protocol::WRITABLE;

/// The guest's process as `/proc` shows it, held open: when the guest ends, its pid may come to mean another
/// process, but what is held does not.
#[derive(Debug)]
struct Guest {
    pid: u32,
    proc: File,
}

impl Guest {
    fn hold(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, proc: File::open(format!("/proc/{pid}"))? })
    }

    fn path(&self, part: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{part}", self.proc.as_raw_fd()))
    }

    fn children(&self) -> io::Result<String> {
        fs::read_to_string(self.path(&format!("task/{}/children", self.pid)))
    }

    /// Point, root, type and options of each mount, in a fixed order. Leaves out what a remount changes.
    fn mounts(&self) -> io::Result<Vec<String>> {
        let text = fs::read_to_string(self.path("mountinfo"))?;
        let mut mounts: Vec<_> = text.lines().map(lasting_part).collect();
        mounts.sort_unstable();
        Ok(mounts)
    }

    fn ipc(&self) -> io::Result<u64> {
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

/// What a clean runtime looks like.
#[derive(Debug)]
enum Baseline {
    /// In namespaces of its own.
    Private {
        mounts: Vec<String>,
        /// The ipc namespace of the lease before; each lease has its own.
        ipc: AtomicU64,
    },
    /// In the host's, with this workspace.
    Shared { workspace: PathBuf },
}

/// Knows what a runtime was like before it served anybody.
#[derive(Debug)]
pub(super) struct Inspector {
    guest: Guest,
    cgroups: Vec<PathBuf>,
    baseline: Baseline,
}

impl Inspector {
    /// Takes in a guest that has namespaces of its own. Blocks for a moment.
    pub(super) fn private(pid: u32, cgroups: Vec<PathBuf>) -> io::Result<Self> {
        let guest = Guest::hold(pid)?;
        let baseline = Baseline::Private { mounts: guest.mounts()?, ipc: AtomicU64::new(guest.ipc()?) };
        Ok(Self { guest, cgroups, baseline })
    }

    /// Takes in a guest that has a workspace of the host's and no namespaces.
    pub(super) fn shared(pid: u32, cgroups: Vec<PathBuf>, workspace: PathBuf) -> io::Result<Self> {
        Ok(Self { guest: Guest::hold(pid)?, cgroups, baseline: Baseline::Shared { workspace } })
    }

    /// The guest's.
    pub(super) fn pid(&self) -> u32 {
        self.guest.pid
    }

    /// Looks for anything that should not be there after a reset. Blocks for a moment.
    ///
    /// # Errors
    /// The first thing found, or what could not be looked at.
    pub(super) fn verify(&self) -> Result<(), Residue> {
        let guest = &self.guest;
        processes(guest, &self.cgroups)?;
        match &self.baseline {
            Baseline::Private { mounts, ipc } => {
                compare(mounts, &look("mounts", guest.mounts())?)?;
                for place in WRITABLE {
                    empty(&guest.path(&format!("root{place}")), Path::new(place))?;
                }
                let now = look("ipc namespace", guest.ipc())?;
                if ipc.swap(now, Ordering::Relaxed) == now {
                    return Err(found("the ipc namespace is still the last lease's"));
                }
                Ok(())
            }
            Baseline::Shared { workspace } => empty(workspace, workspace),
        }
    }
}

fn processes(guest: &Guest, cgroups: &[PathBuf]) -> Result<(), Residue> {
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

fn compare(before: &[String], now: &[String]) -> Result<(), Residue> {
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

fn empty(directory: &Path, name: &Path) -> Result<(), Residue> {
    let mut entries = look(&name.to_string_lossy(), fs::read_dir(directory))?;
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let entry = look(&name.to_string_lossy(), entry)?;
            Err(found(format!("file {}", name.join(entry.file_name()).display())))
        }
    }
}

fn look<T>(what: &str, result: io::Result<T>) -> Result<T, Residue> {
    result.map_err(|error| found(format!("unknown: {what} can't be looked at: {error}")))
}

fn found(what: impl Into<String>) -> Residue {
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
