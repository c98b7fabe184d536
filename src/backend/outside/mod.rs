//! What can be seen of a runtime from outside, and done for it, through what the kernel shows of its processes and
//! cgroups.

mod mounts;
mod throttle;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) use self::mounts::Mounts;
pub(super) use self::throttle::{Quota, Throttled};
use crate::backend::Residue;

/// As much as the kernel gives at once.
const PAGE: usize = 4096;

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
        read(&self.path(&format!("task/{}/children", self.pid)))
    }

    pub(super) fn mounts(&self) -> io::Result<Mounts> {
        Ok(Mounts::parse(&read(&self.path("mountinfo"))?))
    }

    /// Looks for mounts that were not there, or were.
    pub(super) fn compare_mounts(&self, clean: &Mounts) -> Result<(), Residue> {
        clean.compare(&look("mounts", read(&self.path("mountinfo")))?)
    }

    pub(super) fn ipc(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.path("ns/ipc"))?.ino())
    }
}

pub(super) fn processes(guest: &Guest, cgroups: &[PathBuf]) -> Result<(), Residue> {
    let children = look("processes", guest.children())?;
    if !children.trim().is_empty() {
        return Err(found(format!("processes {}", children.trim())));
    }
    let own = guest.pid.to_string();
    for directory in cgroups {
        let all = look("cgroup", read(&directory.join("cgroup.procs")))?;
        if let Some(other) = all.lines().find(|pid| *pid != own) {
            return Err(found(format!("process {other} in {}", directory.display())));
        }
    }
    Ok(())
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

/// One of the kernel's tables, which do not say how long they are: so one is read by the page, not felt for.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut table = String::with_capacity(PAGE);
    File::open(path)?.read_to_string(&mut table)?;
    Ok(table)
}

pub(super) fn look<T>(what: &str, result: io::Result<T>) -> Result<T, Residue> {
    result.map_err(|error| found(format!("unknown: {what} can't be looked at: {error}")))
}

pub(super) fn found(what: impl Into<String>) -> Residue {
    Residue { what: what.into() }
}
