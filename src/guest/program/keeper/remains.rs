//! What of a runtime lies outside of its processes: cgroups, and in basic isolation its workspace.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::files::Removal;
use crate::progress::Progress;
use crate::protocol::Setup;
use crate::sys::Errno;

/// How often and how long apart a cgroup that is still busy is tried again: its last process may not have
/// left it yet.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// Directories to remove when the guest has ended.
#[derive(Debug)]
pub(super) struct Remains {
    cgroups: Vec<PathBuf>,
    parents: Vec<PathBuf>,
    workspace: Option<PathBuf>,
}

/// A path from the host.
pub(super) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl Remains {
    pub(super) fn of(setup: &Setup) -> Self {
        let paths = |list: &[Vec<u8>]| list.iter().map(|bytes| path(bytes).to_owned()).collect::<Vec<_>>();
        let plan = setup.cgroups.as_ref();
        Self {
            cgroups: plan.map(|plan| paths(&plan.directories)).unwrap_or_default(),
            parents: paths(&setup.parents),
            workspace: (!setup.basic_workspace.is_empty()).then(|| path(&setup.basic_workspace).to_owned()),
        }
    }

    /// Whether the kernel has killed a process for memory in one of the cgroups.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let kills = |directory: &PathBuf, file: &str| {
            let text = fs::read_to_string(directory.join(file)).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse::<u64>().ok()
        };
        // Version 2 and version 1.
        let files = ["memory.events", "memory.oom_control"];
        self.cgroups.iter().any(|directory| files.iter().any(|file| kills(directory, file) > Some(0)))
    }

    /// Removes them, and what is around them once nothing else is in it. What can't be removed is named on the
    /// error stream; the host's sweep finds it again.
    pub(super) fn remove(&self) {
        for directory in &self.cgroups {
            complain(directory, remove_cgroup(directory));
        }
        if let Some(workspace) = &self.workspace {
            complain(workspace, remove_tree(workspace));
        }
        for directory in &self.parents {
            // Not empty means that another runtime is in it, whose keeper will try in turn.
            let _ = fs::remove_dir(directory);
        }
    }
}

fn remove_cgroup(directory: &Path) -> io::Result<()> {
    for _ in 1..TRIES {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => sleep(PAUSE),
            other => return other,
        }
    }
    fs::remove_dir(directory)
}

/// Removes a directory and all below it, whatever a lease made of it.
pub(super) fn remove_tree(directory: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(directory)?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let system = |errno: Errno| io::Error::from_raw_os_error(errno.0);
    let mut removal = Removal::of_contents(directory.as_os_str().as_bytes(), 0o700, &[]).map_err(system)?;
    loop {
        match removal.advance() {
            Progress::More | Progress::Waiting => {}
            Progress::Ended(Ok(_)) => return fs::remove_dir(directory),
            Progress::Ended(Err(refusal)) => return Err(io::Error::other(refusal.message)),
        }
    }
}

fn complain(what: &Path, result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::NotFound
    {
        eprintln!("ostler-guest: remove {}: {error}", what.display());
    }
}
