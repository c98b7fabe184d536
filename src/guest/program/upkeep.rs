//! What a reset puts in order in a container once all is wiped.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::guest::Guest;
use crate::protocol::{Refusal, RefusalKind, Secret};
use crate::refusal;
use crate::standing::Standing;
use crate::sys::file::{self, open, resolve};
use crate::sys::{Errno, Result as SysResult, descriptor, ipc};

/// File systems whose files are in memory only.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Permission bits of a secret.
const MODE: u32 = 0o400;

/// What there is to do.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Whether the IPC namespace is the container's own.
    pub(crate) own_ipc: bool,
    pub(crate) secrets: Secrets,
    /// As the engine gave it.
    pub(crate) standing: Option<Standing>,
}

/// Files that each lease finds as they were given.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) directory: Vec<u8>,
    pub(crate) files: Vec<Secret>,
}

impl Guest {
    /// Sees that the guest is who it was, leaves nothing in the IPC namespace, writes the secrets and starts the service.
    ///
    /// # Errors
    /// The first of it that can't be done; the runtime must not be used on.
    pub(crate) fn renew(&mut self) -> Result<(), Refusal> {
        if self.upkeep.standing.is_some() && Standing::take() != self.upkeep.standing {
            let message = "the lease has changed the guest's own limits or priorities";
            return Err(refusal::rule(RefusalKind::Failed, message));
        }
        if self.upkeep.own_ipc {
            ipc::empty().map_err(|errno| refusal::system("empty the ipc namespace", b"", errno))?;
        }
        self.upkeep.secrets.write()?;
        self.start_service()
    }
}

impl Secrets {
    /// Writes them all, over what is there.
    pub(crate) fn write(&self) -> Result<(), Refusal> {
        if self.files.is_empty() {
            return Ok(());
        }
        let failed = |step: &'static str| move |errno| refusal::system(step, &self.directory, errno);
        let path = Path::new(OsStr::from_bytes(&self.directory));
        fs::create_dir_all(path).map_err(|error| {
            failed("make the secrets' directory")(Errno(error.raw_os_error().unwrap_or(0)))
        })?;
        let name = CString::new(self.directory.as_slice())
            .map_err(|_| failed("open the secrets' directory")(Errno::INVAL))?;
        let flags = open::PATH_ONLY | open::DIRECTORY;
        let directory = file::open_at(None, &name, flags, 0, resolve::NO_LINKS)
            .map_err(failed("open the secrets' directory"))?;
        let magic = file::file_system(directory.as_fd()).map_err(failed("look at the secrets' directory"))?;
        if !IN_MEMORY.contains(&magic) {
            let message = format!("{} is not in memory, where secrets belong", path.display());
            return Err(refusal::rule(RefusalKind::Denied, message));
        }
        for secret in &self.files {
            put(directory.as_fd(), secret)
                .map_err(|errno| refusal::system("write secret", &secret.name, errno))?;
        }
        Ok(())
    }
}

fn put(directory: std::os::fd::BorrowedFd<'_>, secret: &Secret) -> SysResult<()> {
    let plain = !secret.name.is_empty() && !secret.name.contains(&b'/');
    let name = CString::new(secret.name.as_slice()).ok().filter(|_| plain).ok_or(Errno::INVAL)?;
    match file::unlink(directory, &name) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = open::WRITE | open::CREATE_NEW | open::NO_FOLLOW;
    let file = file::open_at(Some(directory), &name, flags, MODE, resolve::BENEATH)?;
    file::set_mode(file.as_fd(), MODE)?;
    let mut rest = secret.value.as_slice();
    while !rest.is_empty() {
        match descriptor::write_some(&file, rest)? {
            0 => return Err(Errno::NOSPC),
            count => rest = &rest[count..],
        }
    }
    Ok(())
}
