use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::geteuid;

use crate::backend::owner::Life;
use crate::guest;

/// The directories of all lives, in the state directory or where else they must be.
const ALL: &str = "containers";
const PROGRAM: &str = "ostler-guest";

/// What one backend keeps in files while it lives: the guest program that containers mount, and a directory for
/// each container that is being launched. Closed to other users, since whoever reaches a container's socket can
/// speak for its guest.
#[derive(Debug)]
pub(super) struct Ground {
    directory: PathBuf,
    /// `directory` is in it, with those of the same life's other backends.
    life: PathBuf,
}

impl Ground {
    /// Makes it, and clears away those of lives that are over. Blocks for a moment.
    pub(super) fn new(life: &Life, state_dir: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let all = choose(state_dir)?;
        sweep(&all, life);
        let life = all.join(life.to_string());
        make(&life)?;
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let ground = Self { directory: life.join(serial.to_string()), life };
        make(&ground.directory)?;
        let mut program = File::options().create_new(true).write(true).mode(0o755).open(ground.program())?;
        program.write_all(guest::program())?;
        // The umask has had its say.
        program.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(ground)
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// The guest program.
    pub(super) fn program(&self) -> PathBuf {
        self.directory.join(PROGRAM)
    }

    /// A directory for one container, which any user may pass who gets as far as that.
    pub(super) fn room(&self, name: &str) -> io::Result<Room> {
        let path = self.directory.join(name);
        DirBuilder::new().mode(0o755).create(&path)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Room { handle: File::open(&path)?, path })
    }
}

impl Ground {
    /// Removes it. Blocks for a moment.
    pub(super) fn clear(&self) {
        // What can't be removed here is found by the sweep of the next life.
        let _ = fs::remove_dir_all(&self.directory);
        // Fails while another backend has its own in it.
        let _ = fs::remove_dir(&self.life);
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A directory that is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) path: PathBuf,
    handle: File,
}

impl Room {
    /// The path of a file in it, short enough for a socket however deep the directory is. Holds while this lives.
    pub(super) fn short_path(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()).into()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The state directory, or where programs in it can't be run, as in many hosts' `/run`, one where they can.
fn choose(state_dir: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(state_dir)?;
    let user = geteuid().as_raw();
    let others = [Path::new("/var/tmp"), &std::env::temp_dir()].map(|dir| dir.join(format!("ostler-{user}")));
    let state_dir = fs::canonicalize(state_dir)?;
    let mut last = io::Error::other("nowhere");
    for base in [state_dir].into_iter().chain(others) {
        let all = base.join(ALL);
        match make(&base).and_then(|()| make(&all)).and_then(|()| runs_programs(&all)) {
            Ok(()) => return Ok(all),
            Err(error) => last = error,
        }
    }
    Err(io::Error::new(last.kind(), format!("no directory that programs can be run from: {last}")))
}

fn runs_programs(directory: &Path) -> io::Result<()> {
    let flags = statvfs(directory)?.f_flag;
    if flags.contains(StatVfsMountFlags::NOEXEC) {
        return Err(io::Error::other(format!("{} is mounted noexec", directory.display())));
    }
    Ok(())
}

/// A directory of our own. One that is there already must be ours.
fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(directory)?;
            if found.is_dir() && found.uid() == geteuid().as_raw() {
                Ok(())
            } else {
                Err(io::Error::other(format!("{} is somebody else's", directory.display())))
            }
        }
        made => made,
    }
}

fn sweep(all: &Path, own: &Life) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let over = entry.file_name().to_str().and_then(Life::parse).is_some_and(|life| life.is_over_for(own));
        if over {
            // Left to the next sweep where that fails.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
