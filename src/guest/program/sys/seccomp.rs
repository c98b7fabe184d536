//! Seccomp: a filter over system calls, and the gate that lets the guest alone through parts of it.
//!
//! One filter stands over the guest and all it starts, because a filter per command costs a tenth of a
//! spawn. A few calls that commands must not make are needed by the guest itself; the filter lets those pass
//! when their sixth argument, which they do not use, is the gate: a random number only the guest knows.

use std::sync::atomic::{AtomicU64, Ordering};

use super::errno::{Errno, Result};
use super::number::{GETRANDOM, SECCOMP};
use super::raw::call;

/// One instruction of a classic BPF program, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jump_true: u8,
    pub(crate) jump_false: u8,
    pub(crate) value: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    code: *const Instruction,
}

const SET_MODE_FILTER: usize = 1;

/// Zero, which no filter lets pass, until [`set_gate`].
static GATE: AtomicU64 = AtomicU64::new(0);

/// The sixth argument of calls the filter keeps for the guest.
pub(crate) fn gate() -> usize {
    usize::from_ne_bytes(GATE.load(Ordering::Relaxed).to_ne_bytes())
}

/// Tells this process the gate of the filter over it.
pub(crate) fn set_gate(value: u64) {
    GATE.store(value, Ordering::Relaxed);
}

/// A number nobody can guess, and not zero.
pub(crate) fn new_gate() -> Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes up to the eight bytes of `bytes`, and writes so few all at once.
    unsafe { call(GETRANDOM, [bytes.as_mut_ptr() as usize, bytes.len(), 0, 0, 0, 0]) }?;
    Ok(u64::from_ne_bytes(bytes) | 1)
}

/// Puts `program` over this process and all it starts, for good. Needs no-new-privileges.
pub(crate) fn install(program: &[Instruction]) -> Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let program = Program { length, code: program.as_ptr() };
    // SAFETY: `program` is the kernel's `sock_fprog`, and what it points to outlives the call.
    unsafe { call(SECCOMP, [SET_MODE_FILTER, 0, &raw const program as usize, 0, 0, 0]) }.map(drop)
}
