//! Mounts.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};

use super::errno::{Errno, Result};
use super::namespace;
use super::number::{MOUNT, MOUNT_SETATTR, MOVE_MOUNT, OPEN_TREE, PIVOT_ROOT, UMOUNT2};
use super::raw::{call, int, open};
use super::seccomp::gate;

/// Mount flags of the old interface.
pub(crate) mod flag {
    pub(crate) const RDONLY: usize = 1;
    pub(crate) const NOSUID: usize = 2;
    pub(crate) const NODEV: usize = 4;
    pub(crate) const NOEXEC: usize = 8;
    pub(crate) const REMOUNT: usize = 32;
    pub(crate) const NOATIME: usize = 1024;
    pub(crate) const BIND: usize = 4096;
    pub(crate) const REC: usize = 16384;
    pub(crate) const PRIVATE: usize = 1 << 18;
}

/// Mount attributes of the new interface.
pub(crate) mod attribute {
    pub(crate) const RDONLY: u64 = 1;
    pub(crate) const NOSUID: u64 = 2;
    pub(crate) const NODEV: u64 = 4;
    pub(crate) const NOEXEC: u64 = 8;
}

const AT_FDCWD: i32 = -100;
const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;
const OPEN_TREE_CLONE: usize = 1;
const OPEN_TREE_CLOEXEC: usize = 0o2_000_000;
const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
const MNT_DETACH: usize = 2;

#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A view of a file or directory and all mounted below it, taken from where it is and not yet put anywhere.
#[derive(Debug)]
pub(crate) struct View(OwnedFd);

impl View {
    /// Takes a view of what `source` leads to.
    pub(crate) fn of(source: &CStr) -> Result<Self> {
        let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
        // SAFETY: `source` ends in a zero and outlives the call.
        unsafe { open(OPEN_TREE, [int(AT_FDCWD), source.as_ptr() as usize, flags, 0, 0, 0]) }.map(Self)
    }

    /// Adds [`attribute`]s to the whole view.
    pub(crate) fn restrict(&self, attributes: u64) -> Result<()> {
        let change = Attributes { set: attributes, clear: 0, propagation: 0, user_namespace: 0 };
        let args = [
            int(self.0.as_raw_fd()),
            c"".as_ptr() as usize,
            AT_EMPTY_PATH | AT_RECURSIVE,
            &raw const change as usize,
            size_of::<Attributes>(),
            0,
        ];
        // SAFETY: the path ends in a zero, and `change` is the kernel's `mount_attr` of the size given.
        unsafe { call(MOUNT_SETATTR, args) }.map(drop)
    }

    /// Puts it at `target`, which must exist and be of the same kind.
    pub(crate) fn put(self, target: &CStr) -> Result<()> {
        let args = [
            int(self.0.as_raw_fd()),
            c"".as_ptr() as usize,
            int(AT_FDCWD),
            target.as_ptr() as usize,
            MOVE_MOUNT_F_EMPTY_PATH,
            0,
        ];
        // SAFETY: both paths end in a zero and outlive the call.
        unsafe { call(MOVE_MOUNT, args) }.map(drop)
    }
}

/// Mounts a new file system of `kind` at `target`.
pub(crate) fn mount(kind: &CStr, target: &CStr, flags: usize, options: &CStr) -> Result<()> {
    let (kind, target, options) =
        (kind.as_ptr() as usize, target.as_ptr() as usize, options.as_ptr() as usize);
    // SAFETY: three strings that end in a zero and outlive the call.
    unsafe { call(MOUNT, [kind, target, kind, flags, options, gate()]) }.map(drop)
}

/// Changes the flags of the mount at `target`, or how it and those below it spread.
pub(crate) fn change(target: &CStr, flags: usize) -> Result<()> {
    // SAFETY: `target` ends in a zero; the other strings are not read with these flags.
    unsafe { call(MOUNT, [0, target.as_ptr() as usize, 0, flags, 0, gate()]) }.map(drop)
}

/// Takes away what is mounted at `target`, at once for everybody who looks there anew.
pub(crate) fn unmount(target: &CStr) -> Result<()> {
    // SAFETY: `target` ends in a zero.
    unsafe { call(UMOUNT2, [target.as_ptr() as usize, MNT_DETACH, 0, 0, 0, gate()]) }.map(drop)
}

/// Mounts an empty tmpfs of `size` bytes at `path`, where looking leaves no trace.
pub(crate) fn fresh(path: &CStr, size: u64, mode: u32) -> Result<()> {
    let inodes = (size / 1024).max(1024);
    let options =
        CString::new(format!("size={size},nr_inodes={inodes},mode={mode:o}")).map_err(|_| Errno::INVAL)?;
    mount(c"tmpfs", path, flag::NOSUID | flag::NODEV | flag::NOATIME, &options)
}

/// Replaces the tmpfs at `path` by an empty one of `size` bytes.
pub(crate) fn renew(path: &CStr, size: u64, mode: u32) -> Result<()> {
    unmount(path)?;
    fresh(path, size, mode)
}

/// Leaves shared memory, semaphores and message queues behind.
pub(crate) fn renew_ipc() -> Result<()> {
    namespace::renew(namespace::new::IPC)
}

/// Makes the working directory, which must be a mount, the root of this mount namespace, and takes the old
/// root away.
pub(crate) fn become_root() -> Result<()> {
    let here = c".".as_ptr() as usize;
    // SAFETY: both paths are the static string above.
    unsafe { call(PIVOT_ROOT, [here, here, 0, 0, 0, 0]) }?;
    // The old root now lies on top of the new one.
    unmount(c".")?;
    std::env::set_current_dir("/").map_err(|error| Errno(error.raw_os_error().unwrap_or(0)))
}
