use std::os::fd::{AsFd, OwnedFd};

use crate::outlet::Outlet;
use crate::progress::Progress;
use crate::protocol::{Done, Read, Refusal, RefusalKind, Stream};
use crate::refusal;
use crate::sys::file::{self, Kind, open};
use crate::sys::{Errno, descriptor};

use super::Tree;

const SLICE: u64 = 64 << 10;

/// Reads a file, up to the size it had when it was opened.
#[derive(Debug)]
pub(crate) struct Reading {
    file: OwnedFd,
    size: u64,
    at: u64,
    end: u64,
}

impl Reading {
    pub(crate) fn new(tree: &Tree, request: &Read) -> Result<Self, Refusal> {
        // Not blocking, so that a pipe without a writer is seen to be one instead of waited for.
        let flags = open::READ | open::NON_BLOCKING | open::NO_TERMINAL;
        let file = tree.open("read", &request.path, flags)?;
        let status =
            file::status(file.as_fd()).map_err(|errno| refusal::system("read", &request.path, errno))?;
        match status.kind {
            Kind::File => {}
            Kind::Directory => return Err(refusal::system("read", &request.path, Errno::ISDIR)),
            Kind::Symlink | Kind::Other => {
                return Err(refusal::rule(RefusalKind::WrongKind, "read: not a regular file"));
            }
        }
        let end = request.length.map_or(u64::MAX, |length| request.offset.saturating_add(length));
        Ok(Self { file, size: status.size, at: request.offset, end: end.min(status.size) })
    }

    pub(crate) fn advance(&mut self, outlet: &mut Outlet<'_>) -> Progress {
        while self.at < self.end {
            if !outlet.has_room(1) {
                return Progress::Waiting;
            }
            let most = (self.end - self.at).min(SLICE).min(outlet.room() as u64) as usize;
            let read = outlet
                .data(Stream::Out, |out| descriptor::read_onto_at(self.file.as_fd(), out, most, self.at));
            match read {
                // It has shrunk.
                Ok(0) => break,
                Ok(count) => self.at += count as u64,
                Err(errno) => return Progress::Ended(Err(refusal::system("read", b"", errno))),
            }
            if self.at < self.end {
                return Progress::More;
            }
        }
        Progress::Ended(Ok(Done::Read { size: self.size }))
    }
}
