//! One of the guest's two byte streams to the host, and what is on its way in and out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::outlet::Outlet;
use crate::protocol::{FrameBuffer, Malformed, Reply};
use crate::sys::poll::Event;
use crate::sys::{Errno, descriptor};

/// Bytes read from the host at once.
const READ: usize = 64 << 10;

/// Bytes not yet taken by the host from which on no operation produces more.
const FULL: usize = 256 << 10;

/// Bytes not yet taken by the host from which on none of its requests is looked at.
const CHOKED: usize = 1 << 20;

/// Room kept for the next replies when all has been sent.
const KEPT: usize = 128 << 10;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// Stays with the host's supervisor. Its end ends the guest.
    Control,
    /// Moves with the lease.
    Data,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Control, Self::Data];
}

/// The stream has ended, or makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl From<Malformed> for Over {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// What became of the bytes on their way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing that anybody waits for.
    Steady,
    /// Operations that stopped for want of room may go on.
    Relieved,
}

/// A stream that is open.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the socket's two directions"
)]
pub(crate) struct Stream {
    socket: OwnedFd,
    /// Whether the host has said hello.
    pub(crate) greeted: bool,
    /// Received and not yet understood; out of its place while frames are being handled.
    pub(crate) input: FrameBuffer,
    /// Whether `input` may hold whole frames.
    pub(crate) backlog: bool,
    /// Whether the socket may hold bytes: an edge was seen and the end of it was not.
    readable: bool,
    hung_up: bool,
    out: Vec<u8>,
    sent: usize,
    /// Whether the socket takes no more for now.
    pub(crate) blocked: bool,
    /// Whether its room is being waited for. Only while blocked: each byte the host takes would wake the guest.
    pub(crate) watched: bool,
    /// The most room that an operation has found missing since there was enough, bytes.
    wanted: usize,
    /// Whether something could not be said.
    broken: bool,
}

impl Stream {
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, Errno> {
        descriptor::set_nonblocking(socket.as_fd())?;
        Ok(Self {
            socket,
            greeted: false,
            input: FrameBuffer::new(),
            backlog: false,
            readable: true,
            hung_up: false,
            out: Vec::new(),
            sent: 0,
            blocked: false,
            watched: false,
            wanted: 0,
            broken: false,
        })
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The socket changed.
    pub(crate) fn note(&mut self, event: Event) {
        self.readable |= event.readable;
        self.hung_up |= event.hung_up;
        self.blocked &= !event.writable;
    }

    /// Whether it can go on without waiting.
    pub(crate) fn is_busy(&self) -> bool {
        (self.readable || self.backlog) && !self.is_choked()
    }

    /// Whether the host takes so little that it is not listened to.
    pub(crate) fn is_choked(&self) -> bool {
        self.unsent() >= CHOKED
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Reads once, if there may be something to read.
    ///
    /// # Errors
    /// At the stream's end.
    pub(crate) fn receive(&mut self) -> Result<(), Over> {
        if !self.readable {
            return Ok(());
        }
        let socket = self.socket.as_fd();
        match self.input.fill(|bytes| descriptor::read_onto(socket, bytes, READ)) {
            Ok(0) => Err(Over),
            Ok(count) => {
                // A short read has emptied the socket; but an end already seen will make no further edge.
                self.readable = count == READ || self.hung_up;
                self.backlog = true;
                Ok(())
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                Ok(())
            }
            Err(_) => Err(Over),
        }
    }

    /// Says something that is not about an operation.
    pub(crate) fn say(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>) {
        self.broken |= encode(&mut self.out).is_err();
    }

    /// Says something about an operation.
    pub(crate) fn reply(&mut self, op: u64, reply: &Reply) {
        self.broken |= reply.encode(op, &mut self.out).is_err();
    }

    /// Where an operation puts what it produces.
    pub(crate) fn outlet<'a>(&'a mut self, op: u64, outstanding: &'a mut u32) -> Outlet<'a> {
        let room = FULL.saturating_sub(self.unsent());
        Outlet::new(op, &mut self.out, room, &mut self.wanted, outstanding)
    }

    /// Sends what the host takes.
    ///
    /// # Errors
    /// When the host is gone.
    pub(crate) fn flush(&mut self) -> Result<Flushed, Over> {
        if self.broken {
            return Err(Over);
        }
        while !self.blocked && self.unsent() > 0 {
            match descriptor::write_some(&self.socket, &self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => self.blocked = true,
                Err(_) => return Err(Over),
            }
        }
        self.make_room();
        if self.wanted > 0 && self.unsent() + self.wanted <= FULL {
            self.wanted = 0;
            return Ok(Flushed::Relieved);
        }
        Ok(Flushed::Steady)
    }

    fn make_room(&mut self) {
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.out.shrink_to(KEPT);
        } else if self.sent >= FULL {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}
