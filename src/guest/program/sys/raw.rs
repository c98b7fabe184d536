//! The one door to calls the standard library has no name for.

use std::ffi::{c_int, c_long};
use std::os::fd::RawFd;

use super::errno::{Errno, Result};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// A system call with all six arguments, also where it takes fewer: the sixth carries the
/// [gate](super::seccomp::gate) for those that are closed to everybody but the guest.
///
/// # Safety
/// As the call itself: pointers among the arguments must be good for what it reads and writes.
pub(super) unsafe fn call(number: u32, args: [usize; 6]) -> Result<usize> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the caller's promise; `syscall` itself has no further demands.
    let result = unsafe { syscall(c_long::from(number), a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| Errno::last())
}

/// A C `int` as the register the kernel takes it from.
pub(super) const fn int(value: c_int) -> usize {
    value as isize as usize
}

/// A call's result where that is a new descriptor.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the kernel numbers descriptors with an int"
)]
pub(super) const fn descriptor(result: usize) -> RawFd {
    result as RawFd
}
