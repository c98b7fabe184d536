use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// Bytes that may wait for the socket before new requests and input have to wait themselves.
const ROOM: usize = 256 << 10;

/// What has been said but not yet taken by the socket.
///
/// Bounded: a request beyond [`ROOM`] waits in `backlog`, which lives and dies with its call; input waits with
/// its writer. Only the few bytes that end or credit an operation always go in, and there is at most one such
/// frame for each that was sent or received before.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// Requests that found no room, as frames, oldest first.
    backlog: BTreeMap<u64, Vec<u8>>,
    /// Operations whose input found no room.
    starved: BTreeSet<u64>,
}

/// How far a flush came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All is with the socket.
    All,
    /// The socket is full.
    Part,
}

impl Outbox {
    pub(super) fn has_room(&self) -> bool {
        self.waiting() < ROOM && self.backlog.is_empty()
    }

    /// Whether the socket has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.backlog.is_empty()
    }

    /// Where a frame of any size may be appended, when there is room.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Where a short frame about `op` goes: after its request, wherever that is.
    pub(super) fn about(&mut self, op: u64) -> &mut Vec<u8> {
        self.backlog.get_mut(&op).unwrap_or(&mut self.bytes)
    }

    /// Whether a frame about `op` that a caller may repeat without end still fits.
    pub(super) fn takes_more_about(&self, op: u64) -> bool {
        self.backlog.get(&op).map_or(self.waiting(), Vec::len) < 2 * ROOM
    }

    pub(super) fn put_off(&mut self, op: u64, frame: Vec<u8>) {
        self.backlog.insert(op, frame);
    }

    /// Whether the request of `op` has not been sent at all; it is then forgotten.
    pub(super) fn withdraw(&mut self, op: u64) -> bool {
        self.starved.remove(&op);
        self.backlog.remove(&op).is_some()
    }

    /// Remembers that `op` waits for room.
    pub(super) fn starve(&mut self, op: u64) {
        self.starved.insert(op);
    }

    /// Those that waited for room, once there is some again.
    pub(super) fn fed(&mut self) -> BTreeSet<u64> {
        if self.has_room() { std::mem::take(&mut self.starved) } else { BTreeSet::new() }
    }

    /// Gives the socket what it takes.
    pub(super) fn flush(&mut self, stream: &UnixStream) -> io::Result<Flushed> {
        loop {
            while self.sent < self.bytes.len() {
                match send(stream, &self.bytes[self.sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                    Ok(count) => self.sent += count,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        if self.sent >= ROOM {
                            self.compact();
                        }
                        self.refill();
                        return Ok(Flushed::Part);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            self.bytes.clear();
            self.sent = 0;
            self.refill();
            if self.bytes.is_empty() {
                return Ok(Flushed::All);
            }
        }
    }

    /// Gives back memory between leases.
    pub(super) fn shrink(&mut self) {
        self.compact();
        self.bytes.shrink_to_fit();
    }

    fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn refill(&mut self) {
        while self.waiting() < ROOM {
            let Some((_, frame)) = self.backlog.pop_first() else { return };
            self.compact();
            self.bytes.extend_from_slice(&frame);
        }
    }

    fn compact(&mut self) {
        self.bytes.drain(..self.sent);
        self.sent = 0;
    }
}
