//! Descriptors and the bytes behind them.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::errno::{Errno, Result, check, check_size};

const O_CLOEXEC: c_int = 0o2_000_000;
const O_NONBLOCK: c_int = 0o4000;
const F_SETFD: c_int = 2;
const FD_CLOEXEC: c_int = 1;
const F_GETFL: c_int = 3;
const F_SETFL: c_int = 4;
const FIONREAD: c_ulong = 0x541b;
const CLOSE_RANGE_CLOEXEC: c_int = 4;

unsafe extern "C" {
    fn pipe2(ends: *mut [RawFd; 2], flags: c_int) -> c_int;
    fn fcntl(fd: RawFd, command: c_int, ...) -> c_int;
    fn ioctl(fd: RawFd, request: c_ulong, ...) -> c_int;
    fn dup2(from: RawFd, to: RawFd) -> c_int;
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int;
    fn read(fd: RawFd, buffer: *mut c_void, count: usize) -> isize;
    fn pread64(fd: RawFd, buffer: *mut c_void, count: usize, offset: i64) -> isize;
    fn write(fd: RawFd, buffer: *const c_void, count: usize) -> isize;
}

/// Takes a descriptor somebody handed over by number.
pub(crate) fn adopt(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: F_GETFL only looks.
    check(unsafe { fcntl(number, F_GETFL) })?;
    // SAFETY: it is open, and whoever names it on the command line gives it away.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A pipe: the end to read from and the end to write to, both closed on exec.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for both numbers.
    check(unsafe { pipe2(&raw mut ends, O_CLOEXEC) })?;
    // SAFETY: the call succeeded, so both are open and nobody else's.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Makes reads and writes answer at once.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: both commands take and give plain numbers.
    let flags = check(unsafe { fcntl(fd.as_raw_fd(), F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { fcntl(fd.as_raw_fd(), F_SETFL, flags | O_NONBLOCK) }).map(drop)
}

/// Marks every descriptor from `first` on as closed on exec.
pub(crate) fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: changes flags only.
    match check(unsafe { close_range(first, c_uint::MAX, CLOSE_RANGE_CLOEXEC) }) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => close_each_on_exec(first),
        done => done.map(drop),
    }
}

/// The same for kernels and filters without that call: one by one.
fn close_each_on_exec(first: u32) -> Result<()> {
    let failed = |error: std::io::Error| Errno(error.raw_os_error().unwrap_or(0));
    for entry in std::fs::read_dir("/proc/self/fd").map_err(failed)? {
        let number = entry.map_err(failed)?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number: &c_int| number.cast_unsigned() >= first) {
            // SAFETY: changes a flag only. One that is closed by now, as that of the list, needs none.
            let _closed = unsafe { fcntl(number, F_SETFD, FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Closes every descriptor from `first` on. None of them may be owned by anything in this program.
pub(crate) fn close_from(first: u32) -> Result<()> {
    // SAFETY: the caller's promise.
    check(unsafe { close_range(first, c_uint::MAX, 0) }).map(drop)
}

/// Puts a copy of `fd` at a number nobody owns, kept on exec.
pub(crate) fn put_at(fd: BorrowedFd<'_>, number: RawFd) -> Result<()> {
    // SAFETY: the caller's promise; the standard three are owned by nobody.
    check(unsafe { dup2(fd.as_raw_fd(), number) }).map(drop)
}

/// Bytes that can be read without waiting.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> Result<usize> {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { ioctl(fd.as_raw_fd(), FIONREAD, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Appends up to `most` bytes to `out`; 0 means the end.
pub(crate) fn read_onto(fd: BorrowedFd<'_>, out: &mut Vec<u8>, most: usize) -> Result<usize> {
    append(out, most, |room| {
        // SAFETY: `room` is at least `most` bytes long.
        unsafe { read(fd.as_raw_fd(), room, most) }
    })
}

/// As [`read_onto`], from a position in a file.
pub(crate) fn read_onto_at(fd: BorrowedFd<'_>, out: &mut Vec<u8>, most: usize, offset: u64) -> Result<usize> {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    append(out, most, |room| {
        // SAFETY: `room` is at least `most` bytes long.
        unsafe { pread64(fd.as_raw_fd(), room, most, offset) }
    })
}

fn append(out: &mut Vec<u8>, most: usize, read: impl FnOnce(*mut c_void) -> isize) -> Result<usize> {
    out.reserve(most);
    let count = check_size(read(out.spare_capacity_mut().as_mut_ptr().cast()))?;
    // SAFETY: the kernel filled the first `count` bytes of the spare room.
    unsafe { out.set_len(out.len() + count) };
    Ok(count)
}

/// Writes what it can.
pub(crate) fn write_some(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: `bytes` is readable for its length.
    check_size(unsafe { write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}
