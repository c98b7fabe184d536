//! The child's way into its cgroups.
//!
//! A process that is *moved* makes the kernel wait until no other can be in the middle of a fork: some 10 ms on a
//! machine that has not moved any just before. So nobody is moved. In version 2 the child is born where it belongs;
//! in version 1 it goes there itself, as a thread on its own, which the kernel has no need to wait for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::protocol::{Missing, Setup};

/// A cgroup's doors, opened while this process still has the right to.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    all: Vec<Cgroup>,
}

#[derive(Debug)]
struct Cgroup {
    directory: PathBuf,
    /// `tasks` of version 1, where a thread enters, or `cgroup.procs` of version 2, where a process does.
    door: File,
    /// Where a process can be born: of version 2 only.
    cradle: Option<File>,
}

impl Cgroups {
    /// What can't be opened is `missing`.
    pub(super) fn open(setup: &Setup, missing: &mut Vec<Missing>) -> Self {
        let mut cgroups = Self::default();
        for directory in setup.cgroups.iter().flat_map(|plan| &plan.directories) {
            let directory = Path::new(OsStr::from_bytes(directory));
            match Cgroup::open(directory) {
                Ok(cgroup) => cgroups.all.push(cgroup),
                Err(why) => missing.push(lacking(directory, &why)),
            }
        }
        cgroups
    }

    /// Where the child is to be born; there is one version 2 at most.
    pub(super) fn cradle(&self) -> Option<BorrowedFd<'_>> {
        self.all.iter().find_map(|cgroup| cgroup.cradle.as_ref()).map(AsFd::as_fd)
    }

    /// Takes this process, which has a single thread, into all of them but the one it was `born` in. What does not
    /// let it in is `missing`.
    pub(super) fn enter(self, born: bool, missing: &mut Vec<Missing>) {
        for cgroup in self.all {
            if born && cgroup.cradle.is_some() {
                continue;
            }
            // Nobody's number: whoever writes is meant.
            if let Err(why) = (&cgroup.door).write_all(b"0") {
                missing.push(lacking(&cgroup.directory, &why));
            }
        }
    }
}

impl Cgroup {
    fn open(directory: &Path) -> io::Result<Self> {
        let door = |name: &str| File::options().write(true).open(directory.join(name));
        let (door, cradle) = match door("tasks") {
            Ok(tasks) => (tasks, None),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                (door("cgroup.procs")?, Some(File::open(directory)?))
            }
            Err(why) => return Err(why),
        };
        Ok(Self { directory: directory.to_owned(), door, cradle })
    }
}

fn lacking(directory: &Path, why: &io::Error) -> Missing {
    Missing { part: format!("cgroup {}", directory.display()), why: why.to_string() }
}
