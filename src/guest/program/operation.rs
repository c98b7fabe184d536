//! What the guest does for the host, a slice at a time.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::exec::Exec;
use crate::files::{Listing, Reading, Removal, Writing};
use crate::protocol::{Done, Refusal, Reply, Stream, WINDOW};
use crate::stream::{Over, Side};
use crate::sys::{Errno, descriptor, signal};

/// An operation that runs.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Which stream it was asked for on.
    pub(crate) side: Side,
    /// The host's number for it.
    pub(crate) id: u64,
    /// Bytes sent that the host has not used up yet.
    pub(crate) outstanding: u32,
    /// Whether it waits for its turn already.
    pub(crate) queued: bool,
    pub(crate) work: Work,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Work {
    Exec(Box<Exec>),
    Read(Reading),
    Write(Writing),
    List(Box<Listing>),
    Remove(Box<Removal>),
}

/// Where an operation stands after a slice of work.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It has more to do at once.
    More,
    /// It waits: for a descriptor, for input, for room.
    Waiting,
    /// It is over.
    Ended(Result<Done, Refusal>),
}

impl Operation {
    pub(crate) fn new(side: Side, id: u64, work: Work) -> Self {
        Self { side, id, outstanding: 0, queued: false, work }
    }

    /// The host has used up some of what was sent. Forged credit widens no window beyond its size.
    pub(crate) fn credit(&mut self, bytes: u32) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }
}

impl Work {
    /// Does one slice.
    pub(crate) fn advance(&mut self, outlet: &mut Outlet<'_>, now: Instant) -> Progress {
        match self {
            Self::Exec(exec) => exec.advance(outlet, now),
            Self::Read(reading) => reading.advance(outlet),
            Self::Write(writing) => writing.advance(outlet),
            Self::List(listing) => listing.advance(outlet),
            Self::Remove(removal) => removal.advance(),
        }
    }

    /// When something happens to it though nothing else does.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Exec(exec) => exec.next_deadline(),
            Self::Read(_) | Self::Write(_) | Self::List(_) | Self::Remove(_) => None,
        }
    }

    /// Takes input from the host.
    ///
    /// # Errors
    /// When it is more than the window allows.
    pub(crate) fn input(&mut self, bytes: &[u8]) -> Result<(), Over> {
        match self {
            Self::Exec(exec) => exec.input(bytes),
            Self::Write(writing) => {
                writing.input(bytes);
                Ok(())
            }
            Self::Read(_) | Self::List(_) | Self::Remove(_) => Err(Over),
        }
    }

    /// Sends a signal to its processes. One that doesn't exist, or comes too late, does nothing.
    pub(crate) fn signal(&self, number: u32) {
        if let (Self::Exec(exec), Ok(number @ 1..=signal::LAST)) = (self, i32::try_from(number)) {
            exec.signal(number);
        }
    }

    /// No more input comes.
    pub(crate) fn end_input(&mut self) {
        match self {
            Self::Exec(exec) => exec.end_input(),
            Self::Write(writing) => writing.end_input(),
            Self::Read(_) | Self::List(_) | Self::Remove(_) => {}
        }
    }
}

/// Where an operation puts what it produces: its stream, as far as that and its own window have room.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    op: u64,
    out: &'a mut Vec<u8>,
    /// Bytes the stream still takes.
    room: usize,
    outstanding: &'a mut u32,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(op: u64, out: &'a mut Vec<u8>, room: usize, outstanding: &'a mut u32) -> Self {
        Self { op, out, room, outstanding }
    }

    /// Bytes that may be produced now.
    pub(crate) fn room(&self) -> usize {
        self.room.min(WINDOW.saturating_sub(*self.outstanding) as usize)
    }

    /// Sends bytes that `fill` appends and counts; nothing when it appends none.
    pub(crate) fn data(
        &mut self,
        stream: Stream,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let start = self.out.len();
        let mut filled = Ok(0);
        let encoded = Reply::encode_data_with(self.op, stream, self.out, |out| filled = fill(out));
        match (filled, encoded) {
            (Ok(count), Ok(())) if count > 0 => {
                self.room = self.room.saturating_sub(count);
                *self.outstanding = self.outstanding.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                Ok(count)
            }
            (Ok(_), Err(_)) => Err(Errno::INVAL),
            (answer, _) => {
                self.out.truncate(start);
                answer
            }
        }
    }

    /// Reads bytes that nobody wants, using the stream's buffer for a moment.
    pub(crate) fn discard(&mut self, from: BorrowedFd<'_>, most: usize) -> Result<usize, Errno> {
        let start = self.out.len();
        let count = descriptor::read_onto(from, self.out, most);
        self.out.truncate(start);
        count
    }

    /// Tells the host how much input was used up.
    pub(crate) fn credit(&mut self, bytes: u32) -> Result<(), Refusal> {
        Reply::Credit(bytes)
            .encode(self.op, self.out)
            .map_err(|malformed| crate::refusal::rule(crate::protocol::RefusalKind::Failed, malformed.0))
    }
}
