use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::kill_and_remove;

/// What of a runtime lies outside of its processes. Its keeper removes it; the host looks again, because the
/// keeper may have been killed.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) cgroups: Vec<PathBuf>,
    pub(super) workspace: PathBuf,
}

impl Remains {
    /// Removes what is left of a runtime whose keeper has ended; processes too, as far as cgroups show them.
    /// Answers what could not be removed.
    pub(super) fn remove(&self) -> Vec<String> {
        let cgroups = self.cgroups.iter().map(|directory| (directory, kill_and_remove(directory)));
        let mut left: Vec<_> = cgroups.filter_map(|(path, result)| failed(path, result)).collect();
        left.extend(failed(&self.workspace, remove_tree(&self.workspace)));
        left
    }
}

fn failed(path: &Path, result: io::Result<()>) -> Option<String> {
    result.err().map(|error| format!("{}: {error}", path.display()))
}

/// Removes a directory and all below it, however its permissions were set. One that is gone is no error.
pub(super) fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
