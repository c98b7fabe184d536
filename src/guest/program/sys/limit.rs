//! Resource limits.

use super::errno::Result;
use super::number::PRLIMIT64;
use super::raw::{call, int};
use super::seccomp::gate;

/// `RLIMIT_FSIZE`.
pub(crate) const FILE_SIZE: u32 = 1;
/// `RLIMIT_CORE`.
pub(crate) const CORE: u32 = 4;
/// `RLIMIT_NPROC`: processes and threads of the user in this user namespace.
pub(crate) const PROCESSES: u32 = 6;
/// `RLIMIT_NOFILE`.
pub(crate) const OPEN_FILES: u32 = 7;
/// `RLIMIT_AS`.
pub(crate) const ADDRESS_SPACE: u32 = 9;
/// `RLIMIT_RTTIME`.
pub(crate) const REALTIME: u32 = 15;
/// No limit.
pub(crate) const UNLIMITED: u64 = u64::MAX;

#[repr(C)]
struct Pair {
    soft: u64,
    hard: u64,
}

/// Sets both limits of the calling process. Safe between vfork and exec.
pub(crate) fn set(resource: u32, value: u64) -> Result<()> {
    let pair = Pair { soft: value, hard: value };
    // SAFETY: `pair` is the structure the call reads, and lives through it.
    unsafe { call(PRLIMIT64, [0, resource as usize, &raw const pair as usize, 0, 0, gate()]) }.map(drop)
}

/// Lowers both limits of the calling process to `value`, or leaves a hard limit that is lower.
pub(crate) fn lower(resource: u32, value: u64) -> Result<()> {
    set(resource, value.min(hard(0, resource)?))
}

/// The hard limit of a process; 0 is the calling one.
pub(crate) fn hard(pid: i32, resource: u32) -> Result<u64> {
    let mut pair = Pair { soft: 0, hard: 0 };
    // SAFETY: `pair` is the structure the call fills, and lives through it.
    unsafe { call(PRLIMIT64, [int(pid), resource as usize, 0, &raw mut pair as usize, 0, gate()]) }?;
    Ok(pair.hard)
}
