use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use crate::progress::Progress;
use crate::protocol::{Done, Refusal, Remove};
use crate::refusal;
use crate::sys::directory::Records;
use crate::sys::file::{self, open, resolve};
use crate::sys::{Errno, Result as SysResult};

use super::Tree;
use super::tree::Parents;
use super::writing::name_beside;

/// Names removed per slice.
const SLICE: usize = 128;

/// Directories held open. What lies deeper is first moved up to the top, so that no tree is too deep.
const DEEPEST: usize = 32;

const DIRECTORY: u64 = open::READ | open::DIRECTORY | open::NO_FOLLOW;

/// Removes a path, or a tree from the bottom up. Follows no link and leaves no file system.
#[derive(Debug)]
pub(crate) struct Removal {
    scope: Scope,
    levels: Vec<Level>,
}

#[derive(Debug)]
enum Scope {
    Path {
        parent: OwnedFd,
        name: CString,
        recursive: bool,
    },
    /// Everything in the directory that is the first level, which itself stays, but what is kept.
    Contents(Kept),
}

/// What stays in a directory whose contents are removed: paths relative to it.
#[derive(Debug)]
struct Kept(Vec<Vec<u8>>);

/// Whether a name stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Goes,
    /// With all that is in it.
    Stays,
    /// Because something in it does.
    StaysAround,
}

impl Kept {
    fn fate<'a>(&self, path: &(impl Iterator<Item = &'a [u8]> + Clone)) -> Fate {
        let mut fate = Fate::Goes;
        for kept in &self.0 {
            let mut names = kept.split(|byte| *byte == b'/');
            match (path.clone().all(|name| names.next() == Some(name)), names.next()) {
                (true, None) => return Fate::Stays,
                (true, Some(_)) => fate = Fate::StaysAround,
                (false, _) => {}
            }
        }
        fate
    }
}

#[derive(Debug)]
struct Level {
    directory: OwnedFd,
    records: Records,
    /// Its name in the level above.
    name: CString,
    /// Whether this pass found something, so that another is needed to know it empty.
    touched: bool,
    /// Whether the directory stays once it is empty but for what is kept.
    stays: bool,
}

/// Whether there is more to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Taken,
    Last,
}

impl Level {
    fn new(directory: OwnedFd, name: CString) -> Self {
        Self { directory, records: Records::default(), name, touched: false, stays: false }
    }

    fn start_over(&mut self) -> SysResult<Step> {
        self.touched = false;
        self.records.seek(self.directory.as_fd(), 0)?;
        Ok(Step::Taken)
    }
}

impl Removal {
    pub(crate) fn of_path(tree: &Tree, request: &Remove) -> Result<Self, Refusal> {
        let (parent, name) = tree.parent("remove", &request.path, Parents::Expect)?;
        let scope = Scope::Path { parent, name, recursive: request.recursive };
        Ok(Self { scope, levels: Vec::new() })
    }

    /// Everything in a directory, which gets `mode` again, but what lies at or below the paths in `kept`.
    pub(crate) fn of_contents(path: &[u8], mode: u32, kept: &[Vec<u8>]) -> SysResult<Self> {
        let name = CString::new(path).map_err(|_| Errno::INVAL)?;
        let open = || file::open_at(None, &name, DIRECTORY, 0, resolve::NO_LINKS);
        let directory = match open() {
            Err(Errno::ACCES) => {
                let root = file::open_at(None, c"/", open::PATH_ONLY | open::DIRECTORY, 0, 0)?;
                file::set_mode_at(root.as_fd(), &name, mode | 0o700)?;
                open()
            }
            opened => opened,
        }?;
        // One that belongs to somebody else can't be changed, and hasn't been.
        if file::status(directory.as_fd())?.mode != mode {
            file::set_mode(directory.as_fd(), mode)?;
        }
        file::remove_attributes(directory.as_fd())?;
        let below = |kept: &Vec<u8>| kept.strip_prefix(path)?.strip_prefix(b"/").map(<[u8]>::to_vec);
        let scope = Scope::Contents(Kept(kept.iter().filter_map(below).collect()));
        Ok(Self { scope, levels: vec![Level::new(directory, CString::default())] })
    }

    pub(crate) fn advance(&mut self) -> Progress {
        for _ in 0..SLICE {
            match self.step() {
                Ok(Step::Taken) => {}
                Ok(Step::Last) => return Progress::Ended(Ok(Done::Unit)),
                Err(errno) => {
                    let name = self.levels.last().map_or(b"".as_slice(), |level| level.name.to_bytes());
                    return Progress::Ended(Err(refusal::system("remove", name, errno)));
                }
            }
        }
        Progress::More
    }

    fn step(&mut self) -> SysResult<Step> {
        let Some(level) = self.levels.last_mut() else {
            return self.begin();
        };
        let (name, directory) = match level.records.next(level.directory.as_fd())? {
            None => return self.leave(),
            Some(record) => (record.name.to_owned(), record.directory),
        };
        match self.fate(&name) {
            Fate::Stays => return Ok(Step::Taken),
            Fate::StaysAround => return self.go_around(name),
            Fate::Goes if directory => return self.enter(name),
            Fate::Goes => {}
        }
        let Some(level) = self.levels.last_mut() else {
            return Ok(Step::Last);
        };
        level.touched = true;
        let removed = match file::unlink(level.directory.as_fd(), &name) {
            Err(Errno::ACCES) => {
                file::set_mode(level.directory.as_fd(), 0o700)?;
                file::unlink(level.directory.as_fd(), &name)
            }
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(Step::Taken),
            Err(Errno::ISDIR) => self.enter(name),
            Err(errno) => Err(errno),
        }
    }

    fn begin(&mut self) -> SysResult<Step> {
        let Scope::Path { parent, name, recursive } = &self.scope else {
            return Ok(Step::Last);
        };
        match file::unlink(parent.as_fd(), name) {
            Err(Errno::ISDIR) if *recursive => {
                let directory = open_directory(parent, name)?;
                self.levels.push(Level::new(directory, name.clone()));
                Ok(Step::Taken)
            }
            Err(Errno::ISDIR) => file::remove_directory(parent.as_fd(), name).map(|()| Step::Last),
            removed => removed.map(|()| Step::Last),
        }
    }

    /// Whether something in the deepest level stays.
    fn fate(&self, name: &CStr) -> Fate {
        match &self.scope {
            Scope::Contents(kept) if !kept.0.is_empty() => {
                let above = self.levels.iter().skip(1).map(|level| level.name.to_bytes());
                kept.fate(&above.chain([name.to_bytes()]))
            }
            Scope::Contents(_) | Scope::Path { .. } => Fate::Goes,
        }
    }

    /// Goes into a directory that stays.
    fn go_around(&mut self, name: CString) -> SysResult<Step> {
        if let Some(level) = self.levels.last() {
            let stay = resolve::BENEATH | resolve::NO_LINKS | resolve::NO_MOUNTS;
            let directory = file::open_at(Some(level.directory.as_fd()), &name, DIRECTORY, 0, stay)?;
            self.levels.push(Level { stays: true, ..Level::new(directory, name) });
        }
        Ok(Step::Taken)
    }

    /// Goes into a directory below the deepest level, or moves it up when that is deep enough.
    fn enter(&mut self, name: CString) -> SysResult<Step> {
        let deep = self.levels.len() >= DEEPEST;
        let Some((level, above)) = self.levels.split_last_mut() else {
            return Ok(Step::Last);
        };
        level.touched = true;
        if let Some(top) = above.first_mut().filter(|_| deep) {
            top.touched = true;
            let (from, to) = (level.directory.as_fd(), top.directory.as_fd());
            let new = name_beside();
            return match file::rename(from, &name, to, &new) {
                Err(Errno::ACCES) => {
                    file::set_mode_at(from, &name, 0o700)?;
                    file::rename(from, &name, to, &new)
                }
                moved => moved,
            }
            .map(|()| Step::Taken);
        }
        match open_directory(&level.directory, &name) {
            Ok(directory) => self.levels.push(Level::new(directory, name)),
            // Gone or replaced meanwhile; the next pass sees what is there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
        Ok(Step::Taken)
    }

    /// The deepest level has no more names.
    fn leave(&mut self) -> SysResult<Step> {
        let Some((level, above)) = self.levels.split_last_mut() else {
            return Ok(Step::Last);
        };
        if level.stays {
            if level.touched {
                return level.start_over();
            }
            self.levels.pop();
            return Ok(Step::Taken);
        }
        let (parent, last) = match (above.last(), &self.scope) {
            (Some(above), _) => (above.directory.as_fd(), false),
            (None, Scope::Path { parent, .. }) => (parent.as_fd(), true),
            (None, Scope::Contents(_)) if level.touched => return level.start_over(),
            (None, Scope::Contents(_)) => return Ok(Step::Last),
        };
        match file::remove_directory(parent, &level.name) {
            Ok(()) | Err(Errno::NOENT) => {
                self.levels.pop();
                Ok(if last { Step::Last } else { Step::Taken })
            }
            Err(Errno::NOTEMPTY) if level.touched => level.start_over(),
            Err(errno) => Err(errno),
        }
    }
}

/// Opens a directory itself; one of the lease's own that it has shut, after opening it up.
fn open_directory(parent: &OwnedFd, name: &CStr) -> SysResult<OwnedFd> {
    let stay = resolve::BENEATH | resolve::NO_LINKS | resolve::NO_MOUNTS;
    let open = || file::open_at(Some(parent.as_fd()), name, DIRECTORY, 0, stay);
    match open() {
        Err(Errno::ACCES) => {
            // Should a link take its place just now, the lease could have changed that file's mode itself.
            file::set_mode_at(parent.as_fd(), name, 0o700)?;
            open()
        }
        Err(Errno::XDEV) => Err(Errno::BUSY),
        opened => opened,
    }
}
