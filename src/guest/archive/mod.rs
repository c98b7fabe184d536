//! Directories in and out of a runtime as tar streams, in bounded memory: members are cut and made here, block by
//! block, and only their headers are left to the `tar` crate.

mod copy_out;
mod member;
mod pack;
mod unpack;

pub use copy_out::CopyOut;

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};

use self::pack::Pack;
use self::unpack::Unpack;
use super::{Session, WireError};

/// A tar stream is made of blocks of this size.
const BLOCK: usize = 512;

/// Requests under way at once. The guest answers them in order, so this only hides the way there and back.
const AT_ONCE: usize = 32;

impl Session {
    /// Unpacks a tar stream (ustar, GNU or pax) below a directory, which is made if need be. Answers how many
    /// members it had. Reads up to the end-of-archive mark and no further.
    ///
    /// Carries files, directories and symbolic links with their permission bits, and hard links as copies;
    /// times and owners are the runtime's own. Directories stay writable by their owner. What is there already
    /// is replaced, file by file.
    ///
    /// Dropped before its end, it has unpacked a part.
    ///
    /// # Errors
    /// A refusal when a member can't be written; [`WireError::Caller`] when the reader fails, or what it brings is
    /// not such a stream: cut short, damaged, or with a member that is absolute, leads out of the directory or
    /// through a link of the same stream, or is a device, a pipe or sparse. What came before is unpacked then.
    pub async fn copy_in(
        &self,
        dir: impl AsRef<Path>,
        tar: impl AsyncRead + Unpin,
    ) -> Result<u64, WireError> {
        Unpack::new(self, dir.as_ref()).run(tar).await
    }

    /// Packs a directory and all below it into a tar stream (GNU). Symbolic links are carried, not followed;
    /// devices, pipes and sockets are left out, and so is what vanishes meanwhile.
    ///
    /// # Errors
    /// Told by the reader: an [`io::Error`] with the [`WireError`] inside.
    pub fn copy_out(&self, dir: impl AsRef<Path>) -> CopyOut {
        CopyOut::new(self.clone(), dir.as_ref().to_owned())
    }

    /// As [`copy_out`](Self::copy_out), into a writer, which is flushed and not shut down. Answers how many
    /// members there were.
    ///
    /// # Errors
    /// A refusal when something can't be read, or a file became shorter meanwhile; [`WireError::Caller`] when
    /// the writer fails.
    pub async fn copy_out_to(
        &self,
        dir: impl AsRef<Path>,
        writer: impl AsyncWrite + Unpin,
    ) -> Result<u64, WireError> {
        Pack::new(self, writer).run(dir.as_ref()).await
    }
}

/// A stream that is not what [`Session::copy_in`] takes.
fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Bytes from the end of `size` bytes to the end of their last block.
fn padding(size: u64) -> usize {
    // Less than a block, so it fits.
    usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or_default()
}
