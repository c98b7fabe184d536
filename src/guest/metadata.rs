use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::protocol::{Entry, FileKind, Malformed, Stat};

/// A path inside a runtime, described. Symbolic links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub len: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change of its content.
    pub modified: SystemTime,
    /// Where a symbolic link points.
    pub target: Option<PathBuf>,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Relative to the listed directory; never leads out of it.
    pub path: PathBuf,
    /// What is there.
    pub metadata: Metadata,
}

impl Metadata {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind == FileKind::Symlink
    }
}

impl From<Stat> for Metadata {
    fn from(stat: Stat) -> Self {
        let since = Duration::from_millis(stat.modified_ms);
        Self {
            kind: stat.kind,
            len: stat.size,
            mode: stat.mode & 0o7777,
            modified: SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH),
            target: (stat.kind == FileKind::Symlink).then(|| OsString::from_vec(stat.target).into()),
        }
    }
}

impl TryFrom<Entry> for DirEntry {
    type Error = Malformed;

    /// The guest is not believed: a path that leads out of the listed directory is an error.
    fn try_from(entry: Entry) -> Result<Self, Malformed> {
        let path = PathBuf::from(OsString::from_vec(entry.path));
        if !stays_inside(&path) {
            return Err(Malformed("a listed path leads out of its directory"));
        }
        Ok(Self { path, metadata: entry.stat.into() })
    }
}

/// Whether a path names something below where it starts.
pub(super) fn stays_inside(path: &Path) -> bool {
    let mut names = 0;
    path.components().all(|component| match component {
        Component::Normal(_) => {
            names += 1;
            true
        }
        Component::CurDir => true,
        Component::Prefix(_) | Component::RootDir | Component::ParentDir => false,
    }) && names > 0
}
