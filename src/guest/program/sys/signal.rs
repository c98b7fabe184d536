//! Signals, which the guest takes from a descriptor and never in a handler.

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::descriptor::read_onto;
use super::errno::{Errno, Result, check};
use super::number::RT_SIGACTION;
use super::raw::{call, int};

pub(crate) const HUP: i32 = 1;
pub(crate) const INT: i32 = 2;
pub(crate) const QUIT: i32 = 3;
pub(crate) const KILL: i32 = 9;
pub(crate) const USR1: i32 = 10;
pub(crate) const USR2: i32 = 12;
pub(crate) const TERM: i32 = 15;
pub(crate) const CHLD: i32 = 17;
pub(crate) const WINCH: i32 = 28;
const STOP: i32 = 19;
/// The highest signal number.
pub(crate) const LAST: i32 = 64;

const SFD_FLAGS: c_int = 0o2_000_000 | 0o4000;
const SIG_BLOCK: c_int = 0;
const SIG_SETMASK: c_int = 2;
const RECORD: usize = 128;
/// Where the sender is in a record.
const SENDER: usize = 12;

/// The C library's `sigset_t`.
#[repr(C)]
struct Set([u64; 16]);

unsafe extern "C" {
    fn sigprocmask(how: c_int, set: *const Set, old: *mut Set) -> c_int;
    fn signalfd(fd: RawFd, set: *const Set, flags: c_int) -> RawFd;
}

/// Gives every signal its default action and blocks them all: none can end or interrupt the guest but KILL,
/// and a child has nothing to undo but the mask.
pub(crate) fn block_all() -> Result<()> {
    // The kernel's `struct sigaction` with SIG_DFL, no flags and no mask is all zeros. The C library's own
    // call would leave out the two signals it uses itself.
    let default = [0u64; 4];
    for number in (1..=LAST).filter(|number| !matches!(*number, KILL | STOP)) {
        // SAFETY: `default` is as large as the kernel's structure and outlives the call.
        unsafe { call(RT_SIGACTION, [int(number), default.as_ptr() as usize, 0, size_of::<u64>(), 0, 0]) }?;
    }
    let all = Set([u64::MAX; 16]);
    // SAFETY: `all` lives through the call.
    check(unsafe { sigprocmask(SIG_BLOCK, &raw const all, std::ptr::null_mut()) }).map(drop)
}

/// Lets every signal through. For a child, before its program starts.
pub(super) fn unblock_all() -> Result<()> {
    let none = Set([0; 16]);
    // SAFETY: `none` lives through the call.
    check(unsafe { sigprocmask(SIG_SETMASK, &raw const none, std::ptr::null_mut()) }).map(drop)
}

/// A signal that was sent to the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) number: i32,
    /// Who sent it; 0 is somebody outside of the pid namespace, or the kernel.
    pub(crate) sender: u32,
}

/// A descriptor that the given signals are read from.
#[derive(Debug)]
pub(crate) struct Signals(OwnedFd);

impl Signals {
    pub(crate) fn new(numbers: &[i32]) -> Result<Self> {
        let mut set = Set([0; 16]);
        for number in numbers {
            set.0[0] |= 1 << (number - 1);
        }
        // SAFETY: `set` lives through the call.
        let fd = check(unsafe { signalfd(-1, &raw const set, SFD_FLAGS) })?;
        // SAFETY: it was just made.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes all that have arrived, each reported once.
    pub(crate) fn take(&self) -> Result<Vec<Arrived>> {
        let mut taken = Vec::new();
        let mut records = Vec::new();
        match read_onto(self.0.as_fd(), &mut records, 8 * RECORD) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
        for record in records.chunks_exact(RECORD) {
            if let (Some(number), Some(sender)) =
                (record.first_chunk(), record.get(SENDER..).and_then(<[u8]>::first_chunk))
            {
                taken.push(Arrived {
                    number: i32::from_ne_bytes(*number),
                    sender: u32::from_ne_bytes(*sender),
                });
            }
        }
        Ok(taken)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
