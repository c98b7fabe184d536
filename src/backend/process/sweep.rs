//! What dead ostlers of the same name left behind.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use super::cgroup::{Cgroups, kill_and_remove, remove_if_empty};
use super::directories::children;
use super::program::Program;
use crate::backend::owner::Life;

/// Destroys what belongs to lives that are over, and answers how many runtimes that was. Blocks.
///
/// # Errors
/// The first thing that could not be removed; the rest has been tried.
pub(super) fn sweep(own: &Life, cgroups: &Cgroups, program: &Program, state_dir: &Path) -> io::Result<u32> {
    let mut removed = Removed::default();
    let over = |name: &str| Life::parse(name).is_some_and(|life| life.is_over_for(own));
    for (_, directory) in cgroups.lives().into_iter().filter(|(name, _)| over(name)) {
        for (name, group) in children(&directory) {
            removed.add(name, kill_and_remove(&group));
        }
        removed.try_to(remove_if_empty(&directory));
    }
    for (_, directory) in children(state_dir).into_iter().filter(|(name, _)| over(name)) {
        // The name alone proves nothing where others may write.
        let ours = fs::symlink_metadata(&directory).is_ok_and(|data| data.uid() == geteuid().as_raw());
        if ours {
            for (name, workspace) in children(&directory) {
                removed.add(name, program.remove_tree(&workspace));
            }
            removed.try_to(program.remove_tree(&directory));
        }
    }
    removed.finish()
}

#[derive(Default)]
struct Removed {
    /// A runtime has several directories of one name.
    names: Vec<String>,
    error: Option<io::Error>,
}

impl Removed {
    fn add(&mut self, name: String, result: io::Result<()>) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        self.try_to(result);
    }

    fn try_to(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }

    fn finish(self) -> io::Result<u32> {
        let count = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.error.map_or(Ok(count), Err)
    }
}
