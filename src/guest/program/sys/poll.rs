//! Waiting for descriptors.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::errno::{Errno, Result, check};

const EPOLL_CLOEXEC: c_int = 0o2_000_000;
const ADD: c_int = 1;
const MODIFY: c_int = 3;

const IN: u32 = 0x001;
const OUT: u32 = 0x004;
const ERR: u32 = 0x008;
const HUP: u32 = 0x010;
const RDHUP: u32 = 0x2000;
/// One event per change, so that a source the guest can't serve yet costs no wake-ups.
const EDGE: u32 = 1 << 31;

/// Which changes of a descriptor are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interest {
    /// Bytes to read.
    Read,
    /// Room to write.
    Write,
    /// Both.
    Both,
}

impl Interest {
    const fn bits(self) -> u32 {
        EDGE | RDHUP
            | match self {
                Self::Read => IN,
                Self::Write => OUT,
                Self::Both => IN | OUT,
            }
    }
}

#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
struct Raw {
    events: u32,
    token: u64,
}

unsafe extern "C" {
    fn epoll_create1(flags: c_int) -> RawFd;
    fn epoll_ctl(epoll: RawFd, action: c_int, fd: RawFd, event: *mut Raw) -> c_int;
    fn epoll_wait(epoll: RawFd, events: *mut Raw, room: c_int, timeout: c_int) -> c_int;
}

/// A change of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// What it was added with.
    pub(crate) token: u64,
    /// Bytes, an end or an error to read.
    pub(crate) readable: bool,
    /// Room, or an error, to write.
    pub(crate) writable: bool,
    /// The other side is gone or has stopped sending.
    pub(crate) hung_up: bool,
}

/// A set of descriptors to wait for, edge-triggered.
#[derive(Debug)]
pub(crate) struct Poll(OwnedFd);

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: makes a descriptor.
        let fd = check(unsafe { epoll_create1(EPOLL_CLOEXEC) })?;
        // SAFETY: it was just made.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Readable when there is something to report, for another poll.
    pub(crate) fn source(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Adds a descriptor; closing it removes it.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<()> {
        self.control(ADD, fd, token, interest)
    }

    /// Changes what is wanted; what is already there is reported again.
    pub(crate) fn change(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<()> {
        self.control(MODIFY, fd, token, interest)
    }

    fn control(&self, action: c_int, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<()> {
        let mut event = Raw { events: interest.bits(), token };
        // SAFETY: `event` lives through the call.
        check(unsafe { epoll_ctl(self.0.as_raw_fd(), action, fd.as_raw_fd(), &raw mut event) }).map(drop)
    }

    /// Replaces `events` by what has changed, after waiting for it at most so long, rounded up to a
    /// millisecond; `None` waits for ever.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> Result<()> {
        const ROOM: c_int = 64;
        let timeout = timeout
            .map_or(-1, |wait| c_int::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX));
        let mut raw = [Raw { events: 0, token: 0 }; ROOM as usize];
        events.clear();
        // SAFETY: `raw` has room for as many as are asked for.
        match check(unsafe { epoll_wait(self.0.as_raw_fd(), raw.as_mut_ptr(), ROOM, timeout) }) {
            Ok(count) => {
                events.extend(raw.iter().take(usize::try_from(count).unwrap_or(0)).map(|raw| Event {
                    token: raw.token,
                    readable: raw.events & (IN | HUP | RDHUP | ERR) != 0,
                    writable: raw.events & (OUT | HUP | ERR) != 0,
                    hung_up: raw.events & (HUP | RDHUP | ERR) != 0,
                }));
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}
