//! Processes that exist.

use std::ffi::{c_int, c_long, c_ulong};
use std::os::fd::{AsRawFd, OwnedFd};

use super::errno::{Errno, Result, check};
use super::number::{GETPRIORITY, IOPRIO_GET, PIDFD_OPEN, PIDFD_SEND_SIGNAL, SETPRIORITY};
use super::raw::{self, call, int};

const PR_SET_PDEATHSIG: c_int = 1;
const PR_SET_DUMPABLE: c_int = 4;
const PR_SET_CHILD_SUBREAPER: c_int = 36;
const PR_SET_NO_NEW_PRIVS: c_int = 38;
const WNOHANG: c_int = 1;

#[repr(C)]
#[derive(Default)]
struct Usage {
    user: [i64; 2],
    system: [i64; 2],
    max_rss_kib: c_long,
    rest: [c_long; 13],
}

unsafe extern "C" {
    fn prctl(option: c_int, ...) -> c_int;
    fn setsid() -> c_int;
    fn getuid() -> u32;
    fn getgid() -> u32;
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut Usage) -> c_int;
    #[link_name = "kill"]
    fn send(pid: c_int, signal: c_int) -> c_int;
}

fn set(option: c_int, value: c_ulong) -> Result<()> {
    // SAFETY: the options used here take plain numbers.
    check(unsafe { prctl(option, value, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) }).map(drop)
}

/// No program started from here on can gain privileges.
pub(crate) fn no_new_privileges() -> Result<()> {
    set(PR_SET_NO_NEW_PRIVS, 1)
}

/// Closes the guest's memory and descriptors to others of the same user.
pub(crate) fn hide() -> Result<()> {
    set(PR_SET_DUMPABLE, 0)
}

/// Makes orphans below the guest its children.
pub(crate) fn adopt_orphans() -> Result<()> {
    set(PR_SET_CHILD_SUBREAPER, 1)
}

/// Ends the guest when the thread that started it ends.
pub(crate) fn die_with_parent() -> Result<()> {
    set(PR_SET_PDEATHSIG, super::signal::KILL as c_ulong)
}

/// Leaves the session of whoever started this process, and its terminal with it.
pub(crate) fn new_session() -> Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { setsid() }).map(drop)
}

/// User and group of this process.
pub(crate) fn user() -> (u32, u32) {
    // SAFETY: neither takes anything, and neither can fail.
    unsafe { (getuid(), getgid()) }
}

/// Our own class and level of input and output; `None` where the kernel has none.
pub(crate) fn io_priority() -> Option<usize> {
    const PROCESS: usize = 1;
    // SAFETY: takes numbers only.
    unsafe { call(IOPRIO_GET, [PROCESS, 0, 0, 0, 0, 0]) }.ok()
}

/// What `getpriority` adds, so that no niceness is negative.
const NICEST: i32 = 20;
const PRIO_PROCESS: usize = 0;

/// How willingly this process lets others go first, from -20 to 19.
pub(crate) fn niceness() -> Result<i32> {
    // SAFETY: takes numbers only.
    let raised = unsafe { call(GETPRIORITY, [PRIO_PROCESS, 0, 0, 0, 0, 0]) }?;
    Ok(NICEST - i32::try_from(raised).map_err(|_| Errno::INVAL)?)
}

/// Sets that of a process; 0 is the calling one, which may always be nicer. Safe between vfork and exec.
pub(crate) fn set_niceness(pid: i32, niceness: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { call(SETPRIORITY, [PRIO_PROCESS, int(pid), int(niceness), 0, 0, 0]) }.map(drop)
}

/// Sends a signal to a process; to a group when `pid` is negative; to all that can be reached when it is -1.
pub(crate) fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes plain numbers.
    check(unsafe { send(pid, signal) }).map(drop)
}

/// A process held by descriptor, so that its number can't come to mean another; where the system has no such
/// descriptors, by its number after all.
#[derive(Debug)]
pub(crate) enum Held {
    Surely(OwnedFd),
    ByNumber(i32),
}

impl Held {
    /// Holds whichever process has the number now.
    pub(crate) fn open(pid: i32) -> Result<Self> {
        // SAFETY: takes plain numbers.
        match unsafe { raw::open(PIDFD_OPEN, [int(pid), 0, 0, 0, 0, 0]) } {
            Err(Errno::NOSYS | Errno::PERM) => Ok(Self::ByNumber(pid)),
            held => held.map(Self::Surely),
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) -> Result<()> {
        let fd = match self {
            Self::Surely(fd) => int(fd.as_raw_fd()),
            Self::ByNumber(pid) => return kill(*pid, signal),
        };
        // SAFETY: no extra information is passed.
        unsafe { call(PIDFD_SEND_SIGNAL, [fd, int(signal), 0, 0, 0, 0]) }.map(drop)
    }
}

/// How a process ended, and what it used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    /// Exit status, when it exited.
    pub(crate) code: Option<u32>,
    /// Signal, when one ended it.
    pub(crate) signal: Option<u32>,
    /// User and system time, with that of the descendants it waited for, microseconds.
    pub(crate) cpu_us: u64,
    /// Largest resident size, bytes.
    pub(crate) max_rss: u64,
}

impl Ended {
    /// As a shell would tell it: the exit status, or 128 and the signal.
    pub(crate) fn status(&self) -> u8 {
        let number = self.signal.map_or(self.code.unwrap_or(0), |signal| 128 + signal);
        u8::try_from(number).unwrap_or(u8::MAX)
    }
}

/// What became of the children.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaped {
    /// One ended.
    Ended(Ended),
    /// There are some, and none has ended.
    Running,
    /// There are none.
    Childless,
}

/// Takes leave of one child that has ended, if there is one; of `pid` only, unless it is -1.
pub(crate) fn reap(pid: i32) -> Result<Reaped> {
    reap_with(pid, WNOHANG)
}

/// As [`reap`], after waiting for the child to end.
pub(crate) fn reap_now(pid: i32) -> Result<Reaped> {
    reap_with(pid, 0)
}

fn reap_with(pid: i32, options: c_int) -> Result<Reaped> {
    let mut status = 0;
    let mut usage = Usage::default();
    // SAFETY: both live through the call and may be written to.
    let pid = match check(unsafe { wait4(pid, &raw mut status, options, &raw mut usage) }) {
        Ok(0) => return Ok(Reaped::Running),
        Ok(pid) => pid,
        Err(Errno::CHILD) => return Ok(Reaped::Childless),
        Err(errno) => return Err(errno),
    };
    let low = status.cast_unsigned() & 0x7f;
    let microseconds = |[seconds, rest]: [i64; 2]| seconds.cast_unsigned() * 1_000_000 + rest.cast_unsigned();
    Ok(Reaped::Ended(Ended {
        pid,
        code: (low == 0).then_some((status.cast_unsigned() >> 8) & 0xff),
        signal: (low != 0).then_some(low),
        cpu_us: microseconds(usage.user) + microseconds(usage.system),
        max_rss: usage.max_rss_kib.cast_unsigned() * 1024,
    }))
}
