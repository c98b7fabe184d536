use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::place::Place;
use crate::protocol::{Refusal, RefusalKind};
use crate::refusal;
use crate::sys::file::{self, open, resolve};
use crate::sys::{Errno, Result as SysResult};

use super::PARENT_MODE;

/// File systems that show the kernel and not files: what the guest may see and change there is more than what
/// a command may, so it touches none of it for anybody.
const KERNEL_FILE_SYSTEMS: [u64; 10] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0xde5e_81e4, // efivarfs
    0xcafe_4a11, // bpf
];

/// The files a path can name.
///
/// With walls, the whole tree the guest sees: relative paths start at the workspace, links lead where they
/// would for a command. Without, only what is below the workspace: absolute paths and ways out are refused.
#[derive(Debug)]
pub(crate) struct Tree {
    base: OwnedFd,
    /// From the base to the workspace.
    prefix: Vec<u8>,
    reach: Reach,
}

/// How far paths lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Everything,
    Workspace,
}

/// Whether missing parents are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parents {
    Make,
    Expect,
}

impl Tree {
    pub(crate) fn new(place: &Place) -> SysResult<Self> {
        let workspace = CString::new(place.workspace.as_slice()).map_err(|_| Errno::INVAL)?;
        let flags = open::PATH_ONLY | open::DIRECTORY;
        let (base, prefix, reach) = if place.walls.hold_files() {
            (c"/".to_owned(), place.workspace.clone(), Reach::Everything)
        } else {
            (workspace, Vec::new(), Reach::Workspace)
        };
        Ok(Self { base: file::open_at(None, &base, flags, 0, 0)?, prefix, reach })
    }

    /// Opens what a path names.
    pub(super) fn open(&self, step: &str, path: &[u8], flags: u64) -> Result<OwnedFd, Refusal> {
        let fd = self.resolve(&self.below_base(path)?, flags).map_err(|e| refusal::system(step, path, e))?;
        check_file_system(step, path, fd.as_fd())?;
        Ok(fd)
    }

    /// Opens the directory a path's last name is in, and answers that name.
    pub(super) fn parent(
        &self,
        step: &str,
        path: &[u8],
        parents: Parents,
    ) -> Result<(OwnedFd, CString), Refusal> {
        let full = self.below_base(path)?;
        let mut names: Vec<&[u8]> = names(&full).collect();
        let last = names.pop().filter(|_| names_something(path));
        let last = last.filter(|name| *name != b"..").ok_or_else(|| {
            refusal::rule(RefusalKind::Invalid, format!("{step}: the path has no last name"))
        })?;
        let last = CString::new(last).map_err(|_| zero())?;
        let parent = match self.directory(&names) {
            Err(Errno::NOENT) if parents == Parents::Make => self.make_parents(&names),
            other => other,
        };
        let parent = parent.map_err(|e| refusal::system(step, path, e))?;
        check_file_system(step, path, parent.as_fd())?;
        Ok((parent, last))
    }

    fn directory(&self, names: &[&[u8]]) -> SysResult<OwnedFd> {
        self.resolve(&names.join(&b'/'), open::PATH_ONLY | open::DIRECTORY)
    }

    /// Makes what is missing of a directory's path. Below the deepest one that is there, nothing is followed:
    /// what is there by then, somebody just put there.
    fn make_parents(&self, names: &[&[u8]]) -> SysResult<OwnedFd> {
        let mut there = names.len();
        let mut at = loop {
            match self.directory(&names[..there]) {
                Err(Errno::NOENT) if there > 0 => there -= 1,
                other => break other?,
            }
        };
        for name in &names[there..] {
            let name = CString::new(*name).map_err(|_| Errno::INVAL)?;
            match file::make_directory(at.as_fd(), &name, PARENT_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let flags = open::PATH_ONLY | open::DIRECTORY | open::NO_FOLLOW;
            at = file::open_at(Some(at.as_fd()), &name, flags, 0, resolve::BENEATH | resolve::NO_LINKS)?;
        }
        Ok(at)
    }

    fn resolve(&self, path: &[u8], flags: u64) -> SysResult<OwnedFd> {
        let path = CString::new(if path.is_empty() { b"." } else { path }).map_err(|_| Errno::INVAL)?;
        let reach = match self.reach {
            Reach::Everything => resolve::IN_ROOT,
            Reach::Workspace => resolve::BENEATH,
        };
        file::open_at(Some(self.base.as_fd()), &path, flags, 0, reach | resolve::NO_MAGIC_LINKS)
    }

    fn below_base(&self, path: &[u8]) -> Result<Vec<u8>, Refusal> {
        if path.contains(&0) {
            return Err(zero());
        }
        match (path.first(), self.reach) {
            (Some(b'/'), Reach::Everything) => Ok(path.to_vec()),
            (Some(b'/'), Reach::Workspace) => {
                Err(refusal::rule(RefusalKind::Denied, "absolute paths lead outside the workspace"))
            }
            (_, Reach::Everything) => Ok([&self.prefix, b"/".as_slice(), path].concat()),
            (_, Reach::Workspace) => Ok(path.to_vec()),
        }
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// Whether a path names something other than where it starts.
fn names_something(path: &[u8]) -> bool {
    names(path).next().is_some()
}

fn zero() -> Refusal {
    refusal::rule(RefusalKind::Invalid, "the path holds a zero byte")
}

fn check_file_system(step: &str, path: &[u8], fd: BorrowedFd<'_>) -> Result<(), Refusal> {
    let magic = file::file_system(fd).map_err(|errno| refusal::system(step, path, errno))?;
    if KERNEL_FILE_SYSTEMS.contains(&magic) {
        return Err(refusal::rule(
            RefusalKind::Denied,
            format!("{step}: the kernel's own files are off limits"),
        ));
    }
    Ok(())
}
