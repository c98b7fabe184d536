use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::Step;
use super::session::bytes;
use super::upload::Upload;
use super::wire::refused;
use super::{DirEntry, Metadata, Session, WireError};
use crate::protocol::{Done, Entry, List, Read, RefusalKind, Remove, Request, Write};

/// Bytes of a file that travel with the request to write it. More come as input.
pub(super) const WHOLE: usize = 64 << 10;

/// Bytes read from a caller's reader at once.
const CHUNK: usize = 64 << 10;

/// Permission bits of a file that is written without saying any.
const MODE: u32 = 0o644;

impl Session {
    /// Reads a whole file.
    ///
    /// # Errors
    /// A refusal when there is no such file, or it is larger than the session's `read_limit`.
    pub async fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, WireError> {
        self.read_range(path, ..).await
    }

    /// Reads a part of a file, by byte offsets. Beyond its end there is nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_range(
        &self,
        path: impl AsRef<Path>,
        range: impl RangeBounds<u64>,
    ) -> Result<Vec<u8>, WireError> {
        let (offset, length) = span(&range);
        let limit = self.defaults.read_limit;
        if length.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let asked = length.unwrap_or(limit);
        let mut call = self.call(self.read_request(path, offset, Some(asked)))?;
        let mut content = Vec::new();
        loop {
            match self.next(call.as_mut()).await? {
                Step::Data(_, data) if (content.len() + data.len()) as u64 > asked => {
                    return Err(self.nonsense("more of the file than asked for"));
                }
                Step::Data(_, data) if content.is_empty() => content = data,
                Step::Data(_, data) => content.extend_from_slice(&data),
                Step::Done(Done::Read { size }) => {
                    let whole = length.is_some() || size.saturating_sub(offset) <= limit;
                    return if whole { Ok(content) } else { Err(too_large(limit)) };
                }
                Step::Done(_) => return Err(self.nonsense("not how a read ends")),
            }
        }
    }

    /// Reads a whole file of any size into `writer`, in bounded memory. Answers how many bytes it had. Does
    /// not shut the writer down.
    ///
    /// # Errors
    /// As [`read`](Self::read), without the limit; [`WireError::Caller`] when the writer fails.
    pub async fn read_to(
        &self,
        path: impl AsRef<Path>,
        mut writer: impl AsyncWrite + Unpin,
    ) -> Result<u64, WireError> {
        let mut call = self.call(self.read_request(path, 0, None))?;
        let mut count = 0;
        loop {
            match self.next(call.as_mut()).await? {
                Step::Data(_, data) => {
                    writer.write_all(&data).await.map_err(callers)?;
                    count += data.len() as u64;
                }
                Step::Done(Done::Read { .. }) => break,
                Step::Done(_) => return Err(self.nonsense("not how a read ends")),
            }
        }
        writer.flush().await.map_err(callers)?;
        Ok(count)
    }

    /// Writes a file with mode 0644, replacing what is there in one step: nobody ever reads half of it.
    /// Missing parents are made.
    ///
    /// # Errors
    /// A refusal when it can't be written; what was there is then untouched.
    pub async fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<(), WireError> {
        self.write_mode(path, content, MODE).await
    }

    /// As [`write`](Self::write), with permission bits.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_mode(
        &self,
        path: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<(), WireError> {
        let content = content.as_ref();
        let (first, rest) = content.split_at(content.len().min(WHOLE));
        let complete = rest.is_empty();
        let mut upload =
            Upload::start(self, self.write_request(bytes(path), mode, first.to_vec(), complete))?;
        if complete {
            return upload.wait().await;
        }
        upload.give(rest).await?;
        upload.finish().await
    }

    /// As [`write`](Self::write), with content of any size from `reader`, in bounded memory. Answers how many
    /// bytes it had.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`WireError::Caller`] when the reader fails, and then nothing is written.
    pub async fn write_from(
        &self,
        path: impl AsRef<Path>,
        mut reader: impl AsyncRead + Unpin,
    ) -> Result<u64, WireError> {
        let mut upload = Upload::start(self, self.write_request(bytes(path), MODE, Vec::new(), false))?;
        let mut chunk = vec![0; CHUNK];
        let mut count = 0;
        loop {
            match reader.read(&mut chunk).await.map_err(callers)? {
                0 => break,
                read => {
                    upload.give(&chunk[..read]).await?;
                    count += read as u64;
                }
            }
        }
        upload.finish().await?;
        Ok(count)
    }

    /// Lists a directory, in no order.
    ///
    /// # Errors
    /// A refusal when there is no such directory, or its listing is larger than the session's `read_limit`.
    pub async fn list(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, WireError> {
        self.entries(path, false).await
    }

    /// Lists a directory and all below it, a directory before what is in it. Symbolic links are not followed.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn walk(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, WireError> {
        self.entries(path, true).await
    }

    /// Describes a path.
    ///
    /// # Errors
    /// A refusal when there is nothing there.
    pub async fn stat(&self, path: impl AsRef<Path>) -> Result<Metadata, WireError> {
        match self.ask(Request::Stat { epoch: self.epoch.0, path: bytes(path) }).await? {
            Done::Stat(stat) => Ok(stat.into()),
            _ => Err(self.nonsense("not the answer to a stat")),
        }
    }

    /// Whether there is anything at a path; a symbolic link counts wherever it points.
    ///
    /// # Errors
    /// A refusal when that can't be found out.
    pub async fn exists(&self, path: impl AsRef<Path>) -> Result<bool, WireError> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.refusal() == Some(RefusalKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a file, a symbolic link or an empty directory.
    ///
    /// # Errors
    /// A refusal when there is nothing there, or it can't be removed.
    pub async fn remove(&self, path: impl AsRef<Path>) -> Result<(), WireError> {
        self.tell(self.remove_request(path, false)).await
    }

    /// Removes a path and all below it. Symbolic links are removed, not followed.
    ///
    /// # Errors
    /// As [`remove`](Self::remove); a part may be gone then.
    pub async fn remove_all(&self, path: impl AsRef<Path>) -> Result<(), WireError> {
        self.tell(self.remove_request(path, true)).await
    }

    /// Makes a directory with mode 0755, and its missing parents. One that is there already is no error.
    ///
    /// # Errors
    /// A refusal when it can't be made.
    pub async fn make_dir(&self, path: impl AsRef<Path>) -> Result<(), WireError> {
        self.tell(Request::MakeDir { epoch: self.epoch.0, path: bytes(path), mode: 0o755 }).await
    }

    /// Makes `link` a symbolic link to `target`, replacing a file or link that is in the way.
    ///
    /// # Errors
    /// A refusal when it can't be made.
    pub async fn symlink(&self, target: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<(), WireError> {
        self.tell(Request::Link { epoch: self.epoch.0, path: bytes(link), target: bytes(target) }).await
    }

    pub(super) fn read_request(&self, path: impl AsRef<Path>, offset: u64, length: Option<u64>) -> Request {
        Request::Read(Read { epoch: self.epoch.0, path: bytes(path), offset, length })
    }

    pub(super) fn write_request(&self, path: Vec<u8>, mode: u32, data: Vec<u8>, complete: bool) -> Request {
        Request::Write(Write { epoch: self.epoch.0, path, mode, data, complete })
    }

    pub(super) fn list_request(&self, path: impl AsRef<Path>, recursive: bool) -> Request {
        Request::List(List { epoch: self.epoch.0, path: bytes(path), recursive })
    }

    fn remove_request(&self, path: impl AsRef<Path>, recursive: bool) -> Request {
        Request::Remove(Remove { epoch: self.epoch.0, path: bytes(path), recursive })
    }

    async fn entries(&self, path: impl AsRef<Path>, recursive: bool) -> Result<Vec<DirEntry>, WireError> {
        let mut call = self.call(self.list_request(path, recursive))?;
        let mut entries = Vec::new();
        let mut held = 0;
        loop {
            match self.next(call.as_mut()).await? {
                Step::Data(_, data) => {
                    held += data.len() as u64;
                    if held > self.defaults.read_limit {
                        return Err(too_large(self.defaults.read_limit));
                    }
                    entries.append(&mut self.decode_entries(&data)?);
                }
                Step::Done(Done::Unit) => return Ok(entries),
                Step::Done(_) => return Err(self.nonsense("not how a listing ends")),
            }
        }
    }

    pub(super) fn decode_entries(&self, data: &[u8]) -> Result<Vec<DirEntry>, WireError> {
        let entries =
            Entry::decode_all(data).and_then(|all| all.into_iter().map(DirEntry::try_from).collect());
        self.seen(entries.map_err(WireError::from))
    }
}

/// An error of a stream that the caller handed in.
pub(super) fn callers(error: io::Error) -> WireError {
    WireError::Caller(Arc::new(error))
}

fn too_large(limit: u64) -> WireError {
    refused(RefusalKind::Exhausted, format!("larger than the {limit} bytes that may be read at once"))
}

/// A range as an offset and a length.
fn span(range: &impl RangeBounds<u64>) -> (u64, Option<u64>) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let length = match range.end_bound() {
        Bound::Included(&end) => Some(end.saturating_add(1).saturating_sub(start)),
        Bound::Excluded(&end) => Some(end.saturating_sub(start)),
        Bound::Unbounded => None,
    };
    (start, length)
}
