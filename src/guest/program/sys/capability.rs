//! Capabilities: what the guest keeps for resets, and nothing for commands.

use super::errno::{Errno, Result};
use super::number::{CAPGET, CAPSET, PRCTL};
use super::raw::{call, halves};

/// Mounting, unmounting and leaving namespaces: what a reset needs.
pub(crate) const SYS_ADMIN: u64 = 1 << 21;

const VERSION_3: u32 = 0x2008_0522;
const PR_CAPBSET_DROP: usize = 24;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const LAST: usize = 63;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn set(usable: u64, inheritable: u64) -> Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let (usable, inheritable) = (halves(usable), halves(inheritable));
    let half = |which: usize| Half {
        effective: usable[which],
        permitted: usable[which],
        inheritable: inheritable[which],
    };
    let data = [half(0), half(1)];
    // SAFETY: both structures are what version 3 of the call reads, and outlive it.
    unsafe { call(CAPSET, [&raw const header as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Keeps `mask` through the next exec, and lets nothing else ever come back: the bounding set is emptied.
///
/// The process must hold all capabilities of its user namespace.
pub(crate) fn keep_only(mask: u64) -> Result<()> {
    let held = held()?;
    // Inheritable first: once the bounding set is empty nothing can be added to it.
    set(held, mask)?;
    empty_bounding_set()?;
    set(mask, mask)?;
    for capability in (0..=LAST).filter(|bit| mask >> bit & 1 == 1) {
        // SAFETY: takes integers only.
        unsafe { call(PRCTL, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0, 0]) }?;
    }
    Ok(())
}

/// No exec gives any capability from here on.
pub(crate) fn empty_bounding_set() -> Result<()> {
    for capability in 0..=LAST {
        // SAFETY: takes integers only.
        match unsafe { call(PRCTL, [PR_CAPBSET_DROP, capability, 0, 0, 0, 0]) } {
            Ok(_) => {}
            // The kernel knows no more of them.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives up every capability, the ambient ones with them. Safe between vfork and exec.
pub(crate) fn drop_all() -> Result<()> {
    set(0, 0)
}

fn held() -> Result<u64> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Half { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: as in `set`; the kernel fills `data`.
    unsafe { call(CAPGET, [&raw const header as usize, data.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    Ok(u64::from(data[1].permitted) << 32 | u64::from(data[0].permitted))
}
