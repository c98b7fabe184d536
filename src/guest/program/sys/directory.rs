//! What is in a directory, a piece at a time.

use std::ffi::{CStr, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::errno::{Result, check, check_size};

/// Small, so that coming back to a directory re-reads little.
const ROOM: usize = 8 << 10;
const SEEK_SET: c_int = 0;
const DT_DIRECTORY: u8 = 4;
/// Bytes of a record before its name: inode, position, length, kind.
const FIXED: usize = 19;

unsafe extern "C" {
    fn getdents64(fd: RawFd, out: *mut c_void, room: usize) -> isize;
    fn lseek64(fd: RawFd, offset: i64, from: c_int) -> i64;
}

/// One name in a directory.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) name: &'a CStr,
    /// Where the next one is.
    pub(crate) next: i64,
    /// Whether the file system says that it is a directory; some don't say.
    pub(crate) directory: bool,
}

/// A reader's place in a directory.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    at: usize,
}

impl Records {
    /// The next name, without `.` and `..`; `None` at the end.
    pub(crate) fn next(&mut self, directory: BorrowedFd<'_>) -> Result<Option<Record<'_>>> {
        loop {
            if self.at >= self.bytes.len() {
                self.refill(directory)?;
                if self.bytes.is_empty() {
                    return Ok(None);
                }
            }
            let start = self.at;
            let Some(length) = record_length(&self.bytes[start..]) else {
                return Ok(None);
            };
            self.at = start + length;
            if !matches!(name(&self.bytes[start..start + length]), Some(b"." | b"..") | None) {
                return Ok(record(&self.bytes[start..start + length]));
            }
        }
    }

    /// Starts anew at a position a record gave, 0 being the first.
    pub(crate) fn seek(&mut self, directory: BorrowedFd<'_>, position: i64) -> Result<()> {
        self.bytes.clear();
        self.at = 0;
        // SAFETY: takes plain numbers.
        check(i32::from(unsafe { lseek64(directory.as_raw_fd(), position, SEEK_SET) } >= 0) - 1).map(drop)
    }

    fn refill(&mut self, directory: BorrowedFd<'_>) -> Result<()> {
        self.at = 0;
        self.bytes.clear();
        self.bytes.reserve(ROOM);
        // SAFETY: the vector has at least that much spare room.
        let count =
            check_size(unsafe { getdents64(directory.as_raw_fd(), self.bytes.as_mut_ptr().cast(), ROOM) })?;
        // SAFETY: the kernel filled the first `count` bytes.
        unsafe { self.bytes.set_len(count) };
        Ok(())
    }
}

fn record_length(bytes: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?));
    (length > FIXED && length <= bytes.len()).then_some(length)
}

fn name(record: &[u8]) -> Option<&[u8]> {
    CStr::from_bytes_until_nul(record.get(FIXED..)?).ok().map(CStr::to_bytes)
}

fn record(bytes: &[u8]) -> Option<Record<'_>> {
    Some(Record {
        name: CStr::from_bytes_until_nul(bytes.get(FIXED..)?).ok()?,
        next: i64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?),
        directory: bytes.get(18) == Some(&DT_DIRECTORY),
    })
}
