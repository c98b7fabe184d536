use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use tokio::io::AsyncRead;

use super::member::{Content, Member, Members};
use super::{AT_ONCE, damaged};
use crate::guest::files::{WHOLE, callers};
use crate::guest::reply::Step;
use crate::guest::session::bytes;
use crate::guest::upload::Upload;
use crate::guest::{Session, WireError};
use crate::protocol::{Done, Request};

/// Symbolic links remembered, so that nothing goes through them.
const LINKS: usize = 1 << 16;

/// Writes the members of a tar stream below a directory of the runtime.
///
/// Small members are sent without waiting for the answer to the one before. The guest does them in order, so
/// it makes no difference but in time.
#[derive(Debug)]
pub(super) struct Unpack<'a> {
    session: &'a Session,
    dir: &'a Path,
    links: HashSet<PathBuf>,
    /// Oldest first.
    under_way: VecDeque<Upload<'a>>,
}

impl<'a> Unpack<'a> {
    pub(super) fn new(session: &'a Session, dir: &'a Path) -> Self {
        Self { session, dir, links: HashSet::new(), under_way: VecDeque::new() }
    }

    pub(super) async fn run(mut self, tar: impl AsyncRead + Unpin) -> Result<u64, WireError> {
        if self.dir.file_name().is_some() {
            self.session.make_dir(self.dir).await?;
        }
        let mut members = Members::new(tar);
        let mut count = 0;
        while let Some(member) = members.next().await.map_err(callers)? {
            count += 1;
            self.make(member, &mut members).await?;
        }
        self.settle(0).await?;
        Ok(count)
    }

    async fn make<R: AsyncRead + Unpin>(
        &mut self,
        member: Member,
        members: &mut Members<R>,
    ) -> Result<(), WireError> {
        let Member { path, mode, content } = member;
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        if path.ancestors().skip(1).any(|above| self.links.contains(above)) {
            let what = format!("{}: goes through a link of the same archive", path.display());
            return Err(callers(damaged(what)));
        }
        let (epoch, place) = (self.session.epoch.0, bytes(self.dir.join(&path)));
        match content {
            // Its files are still to come, and must find it writable.
            Content::Directory => {
                self.start(Request::MakeDir { epoch, path: place, mode: mode | 0o700 }).await
            }
            Content::Symlink(target) => {
                self.links.insert(path);
                if self.links.len() > LINKS {
                    return Err(callers(damaged(format!("more than {LINKS} symbolic links"))));
                }
                self.start(Request::Link { epoch, path: place, target }).await
            }
            Content::File(size) => {
                self.links.remove(&path);
                self.file(place, mode, size, members).await
            }
            Content::HardLink(target) => {
                self.links.remove(&path);
                self.copy(&target, place, mode).await
            }
        }
    }

    async fn file<R: AsyncRead + Unpin>(
        &mut self,
        place: Vec<u8>,
        mode: u32,
        size: u64,
        members: &mut Members<R>,
    ) -> Result<(), WireError> {
        let first = usize::try_from(size).unwrap_or(usize::MAX).min(WHOLE);
        let mut chunk = vec![0; first];
        let mut filled = 0;
        while filled < first {
            filled += members.read(&mut chunk[filled..]).await.map_err(callers)?;
        }
        if size == first as u64 {
            return self.start(self.session.write_request(place, mode, chunk, true)).await;
        }
        let request = self.session.write_request(place, mode, chunk.clone(), false);
        let mut upload = Upload::start(self.session, request)?;
        loop {
            match members.read(&mut chunk).await.map_err(callers)? {
                0 => return upload.finish().await,
                count => upload.give(&chunk[..count]).await?,
            }
        }
    }

    /// The guest makes no hard links, so the second name gets a file of its own.
    async fn copy(&mut self, from: &Path, place: Vec<u8>, mode: u32) -> Result<(), WireError> {
        self.settle(0).await?;
        let from = self.session.read_request(self.dir.join(from), 0, None);
        let mut from = self.session.call(from)?;
        let request = self.session.write_request(place, mode, Vec::new(), false);
        let mut upload = Upload::start(self.session, request)?;
        loop {
            match self.session.next(from.as_mut()).await? {
                Step::Data(_, data) => upload.give(&data).await?,
                Step::Done(Done::Read { .. }) => return upload.finish().await,
                Step::Done(_) => return Err(self.session.nonsense("not how a read ends")),
            }
        }
    }

    async fn start(&mut self, request: Request) -> Result<(), WireError> {
        self.settle(AT_ONCE - 1).await?;
        self.under_way.push_back(Upload::start(self.session, request)?);
        Ok(())
    }

    /// Waits until no more than so many are under way.
    async fn settle(&mut self, most: usize) -> Result<(), WireError> {
        while self.under_way.len() > most {
            if let Some(mut oldest) = self.under_way.pop_front() {
                oldest.wait().await?;
            }
        }
        Ok(())
    }
}
