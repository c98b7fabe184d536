use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Poll, Waker};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::runtime::Handle;

use super::outbox::{Flushed, Outbox};
use super::reactor::Reactors;
use crate::protocol::FrameBuffer;

/// Bytes asked of the socket at first, and at most once it has shown that it has more.
const CHUNK: usize = 8 << 10;
const CHUNK_MAX: usize = 128 << 10;

/// The stream, the bytes on their way in and out, and the runtimes that tell us when it is ready.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Arc<UnixStream>,
    /// Serves callers that have no tokio runtime of their own.
    home: Handle,
    readiness: Waker,
    reactors: Reactors,
    pub(super) frames: FrameBuffer,
    pub(super) outbox: Outbox,
    chunk: usize,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulled {
    /// So many bytes, and there may be more.
    More(usize),
    /// Nothing is left in the socket.
    Drained,
}

impl Socket {
    pub(super) fn new(stream: UnixStream, home: Handle, readiness: Waker) -> Self {
        Self {
            stream: Arc::new(stream),
            home,
            readiness,
            reactors: Reactors::default(),
            frames: FrameBuffer::new(),
            outbox: Outbox::default(),
            chunk: CHUNK,
        }
    }

    /// Makes sure that a runtime which the caller drives tells us of the socket. Answers whether it had to be
    /// registered; it may then be ready already.
    pub(super) fn engage(&mut self) -> io::Result<bool> {
        let runtime = self.runtime();
        if self.reactors.knows(runtime.id()) {
            return Ok(false);
        }
        // A runtime that is shutting down takes no more registrations; what it still polls is served from home.
        if self.reactors.add(runtime, &self.stream).is_err() && !self.reactors.knows(self.home.id()) {
            self.reactors.add(self.home.clone(), &self.stream)?;
        }
        Ok(true)
    }

    /// Whether there may be bytes to read. If not, the readiness waker is woken when there are.
    pub(super) fn poll_readable(&mut self) -> Poll<()> {
        self.reactors.poll_readable(&self.readiness)
    }

    /// Reads once into `frames`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the guest has closed the stream.
    pub(super) fn pull(&mut self) -> io::Result<Pulled> {
        let Self { stream, frames, chunk, .. } = self;
        let (offered, result) = frames.fill(|bytes| {
            // No more than that and what is left of a frame: most often it is empty, and there is much of it.
            if bytes.capacity() - bytes.len() < *chunk {
                bytes.reserve_exact(*chunk);
            }
            let offered = bytes.capacity() - bytes.len();
            loop {
                match recv(&*stream, spare_capacity(bytes), RecvFlags::DONTWAIT) {
                    Err(Errno::INTR) => {}
                    result => return (offered, result),
                }
            }
        });
        match result {
            Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
            // An edge-triggered socket that gave less than asked for tells us when it has more.
            Ok((count, _)) if count < offered => Ok(Pulled::Drained),
            Ok((count, _)) => {
                *chunk = (*chunk * 2).min(CHUNK_MAX);
                Ok(Pulled::More(count))
            }
            Err(Errno::AGAIN) => Ok(Pulled::Drained),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what waits, as far as the socket takes it; the readiness waker is woken when it takes the rest.
    pub(super) fn push(&mut self) -> io::Result<()> {
        while self.outbox.flush(&self.stream)? == Flushed::Part {
            if self.reactors.poll_writable(&self.stream, &self.readiness)?.is_pending() {
                return Ok(());
            }
        }
        self.reactors.forget_writable();
        Ok(())
    }

    /// The runtime that the caller drives, as far as that can be known.
    pub(super) fn runtime(&self) -> Handle {
        Handle::try_current().unwrap_or_else(|_| self.home.clone())
    }

    /// Lets go of every runtime but home.
    pub(super) fn go_home(&mut self) -> io::Result<()> {
        self.reactors = Reactors::default();
        self.reactors.add(self.home.clone(), &self.stream)
    }

    /// Lets go of every runtime and of spare memory.
    pub(super) fn disengage(&mut self) {
        self.reactors = Reactors::default();
        self.outbox.shrink();
        self.chunk = CHUNK;
        if self.frames.pending() == 0 {
            self.frames = FrameBuffer::new();
        }
    }

    /// Ends the stream for both sides.
    pub(super) fn close(&mut self) {
        self.reactors = Reactors::default();
        self.outbox = Outbox::default();
        self.frames = FrameBuffer::new();
        // It fails only on a stream that the guest has closed.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
