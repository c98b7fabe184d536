use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// How often a start is tried again while somebody still has the program open for writing, and after what pause.
const BUSY: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// The guest program where it can be executed: sealed in memory, or as a file where the host forbids that.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// What `path` leads to; closed with the backend.
    memory: Option<OwnedFd>,
}

impl Program {
    /// Makes it. Blocks for a moment: the program is started once to see that it can be.
    pub(super) fn new(content: &[u8], directory: &Path) -> io::Result<Self> {
        if let Ok(memory) = in_memory(content) {
            let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
            if starts(&path).is_ok() {
                return Ok(Self { path, memory: Some(memory) });
            }
        }
        let path = as_file(content, directory)?;
        starts(&path)?;
        Ok(Self { path, memory: None })
    }

    /// Removes a directory and all below it, however deep and whatever its permissions. One that is gone is no
    /// error. Blocks.
    pub(super) fn remove_tree(&self, directory: &Path) -> io::Result<()> {
        if !fs::exists(directory)? {
            return Ok(());
        }
        let output = self.command().arg("remove").arg(directory).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(io::Error::other(said.trim().to_owned())) }
    }

    /// The program, to be given arguments and streams.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0("ostler-guest").env_clear();
        command
    }

    /// The file to remove in the end, where there is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.memory.is_none().then_some(self.path.as_path())
    }
}

#[cfg(test)]
impl Program {
    /// A script in place of the guest program.
    pub(super) fn stand_in(directory: &Path, script: &str) -> Self {
        let script = format!("#!/bin/sh\n{script}\n");
        let written = as_file(script.as_bytes(), directory).expect("written");
        // By a process of which nobody forks another while it is written.
        let path = directory.join("stand-in");
        let copied = Command::new("cp").arg(written).arg(&path).status().expect("cp");
        assert!(copied.success(), "cp: {copied}");
        Self { path, memory: None }
    }
}

fn in_memory(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("ostler-guest", flags | MemfdFlags::EXEC)
        // Kernels before 6.3 don't know the flag, and need none.
        .or_else(|_| memfd_create("ostler-guest", flags))?;
    let mut file = fs::File::from(memory);
    file.write_all(content)?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

fn as_file(content: &[u8], directory: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join("ostler-guest");
    let part = directory.join("ostler-guest.part");
    let mut file = fs::File::options().create(true).write(true).truncate(true).mode(0o755).open(&part)?;
    file.write_all(content)?;
    drop(file);
    fs::rename(part, &path)?;
    Ok(path)
}

/// Without arguments the program says how it is used, and ends.
fn starts(path: &Path) -> io::Result<()> {
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut tries = 0;
    loop {
        match command.status() {
            // What another thread forked while it was written has it open for writing until it executes its own.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY => {
                tries += 1;
                sleep(PAUSE);
            }
            started => return started.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever writes it, as a child does that was forked in the meantime.
    #[test]
    fn a_program_that_is_still_open_for_writing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = as_file(b"#!/bin/sh\n", directory.path()).unwrap();
        let writer = fs::File::options().append(true).open(&path).unwrap();
        assert_eq!(Command::new(&path).status().unwrap_err().kind(), ErrorKind::ExecutableFileBusy);
        let closed = std::thread::spawn(move || {
            sleep(PAUSE * 10);
            drop(writer);
        });
        starts(&path).unwrap();
        closed.join().unwrap();
    }
}
