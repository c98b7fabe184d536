//! Pipes of programs that are over, held open by others.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::poll::{Interest, Poll};
use crate::sys::{Errno, descriptor};
use crate::table::{Key, Slab};

/// Pipes kept; a program that writes to one beyond this gets SIGPIPE.
const MOST: usize = 64;

const SLICE: usize = 64 << 10;

/// Reads and drops what background processes still write, so that they don't die of SIGPIPE.
#[derive(Debug)]
pub(crate) struct Leftovers {
    pipes: Slab<OwnedFd>,
    ready: VecDeque<Key>,
    scratch: Vec<u8>,
}

impl Leftovers {
    pub(crate) const fn new() -> Self {
        Self { pipes: Slab::new(), ready: VecDeque::new(), scratch: Vec::new() }
    }

    /// Keeps a pipe that the poll knows already under another token.
    pub(crate) fn keep(
        &mut self,
        pipe: OwnedFd,
        poll: &Poll,
        token: impl Fn(Key) -> u64,
    ) -> Result<(), Errno> {
        if self.pipes.len() >= MOST {
            return Ok(());
        }
        if let Some(key) = self.pipes.insert(pipe)
            && let Some(pipe) = self.pipes.get_mut(key)
        {
            poll.change(pipe.as_fd(), token(key), Interest::Read)?;
        }
        Ok(())
    }

    /// One of them changed.
    pub(crate) fn note(&mut self, key: Key) {
        if self.pipes.get_mut(key).is_some() && !self.ready.contains(&key) {
            self.ready.push_back(key);
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Empties one of them.
    pub(crate) fn advance(&mut self) {
        let Some(key) = self.ready.pop_front() else {
            return;
        };
        let Some(pipe) = self.pipes.get_mut(key) else {
            return;
        };
        self.scratch.clear();
        match descriptor::read_onto(pipe.as_fd(), &mut self.scratch, SLICE) {
            Ok(count) if count > 0 => self.ready.push_back(key),
            Err(Errno::AGAIN) => {}
            Ok(_) | Err(_) => drop(self.pipes.remove(key)),
        }
        if self.pipes.len() == 0 {
            self.scratch = Vec::new();
        }
    }

    /// Closes them all.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}
