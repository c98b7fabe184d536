//! Processes of this host, told apart from later ones with the same number.

use std::fs;
use std::io;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that was there when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Ticks from boot to its start.
    pub(crate) started: u64,
}

/// What `/proc/PID/stat` says.
struct Stat {
    state: u8,
    parent: u32,
    started: u64,
}

impl Process {
    /// This very process.
    pub(crate) fn own() -> Option<Self> {
        Self::find(std::process::id())
    }

    /// The process a runtime's handle names: `pid 4711`. None when it is gone, or the handle names none.
    pub(crate) fn of(handle: &str) -> Option<Self> {
        Self::find(handle.strip_prefix("pid ")?.parse().ok()?)
    }

    pub(crate) fn find(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Whose child it is.
    pub(crate) fn parent(self) -> Option<Self> {
        Self::find(stat(self.pid).filter(|stat| stat.started == self.started)?.parent)
    }

    /// All there are, with their parents.
    pub(crate) fn all() -> io::Result<Vec<(Self, u32)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some(Stat { parent, started, .. }) = stat(pid) {
                all.push((Self { pid, started }, parent));
            }
        }
        Ok(all)
    }

    /// Those whose parent is this very process.
    pub(crate) fn children() -> io::Result<Vec<Self>> {
        let own = std::process::id();
        let all = Self::all()?.into_iter();
        Ok(all.filter(|(_, parent)| *parent == own).map(|(process, _)| process).collect())
    }

    /// Children of this process, at a small price: where the kernel lists them, one that changes hands at this moment may
    /// be missing.
    pub(crate) fn offspring(self) -> io::Result<Vec<Self>> {
        let mut offspring = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            match fs::read_to_string(task?.path().join("children")) {
                Ok(list) => {
                    let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
                    offspring.extend(pids.filter_map(Self::find));
                }
                // A thread that has ended, or a kernel that lists none.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if offspring.is_empty() {
            let all = Self::all()?.into_iter();
            offspring.extend(all.filter(|(_, parent)| *parent == self.pid).map(|(process, _)| process));
        }
        Ok(offspring)
    }

    /// Whether it is still there, if only to be reaped.
    pub(crate) fn is_there(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started)
    }

    /// Whether it is still there and has not ended.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !matches!(stat.state, b'Z' | b'X'))
    }

    /// Its command line, or its environment; nothing when that can't be read.
    pub(crate) fn text(self, file: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default()
    }

    /// Sends it a signal, if it descends from this process and has not ended meanwhile.
    pub(crate) fn signal(self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("not a pid")?;
        // From here on the number can't come to mean another process.
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        ensure!(self.is_there(), "pid {} has ended", self.pid);
        ensure!(self.is_ours(), "pid {} is not ours", self.pid);
        pidfd_send_signal(pidfd, signal)?;
        Ok(())
    }

    fn is_ours(self) -> bool {
        let own = std::process::id();
        let mut pid = self.pid;
        while let Some(Stat { parent, .. }) = stat(pid) {
            if parent == own {
                return true;
            }
            pid = parent;
        }
        false
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name comes second, in brackets, and may hold anything.
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields: Vec<_> = std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace().collect();
    // Fields 4 and 22 of proc(5), counted from the third.
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}
