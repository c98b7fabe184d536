//! The one door to calls the standard library has no name for.

use std::ffi::{c_int, c_long};
use std::os::fd::{FromRawFd, OwnedFd};

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
    let number = c_long::from(number);
    // SAFETY: the caller's promise; `syscall` itself has no further demands.
    let result = unsafe { syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    usize::try_from(result).map_err(|_| Errno::last())
}

/// A C `int` as the register the kernel takes it from.
pub(super) const fn int(value: c_int) -> usize {
    (value as isize).cast_unsigned()
}

/// A system call that makes a descriptor.
///
/// # Safety
/// As [`call`]; and the call must answer with a new descriptor.
pub(super) unsafe fn open(number: u32, args: [usize; 6]) -> Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call(number, args) }?;
    let fd = c_int::try_from(fd).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The lower and the upper half of a number.
#[expect(clippy::cast_possible_truncation, reason = "that is what a half is")]
pub(crate) const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}
