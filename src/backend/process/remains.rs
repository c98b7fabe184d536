use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cgroup::{kill_and_remove, remove_if_empty};
use super::program::Program;

/// What of a runtime lies outside of its processes. Its keeper removes it; the host looks again, because the
/// keeper may have been killed.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) cgroups: Vec<PathBuf>,
    /// Around the cgroups, innermost first; other runtimes' may be in them.
    pub(super) parents: Vec<PathBuf>,
    pub(super) workspace: PathBuf,
    pub(super) program: Arc<Program>,
}

impl Remains {
    /// Whether the keeper has removed it all.
    pub(super) fn are_gone(&self) -> bool {
        !self.cgroups.iter().chain([&self.workspace]).any(|path| path.exists())
    }

    /// Removes what is left of a runtime whose keeper has ended; processes too, as far as cgroups show them.
    /// Answers what could not be removed. May take long.
    pub(super) fn remove(&self) -> Vec<String> {
        let cgroups = self.cgroups.iter().map(|directory| (directory, kill_and_remove(directory)));
        let mut left: Vec<_> = cgroups.filter_map(|(path, result)| failed(path, result)).collect();
        left.extend(failed(&self.workspace, self.program.remove_tree(&self.workspace)));
        left.extend(self.parents.iter().filter_map(|path| failed(path, remove_if_empty(path))));
        left
    }
}

fn failed(path: &Path, result: io::Result<()>) -> Option<String> {
    result.err().map(|error| format!("{}: {error}", path.display()))
}
