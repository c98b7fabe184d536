use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use tar::EntryType;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::member::write_header;
use super::{AT_ONCE, BLOCK, padding};
use crate::guest::files::callers;
use crate::guest::reply::Step;
use crate::guest::wire::refused;
use crate::guest::{Call, DirEntry, Session, WireError};
use crate::protocol::{Done, FileKind, RefusalKind, WINDOW};

/// Bytes of files that may be read ahead of the one being written.
const AHEAD: u64 = 4 << 20;

/// Bytes gathered before the writer gets them.
const GATHERED: usize = 64 << 10;

/// Packs a directory of the runtime into a tar stream.
#[derive(Debug)]
pub(super) struct Pack<'a, W> {
    session: &'a Session,
    writer: W,
    gathered: Vec<u8>,
    count: u64,
}

/// An entry whose content, if it has any, is on its way.
#[derive(Debug)]
struct Coming {
    entry: DirEntry,
    content: Option<Box<dyn Call>>,
}

impl<'a, W: AsyncWrite + Unpin> Pack<'a, W> {
    pub(super) fn new(session: &'a Session, writer: W) -> Self {
        Self { session, writer, gathered: Vec::new(), count: 0 }
    }

    pub(super) async fn run(mut self, dir: &Path) -> Result<u64, WireError> {
        let mut listing = self.session.call(self.session.list_request(dir, true))?;
        loop {
            match self.session.next(listing.as_mut()).await? {
                Step::Data(_, data) => self.entries(dir, self.session.decode_entries(&data)?).await?,
                Step::Done(Done::Unit) => break,
                Step::Done(_) => return Err(self.session.nonsense("not how a listing ends")),
            }
        }
        self.gathered.resize(self.gathered.len() + 2 * BLOCK, 0);
        self.hand_over(0).await?;
        self.writer.flush().await.map_err(callers)?;
        Ok(self.count)
    }

    async fn entries(&mut self, dir: &Path, entries: Vec<DirEntry>) -> Result<(), WireError> {
        let mut entries = entries.into_iter().peekable();
        let mut coming: VecDeque<Coming> = VecDeque::new();
        let mut ahead = 0;
        loop {
            while coming.len() < AT_ONCE
                && let Some(entry) =
                    entries.next_if(|entry| coming.is_empty() || ahead + held(entry) <= AHEAD)
            {
                ahead += held(&entry);
                coming.push_back(self.fetch(dir, entry)?);
            }
            let Some(Coming { entry, content }) = coming.pop_front() else {
                return Ok(());
            };
            ahead -= held(&entry);
            match content {
                Some(call) => self.file(&entry, call).await?,
                None => self.header(&entry),
            }
            self.hand_over(GATHERED).await?;
        }
    }

    fn fetch(&self, dir: &Path, entry: DirEntry) -> Result<Coming, WireError> {
        let content = if entry.metadata.is_file() {
            let request = self.session.read_request(dir.join(&entry.path), 0, Some(entry.metadata.len));
            Some(self.session.call(request)?)
        } else {
            None
        };
        Ok(Coming { entry, content })
    }

    async fn file(&mut self, entry: &DirEntry, mut call: Box<dyn Call>) -> Result<(), WireError> {
        let size = entry.metadata.len;
        let mut next = match self.session.next(call.as_mut()).await {
            // It was there when the directory was listed.
            Err(error) if error.refusal() == Some(RefusalKind::NotFound) => return Ok(()),
            next => next?,
        };
        self.header(entry);
        let mut count = 0;
        loop {
            match next {
                Step::Data(_, data) => {
                    count += data.len() as u64;
                    if count > size {
                        return Err(self.session.nonsense("more of the file than asked for"));
                    }
                    self.gathered.extend_from_slice(&data);
                    self.hand_over(GATHERED).await?;
                }
                Step::Done(Done::Read { .. }) => break,
                Step::Done(_) => return Err(self.session.nonsense("not how a read ends")),
            }
            next = self.session.next(call.as_mut()).await?;
        }
        if count < size {
            let what = format!("{}: became shorter while it was read", entry.path.display());
            return Err(refused(RefusalKind::Failed, what));
        }
        self.gathered.resize(self.gathered.len() + padding(size), 0);
        Ok(())
    }

    fn header(&mut self, entry: &DirEntry) {
        let metadata = &entry.metadata;
        let (kind, size) = match metadata.kind {
            FileKind::File => (EntryType::Regular, metadata.len),
            FileKind::Directory => (EntryType::Directory, 0),
            FileKind::Symlink => (EntryType::Symlink, 0),
            FileKind::Other => return,
        };
        let target = metadata.target.as_deref().map_or(&b""[..], |target| target.as_os_str().as_bytes());
        let modified = metadata.modified.duration_since(SystemTime::UNIX_EPOCH);
        let modified = modified.map_or(0, |since| since.as_secs());
        write_header(&mut self.gathered, kind, &entry.path, target, (size, metadata.mode, modified));
        self.count += 1;
    }

    /// Gives the writer what was gathered, if it is more than so many bytes.
    async fn hand_over(&mut self, least: usize) -> Result<(), WireError> {
        if self.gathered.len() > least {
            self.writer.write_all(&self.gathered).await.map_err(callers)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

/// Bytes an entry's content may hold in memory while it waits.
fn held(entry: &DirEntry) -> u64 {
    if entry.metadata.is_file() { entry.metadata.len.min(u64::from(WINDOW)) } else { 0 }
}
