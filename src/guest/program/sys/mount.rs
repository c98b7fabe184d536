//! Fresh ground for a lease.

use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};

use super::errno::{Errno, Result, check};

const MNT_DETACH: c_int = 2;
const MS_NOSUID: c_ulong = 2;
const MS_NODEV: c_ulong = 4;
const CLONE_NEWIPC: c_int = 0x0800_0000;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        options: *const c_void,
    ) -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
    fn unshare(what: c_int) -> c_int;
}

/// Replaces the tmpfs at `path` by an empty one of `size` bytes.
pub(crate) fn renew(path: &CStr, size: u64, mode: u32) -> Result<()> {
    // SAFETY: `path` ends with a zero.
    check(unsafe { umount2(path.as_ptr(), MNT_DETACH) })?;
    let inodes = (size / 1024).max(1024);
    let options =
        CString::new(format!("size={size},nr_inodes={inodes},mode={mode:o}")).map_err(|_| Errno::INVAL)?;
    let kind = c"tmpfs".as_ptr();
    // SAFETY: all strings end with a zero and outlive the call.
    check(unsafe { mount(kind, path.as_ptr(), kind, MS_NOSUID | MS_NODEV, options.as_ptr().cast()) })
        .map(drop)
}

/// Leaves shared memory, semaphores and message queues behind.
pub(crate) fn renew_ipc() -> Result<()> {
    // SAFETY: changes the calling process only.
    check(unsafe { unshare(CLONE_NEWIPC) }).map(drop)
}
