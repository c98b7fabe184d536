use std::ffi::CString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};

use crate::exec::CREDIT_STEP;
use crate::outlet::Outlet;
use crate::progress::Progress;
use crate::protocol::{Done, Refusal, RefusalKind, Write};
use crate::refusal;
use crate::sys::file::{self, open, resolve};
use crate::sys::{Errno, descriptor};

use super::tree::Parents;
use super::{MODE_BITS, Tree};

/// Writes a file: beside its place, then over it in one step. Dropped before, it takes its half-written file
/// with it.
#[derive(Debug)]
pub(crate) struct Writing {
    directory: OwnedFd,
    name: CString,
    mode: u32,
    /// The file beside; `None` once it is in its place.
    beside: Option<CString>,
    file: OwnedFd,
    /// Bytes used up that the host has not been told of.
    used: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// More input may come.
    Open,
    /// All input is written.
    Complete,
    Failed(Refusal),
}

impl Writing {
    /// Opens the file beside and writes what came with the request.
    pub(crate) fn new(tree: &Tree, request: &Write) -> Result<Self, Refusal> {
        if request.mode & !MODE_BITS != 0 {
            return Err(refusal::rule(RefusalKind::Invalid, "write: the mode has more than permission bits"));
        }
        let (directory, name) = tree.parent("write", &request.path, Parents::Make)?;
        let (beside, file) =
            create_beside(&directory).map_err(|e| refusal::system("write", &request.path, e))?;
        let mode = request.mode;
        let state = State::Open;
        let mut writing = Self { directory, name, mode, beside: Some(beside), file, used: 0, state };
        writing.write(&request.data);
        if request.complete {
            writing.end_input();
        }
        Ok(writing)
    }

    /// Takes more; what comes after the end or a failure is dropped.
    pub(crate) fn input(&mut self, bytes: &[u8]) {
        self.write(bytes);
        // A frame is far smaller than four gigabytes.
        self.used = self.used.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn end_input(&mut self) {
        if matches!(self.state, State::Open) {
            self.state = match self.put_in_place() {
                Ok(()) => State::Complete,
                Err(errno) => State::Failed(refusal::system("write", self.name.to_bytes(), errno)),
            };
        }
    }

    pub(crate) fn advance(&mut self, outlet: &mut Outlet<'_>) -> Progress {
        match std::mem::replace(&mut self.state, State::Open) {
            State::Complete => return Progress::Ended(Ok(Done::Unit)),
            State::Failed(refusal) => return Progress::Ended(Err(refusal)),
            State::Open => {}
        }
        if self.used >= CREDIT_STEP
            && let Err(refusal) = outlet.credit(std::mem::take(&mut self.used))
        {
            return Progress::Ended(Err(refusal));
        }
        Progress::Waiting
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && matches!(self.state, State::Open) {
            match descriptor::write_some(&self.file, bytes) {
                Ok(count) if count > 0 => bytes = &bytes[count..],
                Ok(_) => self.fail(Errno::NOSPC),
                Err(errno) => self.fail(errno),
            }
        }
    }

    fn fail(&mut self, errno: Errno) {
        self.state = State::Failed(refusal::system("write", self.name.to_bytes(), errno));
    }

    fn put_in_place(&mut self) -> Result<(), Errno> {
        file::set_mode(self.file.as_fd(), self.mode)?;
        if let Some(beside) = &self.beside {
            file::rename(self.directory.as_fd(), beside, self.directory.as_fd(), &self.name)?;
            self.beside = None;
        }
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // It may be gone already, and nobody is left to tell.
            let _gone = file::unlink(self.directory.as_fd(), beside);
        }
    }
}

fn create_beside(directory: &OwnedFd) -> Result<(CString, OwnedFd), Errno> {
    let flags = open::WRITE | open::CREATE_NEW | open::NO_FOLLOW;
    let mut tries = 0;
    loop {
        let name = name_beside();
        match file::open_at(Some(directory.as_fd()), &name, flags, 0o600, resolve::BENEATH) {
            Ok(file) => return Ok((name, file)),
            Err(Errno::EXIST) if tries < 8 => tries += 1,
            Err(errno) => return Err(errno),
        }
    }
}

/// A name nobody uses, short whatever the file's own.
pub(super) fn name_beside() -> CString {
    let random = RandomState::new().build_hasher().finish();
    CString::new(format!(".ostler-{random:016x}")).unwrap_or_default()
}
