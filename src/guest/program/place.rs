//! Where the guest lives, as whoever started it tells it.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use crate::confine::Confinement;
use crate::environment::Environment;
use crate::protocol::{Decoder, Encoder, Malformed};
use crate::sys::file::{self, Imprint, open, resolve};
use crate::sys::{Errno, Result as SysResult, mount};

/// The guest's surroundings.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where relative paths start and commands begin. Absolute.
    pub(crate) workspace: Vec<u8>,
    /// Everything a lease can write to; a reset wipes it. Contains the workspace.
    pub(crate) writable: Vec<Writable>,
    /// Paths below those that a reset leaves alone, with what is in them. Unused with [`Walls::Private`].
    pub(crate) kept: Vec<Vec<u8>>,
    /// What surrounds it.
    pub(crate) walls: Walls,
    /// What each command is confined by.
    pub(crate) confinement: Confinement,
    /// What each command finds in its environment before its own variables.
    pub(crate) environment: Environment,
}

/// Whether the runtime has namespaces of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walls {
    /// Pid, mount and ipc namespaces of its own: the guest is PID 1, may mount, and the whole tree of files it
    /// sees is the runtime's.
    Private,
    /// Those an engine has put around the container; the whole tree of files is the runtime's, and the guest
    /// must mount nothing.
    Container {
        /// Whether the guest is PID 1, so that all processes it sees are the runtime's.
        first: bool,
    },
    /// The host's: only what is below the workspace is the runtime's.
    Shared,
}

impl Walls {
    /// Whether all processes but the guest are the runtime's.
    pub(crate) fn hold_processes(self) -> bool {
        matches!(self, Self::Private | Self::Container { first: true })
    }

    /// Whether all files are the runtime's.
    pub(crate) fn hold_files(self) -> bool {
        matches!(self, Self::Private | Self::Container { .. })
    }
}

/// One writable directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writable {
    /// Where. Absolute, no symbolic links in it.
    pub(crate) path: Vec<u8>,
    /// Size of its tmpfs, bytes. Used with [`Walls::Private`] only.
    pub(crate) size: u64,
    /// Permission bits of the directory itself.
    pub(crate) mode: u32,
    /// What its tmpfs was like before anybody used it, since the first reset.
    fresh: Option<Imprint>,
}

impl Writable {
    pub(crate) const fn new(path: Vec<u8>, size: u64, mode: u32) -> Self {
        Self { path, size, mode, fresh: None }
    }

    /// Puts an empty tmpfs in the place of this one, while nothing runs. One that is just as it was when it was new stays:
    /// to take one away is most of the work, for the kernel waits until no processor looks at it.
    ///
    /// That nothing is in it does not show that it is as new: whoever makes a file and removes it again leaves other
    /// times behind, and within a tick of the kernel's clock nothing else.
    ///
    /// # Errors
    /// What the system said; the runtime must not be used on.
    pub(crate) fn renew(&mut self) -> SysResult<()> {
        let path = CString::new(self.path.as_slice()).map_err(|_| Errno::INVAL)?;
        // What can't be looked at is taken for used.
        if self.fresh.is_none() || self.fresh != imprint(&path).ok() {
            mount::renew(&path, self.size, self.mode)?;
            self.fresh = imprint(&path).ok();
        }
        Ok(())
    }
}

fn imprint(path: &CStr) -> SysResult<Imprint> {
    let flags = open::READ | open::DIRECTORY | open::NO_FOLLOW;
    file::imprint(file::open_at(None, path, flags, 0, resolve::NO_LINKS)?.as_fd())
}

impl Place {
    /// A place without walls around one directory.
    pub(crate) fn directory(workspace: Vec<u8>) -> Self {
        let writable = vec![Writable::new(workspace.clone(), 0, 0o700)];
        let environment = Environment::at_home(&workspace);
        Self {
            workspace,
            writable,
            kept: Vec::new(),
            walls: Walls::Shared,
            confinement: Confinement::default(),
            environment,
        }
    }

    /// Appends it to `out`, for a guest of the keeper's.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new(out);
        e.bytes(&self.workspace)
            .list(&self.writable, |e, writable| {
                e.bytes(&writable.path).u64(writable.size).u32(writable.mode);
            })
            .flag(self.walls == Walls::Private);
        self.confinement.encode(&mut e);
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut d = Decoder::new(bytes);
        let mut place = Self::directory(d.owned()?);
        place.writable = d.list(|d| Ok(Writable::new(d.owned()?, d.u64()?, d.u32()?)))?;
        place.walls = if d.flag()? { Walls::Private } else { Walls::Shared };
        place.confinement = Confinement::decode(&mut d)?;
        d.end()?;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::Limit;

    #[test]
    fn what_was_written_is_read() {
        let place = Place {
            writable: vec![Writable::new(b"/tmp".to_vec(), 1 << 20, 0o1777)],
            walls: Walls::Private,
            confinement: Confinement::new(vec![Limit { resource: 7, value: 64 }], None).with_niceness(-3),
            ..Place::directory(b"/work".to_vec())
        };
        let mut bytes = Vec::new();
        place.encode(&mut bytes);
        let mut again = Vec::new();
        Place::decode(&bytes).expect("a place").encode(&mut again);
        assert_eq!(again, bytes);
        for end in 0..bytes.len() {
            assert!(Place::decode(&bytes[..end]).is_err());
        }
    }
}
