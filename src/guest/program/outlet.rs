use std::os::fd::BorrowedFd;

use crate::protocol::{Refusal, RefusalKind, Reply, Stream, WINDOW};
use crate::refusal;
use crate::sys::{Errno, descriptor};

/// Where an operation puts what it produces: its stream, as far as that and its own window have room.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    op: u64,
    out: &'a mut Vec<u8>,
    /// Bytes the stream still takes.
    room: usize,
    /// Bytes of room that are waited for.
    wanted: &'a mut usize,
    outstanding: &'a mut u32,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(
        op: u64,
        out: &'a mut Vec<u8>,
        room: usize,
        wanted: &'a mut usize,
        outstanding: &'a mut u32,
    ) -> Self {
        Self { op, out, room, wanted, outstanding }
    }

    /// Bytes that may be produced now.
    pub(crate) fn room(&self) -> usize {
        self.room.min(WINDOW.saturating_sub(*self.outstanding) as usize)
    }

    /// Whether so many bytes may be produced now, no more than a stream takes at once. When not, the operation goes on
    /// as soon as they may.
    pub(crate) fn has_room(&mut self, bytes: usize) -> bool {
        if self.room < bytes {
            *self.wanted = bytes.max(*self.wanted);
        }
        // The window is the host's to open, and it does.
        self.room() >= bytes
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
            .map_err(|malformed| refusal::rule(RefusalKind::Failed, malformed.0))
    }
}
