use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::outlet::Outlet;
use crate::protocol::{Refusal, WINDOW};
use crate::stream::Over;
use crate::sys::{Errno, descriptor};

/// Used-up bytes from which on the host is told: often enough that it never waits, and rarely.
pub(crate) const CREDIT_STEP: u32 = WINDOW / 4;

/// Room kept when all has been written.
const KEPT: usize = 64 << 10;

/// A program's stdin.
#[derive(Debug)]
pub(super) struct Input {
    /// `None` once the program or the host wants no more of it.
    pipe: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    /// Bytes used up that the host has not been told of.
    used: u32,
    ended: bool,
    /// Whether the pipe may have room.
    ready: bool,
}

impl Input {
    pub(super) fn new(pipe: Option<OwnedFd>) -> Self {
        Self { pipe, waiting: VecDeque::new(), used: 0, ended: false, ready: true }
    }

    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn note(&mut self) {
        self.ready = true;
    }

    /// # Errors
    /// When the host sends more than the window.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Over> {
        if self.waiting.len() + self.used as usize + bytes.len() > WINDOW as usize {
            return Err(Over);
        }
        if self.ended {
            return Err(Over);
        }
        self.waiting.extend(bytes);
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Writes what the pipe takes; all of it is used up when nobody reads.
    ///
    /// # Errors
    /// When the host can't be told.
    pub(super) fn pump(&mut self, outlet: &mut Outlet<'_>) -> Result<(), Refusal> {
        while self.ready && !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            let written = match &self.pipe {
                None => Ok(front.len()),
                Some(pipe) => descriptor::write_some(pipe, front),
            };
            match written {
                Ok(count) => self.use_up(count),
                Err(Errno::AGAIN) => self.ready = false,
                // EPIPE: the program reads no more.
                Err(_) => self.pipe = None,
            }
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(KEPT);
            if self.ended {
                self.pipe = None;
            }
        }
        if self.used >= CREDIT_STEP {
            outlet.credit(std::mem::take(&mut self.used))?;
        }
        Ok(())
    }

    fn use_up(&mut self, count: usize) {
        self.waiting.drain(..count);
        // No more than the window is ever waiting.
        self.used += u32::try_from(count).unwrap_or(WINDOW);
    }
}
