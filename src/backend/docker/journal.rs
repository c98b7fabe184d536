use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::task::spawn_blocking;

use super::register::Name;
use crate::backend::owner::plain;
use crate::model::{ContainerLogs, PoolName};

const ENDING: &str = ".log";

/// What the main processes of a pool's containers wrote: some files for each, that outlive it.
#[derive(Clone, Debug)]
pub(super) struct Journals {
    directory: PathBuf,
    limits: ContainerLogs,
}

impl Journals {
    pub(super) fn new(limits: &ContainerLogs, state_dir: &Path, pool: &PoolName) -> Self {
        let usual = || state_dir.join("logs").join(plain(pool.as_str()));
        Self { directory: limits.dir.clone().unwrap_or_else(usual), limits: limits.clone() }
    }

    /// The journal of one container. Its file is made with the first byte.
    pub(super) fn of(&self, container: &str) -> Arc<Journal> {
        let path = self.directory.join(format!("{container}{ENDING}"));
        Arc::new(Journal { path, size: self.limits.size, files: self.limits.files, file: Mutex::default() })
    }

    /// Removes the files of containers that are gone, but those of the last few. Blocks.
    pub(super) fn prune(&self) -> io::Result<()> {
        let mut gone: Vec<(SystemTime, String)> = Vec::new();
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Some(container) = container_of(&entry.file_name()) else { continue };
            if Name::is_known(&container) {
                continue;
            }
            if entry.path().extension().is_some_and(|ending| ending == "log") {
                gone.push((entry.metadata()?.modified()?, container.clone()));
            }
            files.push((container, entry.path()));
        }
        gone.sort_unstable();
        let too_many = gone.len().saturating_sub(self.limits.kept as usize);
        let pruned: HashSet<_> = gone.into_iter().take(too_many).map(|(_, container)| container).collect();
        for (_, path) in files.iter().filter(|(container, _)| pruned.contains(container)) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Whose a file is: `NAME.log` or `NAME.log.2`, with a name of ours.
fn container_of(file: &OsString) -> Option<String> {
    let (name, rest) = file.to_str()?.rsplit_once(ENDING)?;
    let number = rest.strip_prefix('.').is_none_or(|number| number.parse::<u32>().is_ok());
    (name.starts_with("ostler-") && number).then(|| name.to_owned())
}

/// What one container's main process wrote. When the file is full it gets a number and a new one is begun; the oldest
/// goes when there are too many.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) path: PathBuf,
    size: u64,
    files: u32,
    file: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Journal {
    /// Appends to it, off this thread.
    pub(super) async fn append(self: &Arc<Self>, bytes: Vec<u8>) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let journal = Arc::clone(self);
        spawn_blocking(move || journal.append_now(&bytes)).await.map_err(io::Error::other)?
    }

    fn append_now(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        while !bytes.is_empty() {
            let current = match open.take() {
                Some(current) if current.length < self.size => current,
                Some(_) => {
                    self.rotate()?;
                    self.begin()?
                }
                None => self.begin()?,
            };
            let current = open.insert(current);
            let room = usize::try_from(self.size.saturating_sub(current.length)).unwrap_or(usize::MAX).max(1);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            current.file.write_all(now)?;
            current.length += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn begin(&self) -> io::Result<Open> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = File::options().create(true).append(true).mode(0o600).open(&self.path)?;
        let length = file.metadata()?.len();
        Ok(Open { file, length })
    }

    fn rotate(&self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        if self.files <= 1 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.files - 1).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journals(directory: &Path, size: u64, files: u32, kept: u32) -> Journals {
        let limits = ContainerLogs { dir: Some(directory.to_owned()), size, files, kept };
        Journals::new(&limits, Path::new("/nowhere"), &PoolName::new("p"))
    }

    fn listing(directory: &Path) -> Vec<(String, u64)> {
        let mut all: Vec<_> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry"))
            .map(|entry| {
                (entry.file_name().into_string().expect("a name"), entry.metadata().expect("there").len())
            })
            .collect();
        all.sort();
        all
    }

    #[tokio::test]
    async fn a_full_file_makes_room_and_the_oldest_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = journals(directory.path(), 10, 3, 9).of("ostler-a");
        for chunk in [b"0123456".to_vec(), b"789abcdefghijklmnopqrstu".to_vec(), b"vwxyz".to_vec()] {
            journal.append(chunk).await.expect("written");
        }
        let sizes = [
            ("ostler-a.log".to_owned(), 6),
            ("ostler-a.log.1".to_owned(), 10),
            ("ostler-a.log.2".to_owned(), 10),
        ];
        assert_eq!(listing(directory.path()), sizes);
        assert_eq!(fs::read(&journal.path).expect("the newest"), b"uvwxyz");
    }

    #[tokio::test]
    async fn one_file_is_begun_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = journals(directory.path(), 4, 1, 9).of("ostler-a");
        journal.append(b"0123456789".to_vec()).await.expect("written");
        assert_eq!(fs::read(&journal.path).expect("the only"), b"89");
        assert_eq!(listing(directory.path()).len(), 1);
    }

    #[tokio::test]
    async fn the_last_few_of_the_gone_are_kept_and_nothing_of_others_is_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let journals = journals(directory.path(), 4, 3, 1);
        let alive = Name::new("ostler-alive".to_owned());
        for (name, seconds) in [("ostler-alive", 1), ("ostler-old", 2), ("ostler-new", 3), ("foreign", 0)] {
            let journal = journals.of(name);
            journal.append(b"0123456".to_vec()).await.expect("written");
            let when = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::options()
                .write(true)
                .open(&journal.path)
                .and_then(|file| file.set_modified(when))
                .expect("set");
        }
        journals.prune().expect("pruned");
        let left: Vec<_> = listing(directory.path()).into_iter().map(|(name, _)| name).collect();
        let expected = [
            "foreign.log",
            "foreign.log.1",
            "ostler-alive.log",
            "ostler-alive.log.1",
            "ostler-new.log",
            "ostler-new.log.1",
        ];
        assert_eq!(left, expected);
        drop(alive);
    }
}
