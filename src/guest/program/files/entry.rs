//! What is done to one path in one go.

use std::ffi::CString;
use std::os::fd::AsFd;

use crate::protocol::{Done, Path, Refusal, RefusalKind};
use crate::refusal;
use crate::sys::file::{self, Kind, open, resolve};
use crate::sys::{Errno, Result as SysResult};

use super::tree::Parents;
use super::writing::name_beside;
use super::{MODE_BITS, Tree, described};

/// Describes a path, a link itself.
pub(crate) fn stat(tree: &Tree, path: &Path) -> Result<Done, Refusal> {
    let fd = tree.open("stat", path, open::PATH_ONLY | open::NO_FOLLOW)?;
    let look = || -> SysResult<_> {
        let status = file::status(fd.as_fd())?;
        let is_link = status.kind == Kind::Symlink;
        let target = if is_link { file::read_link(fd.as_fd(), c"")? } else { Vec::new() };
        Ok(described(status, target))
    };
    look().map(Done::Stat).map_err(|errno| refusal::system("stat", path, errno))
}

/// Makes a directory and its missing parents.
pub(crate) fn make_directory(tree: &Tree, path: &Path, mode: u32) -> Result<Done, Refusal> {
    let refused = |errno| refusal::system("make directory", path, errno);
    if mode & !MODE_BITS != 0 {
        return Err(refusal::rule(
            RefusalKind::Invalid,
            "make directory: the mode has more than permission bits",
        ));
    }
    let (parent, name) = tree.parent("make directory", path, Parents::Make)?;
    match file::make_directory(parent.as_fd(), &name, 0o700) {
        Ok(()) => {
            let flags = open::READ | open::DIRECTORY | open::NO_FOLLOW;
            let directory =
                file::open_at(Some(parent.as_fd()), &name, flags, 0, resolve::BENEATH).map_err(refused)?;
            file::set_mode(directory.as_fd(), mode).map_err(refused)?;
        }
        // One that a link leads to will do.
        Err(Errno::EXIST) => {
            tree.open("make directory", path, open::PATH_ONLY | open::DIRECTORY)?;
        }
        Err(errno) => return Err(refused(errno)),
    }
    Ok(Done::Unit)
}

/// Makes a symbolic link, over what is there unless that is a directory.
pub(crate) fn link(tree: &Tree, path: &Path, target: &Path) -> Result<Done, Refusal> {
    let refused = |errno| refusal::system("link", path, errno);
    let target = CString::new(target.as_slice())
        .map_err(|_| refusal::rule(RefusalKind::Invalid, "the target holds a zero byte"))?;
    let (parent, name) = tree.parent("link", path, Parents::Make)?;
    let beside = name_beside();
    file::symlink(&target, parent.as_fd(), &beside).map_err(refused)?;
    match file::rename(parent.as_fd(), &beside, parent.as_fd(), &name) {
        Ok(()) => Ok(Done::Unit),
        Err(errno) => {
            file::unlink(parent.as_fd(), &beside).map_err(refused)?;
            Err(refused(errno))
        }
    }
}
