use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::outlet::Outlet;
use crate::protocol::Stream;
use crate::sys::poll::Event;
use crate::sys::{Errno, descriptor};

/// Bytes taken from a pipe at once: what a pipe holds.
const SLICE: usize = 64 << 10;

/// One output stream of a program.
#[derive(Debug)]
pub(super) struct Output {
    stream: Stream,
    /// `None` once its end was read.
    pipe: Option<OwnedFd>,
    /// Whether there may be bytes: an edge was seen and the end of it was not.
    ready: bool,
    hung_up: bool,
    total: u64,
    /// Bytes that are still to be sent; what comes after them is counted only.
    wanted: u64,
    /// Bytes still to be read, once the program has ended.
    left: Option<usize>,
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    More,
    Enough,
}

impl Output {
    pub(super) fn new(stream: Stream, pipe: OwnedFd, cap: Option<u64>) -> Self {
        let wanted = cap.unwrap_or(u64::MAX);
        Self { stream, pipe: Some(pipe), ready: false, hung_up: false, total: 0, wanted, left: None }
    }

    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// The pipe, if somebody may still write to it.
    pub(super) fn into_pipe(self) -> Option<OwnedFd> {
        self.pipe.filter(|_| !self.hung_up)
    }

    /// Bytes read, sent or not.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn note(&mut self, event: Event) {
        self.ready |= event.readable;
        self.hung_up |= event.hung_up;
    }

    /// The program has ended: what is in the pipe now is the last of it, whoever else holds it open.
    pub(super) fn cut(&mut self) {
        if self.left.is_none() {
            let held = self.pipe.as_ref().map_or(Ok(0), |pipe| descriptor::readable(pipe.as_fd()));
            self.left = Some(held.unwrap_or(0));
            self.ready = true;
        }
    }

    /// Whether nothing more is to come.
    pub(super) fn is_done(&self) -> bool {
        self.pipe.is_none() || self.left == Some(0)
    }

    /// Moves one slice.
    pub(super) fn pump(&mut self, outlet: &mut Outlet<'_>) -> Pumped {
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.ready && self.left != Some(0)) else {
            return Pumped::Enough;
        };
        let most = self.left.map_or(SLICE, |left| left.min(SLICE));
        let asked;
        let read = if self.wanted == 0 {
            asked = most;
            outlet.discard(pipe.as_fd(), asked)
        } else {
            if !outlet.has_room(1) {
                return Pumped::Enough;
            }
            asked = most.min(outlet.room()).min(usize::try_from(self.wanted).unwrap_or(usize::MAX));
            outlet.data(self.stream, |out| descriptor::read_onto(pipe.as_fd(), out, asked))
        };
        match read {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.total += count as u64;
                self.wanted = self.wanted.saturating_sub(count as u64);
                self.left = self.left.map(|left| left - count);
                self.ready = count == asked || self.hung_up;
            }
            Err(Errno::AGAIN) => {
                self.ready = false;
                self.left = self.left.map(|_| 0);
            }
            // Nothing a pipe answers to a read in good order; there is nothing more to get from it.
            Err(_) => self.pipe = None,
        }
        if self.ready && !self.is_done() { Pumped::More } else { Pumped::Enough }
    }
}
