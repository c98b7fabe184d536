use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::exit::Misuse;

/// Largest file that is taken.
const MAX_SIZE: u64 = 1 << 20;
/// Directories that are looked into, at most.
const MAX_DIRECTORIES: usize = 10_000;
/// What is made rather than written.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// A file of the caller's.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Without its directory.
    pub(super) name: OsString,
    pub(super) content: Vec<u8>,
}

impl File {
    /// Its line ends, counted here.
    pub(super) fn newlines(&self) -> usize {
        self.content.split(|byte| *byte == b'\n').count() - 1
    }
}

/// The files that are worked on.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) directory: PathBuf,
    /// How many of them are different ones; the rest are these again.
    pub(super) found: usize,
    files: Vec<File>,
}

impl Sample {
    /// Reads `wanted` regular files below a directory, nearest first and by name; with fewer there, it goes
    /// through them again. What can't be read is skipped.
    pub(super) fn collect(directory: &Path, wanted: usize) -> anyhow::Result<Self> {
        if let Err(error) = fs::read_dir(directory) {
            return Err(Misuse(format!("{}: {error}", directory.display())).into());
        }
        let mut files = Vec::new();
        let mut waiting = VecDeque::from([directory.to_owned()]);
        let mut visited = 0;
        while let Some(next) = waiting.pop_front() {
            visited += 1;
            if visited > MAX_DIRECTORIES {
                break;
            }
            for path in entries(&next) {
                let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
                if metadata.is_dir() && !is_skipped(&path) {
                    waiting.push_back(path);
                } else if metadata.is_file() && metadata.len() <= MAX_SIZE {
                    files.extend(read(&path));
                    if files.len() == wanted {
                        return Ok(Self { directory: directory.to_owned(), found: wanted, files });
                    }
                }
            }
        }
        let found = files.len();
        if found == 0 {
            return Err(Misuse(format!("{}: no file here can be read", directory.display())).into());
        }
        let files = files.into_iter().cycle().take(wanted).collect();
        Ok(Self { directory: directory.to_owned(), found, files })
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

fn is_skipped(path: &Path) -> bool {
    path.file_name().is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped))
}

fn read(path: &Path) -> Option<File> {
    let content = fs::read(path).ok()?;
    // It may have grown since it was looked at.
    let fits = u64::try_from(content.len()).is_ok_and(|length| length <= MAX_SIZE);
    fits.then_some(File { name: path.file_name()?.to_owned(), content })
}
