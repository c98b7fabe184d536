use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use crate::outlet::Outlet;
use crate::progress::Progress;
use crate::protocol::{Done, Entry, List, Refusal, Stream};
use crate::refusal;
use crate::sys::Errno;
use crate::sys::directory::Records;
use crate::sys::file::{self, Kind, open, resolve};

use super::{Tree, described};

/// Entries looked at per slice.
const SLICE: usize = 128;

/// Bytes of entries from which on they are sent.
const BATCH: usize = 32 << 10;

/// Directories held open on the way down; those above are opened again on the way up.
const OPEN: usize = 16;

/// The longest path the kernel takes, and with it the deepest that is looked into.
const PATH_MAX: usize = 4096;

/// What a child directory is opened with: itself, never through a link, and on the same file system.
const STAY: u64 = resolve::BENEATH | resolve::NO_LINKS | resolve::NO_MOUNTS;
const DIRECTORY: u64 = open::READ | open::DIRECTORY | open::NO_FOLLOW;

/// Lists a directory, or a tree from the top down. What it holds does not grow with the tree: a level is a
/// position to come back to.
#[derive(Debug)]
pub(crate) struct Listing {
    root: OwnedFd,
    recursive: bool,
    /// Of the directory being listed, relative to the root.
    path: Vec<u8>,
    levels: Vec<Level>,
    batch: Vec<u8>,
}

#[derive(Debug)]
struct Level {
    open: Option<(OwnedFd, Records)>,
    /// Where to go on when it has been closed meanwhile.
    resume: i64,
    /// Bytes of `path` that are its own.
    length: usize,
}

impl Listing {
    pub(crate) fn new(tree: &Tree, request: &List) -> Result<Self, Refusal> {
        let root = tree.open("list", &request.path, open::READ | open::DIRECTORY)?;
        let levels = vec![Level { open: None, resume: 0, length: 0 }];
        Ok(Self { root, recursive: request.recursive, path: Vec::new(), levels, batch: Vec::new() })
    }

    pub(crate) fn advance(&mut self, outlet: &mut Outlet<'_>) -> Progress {
        for _ in 0..SLICE {
            if self.batch.len() >= BATCH && !self.send(outlet) {
                return Progress::Waiting;
            }
            match self.step() {
                Ok(()) if self.levels.is_empty() => {
                    let sent = self.send(outlet);
                    return if sent { Progress::Ended(Ok(Done::Unit)) } else { Progress::Waiting };
                }
                Ok(()) => {}
                Err(errno) => return Progress::Ended(Err(refusal::system("list", &self.path, errno))),
            }
        }
        Progress::More
    }

    /// Answers whether there was room.
    fn send(&mut self, outlet: &mut Outlet<'_>) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        if !outlet.has_room(self.batch.len()) {
            return false;
        }
        let batch = &mut self.batch;
        let length = batch.len();
        outlet
            .data(Stream::Out, |out| {
                out.append(batch);
                Ok(length)
            })
            .is_ok()
    }

    /// Takes the next entry of the deepest level, or leaves that level.
    fn step(&mut self) -> Result<(), Errno> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        self.path.truncate(level.length);
        let (directory, records) = match &mut level.open {
            Some(open) => open,
            closed @ None => match reopen(&self.root, &self.path, level.resume) {
                Ok(open) => closed.insert(open),
                // Somebody removed it or put something else there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if level.length > 0 => {
                    self.levels.pop();
                    return Ok(());
                }
                Err(errno) => return Err(errno),
            },
        };
        let Some(record) = records.next(directory.as_fd())? else {
            self.levels.pop();
            return Ok(());
        };
        level.resume = record.next;
        let name = record.name.to_owned();
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        if self.path.len() >= PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let status = match file::status_at(directory.as_fd(), &name) {
            Err(Errno::NOENT) => return Ok(()),
            status => status?,
        };
        let target = match status.kind {
            Kind::Symlink => file::read_link(directory.as_fd(), &name).unwrap_or_default(),
            _ => Vec::new(),
        };
        Entry { path: self.path.clone(), stat: described(status, target) }.encode(&mut self.batch);
        if self.recursive && status.kind == Kind::Directory {
            match file::open_at(Some(directory.as_fd()), &name, DIRECTORY, 0, STAY) {
                Ok(child) => self.enter(child),
                // Gone meanwhile, or another file system: listed, not looked into.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn enter(&mut self, child: OwnedFd) {
        let length = self.path.len();
        self.levels.push(Level { open: Some((child, Records::default())), resume: 0, length });
        if let Some(above) = self.levels.len().checked_sub(OPEN + 1)
            && let Some(level) = self.levels.get_mut(above)
        {
            level.open = None;
        }
    }
}

fn reopen(root: &OwnedFd, path: &[u8], resume: i64) -> Result<(OwnedFd, Records), Errno> {
    let path = CString::new(if path.is_empty() { b"." } else { path }).map_err(|_| Errno::INVAL)?;
    let directory = file::open_at(Some(root.as_fd()), &path, DIRECTORY, 0, STAY)?;
    let mut records = Records::default();
    records.seek(directory.as_fd(), resume)?;
    Ok((directory, records))
}
