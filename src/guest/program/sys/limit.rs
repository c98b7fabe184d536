//! Resource limits.

use super::errno::{Result, check};

/// `RLIMIT_RTTIME`.
pub(crate) const REALTIME: u32 = 15;
/// No limit.
pub(crate) const UNLIMITED: u64 = u64::MAX;

#[repr(C)]
struct Pair {
    soft: u64,
    hard: u64,
}

unsafe extern "C" {
    fn prlimit64(pid: i32, resource: u32, new: *const Pair, old: *mut Pair) -> i32;
}

/// Sets both limits of the calling process.
pub(crate) fn set(resource: u32, value: u64) -> Result<()> {
    let pair = Pair { soft: value, hard: value };
    // SAFETY: `pair` lives through the call.
    check(unsafe { prlimit64(0, resource, &raw const pair, std::ptr::null_mut()) }).map(drop)
}

/// The hard limit of a process; 0 is the calling one.
pub(crate) fn hard(pid: i32, resource: u32) -> Result<u64> {
    let mut pair = Pair { soft: 0, hard: 0 };
    // SAFETY: `pair` lives through the call and may be written to.
    check(unsafe { prlimit64(pid, resource, std::ptr::null(), &raw mut pair) })?;
    Ok(pair.hard)
}
