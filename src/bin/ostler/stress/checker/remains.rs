use std::fs;
use std::path::{Path, PathBuf};

use crate::process::Process;

/// How deep cgroups are looked for.
const DEPTH: usize = 12;

/// Where things of this process lie outside of it, each below a directory whose name ends with its number and
/// the moment it started.
#[derive(Debug)]
pub(in super::super) struct Remains {
    suffix: String,
    state_dir: PathBuf,
}

impl Remains {
    pub(in super::super) fn of_this_process(state_dir: &Path) -> Option<Self> {
        let Process { pid, started } = Process::own()?;
        Some(Self { suffix: format!("-{pid}-{started}"), state_dir: state_dir.to_owned() })
    }

    /// What is there.
    pub(in super::super) fn list(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.look(&self.state_dir, 1, &mut found);
        self.look(Path::new("/sys/fs/cgroup"), DEPTH, &mut found);
        found.iter().map(|path| path.display().to_string()).collect()
    }

    fn look(&self, directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        // What is gone, or not to be read, is nothing of ours.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().ends_with(&self.suffix) {
                found.push(entry.path());
            } else if depth > 1 {
                self.look(&entry.path(), depth - 1, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bears_our_number_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let remains = Remains::of_this_process(directory.path()).unwrap();
        assert_eq!(remains.list(), Vec::<String>::new());
        fs::create_dir(directory.path().join("default-abc-1-2-3")).unwrap();
        assert_eq!(remains.list(), Vec::<String>::new());
        let ours = directory.path().join(format!("default-abc-1{}", remains.suffix));
        fs::create_dir(&ours).unwrap();
        assert_eq!(remains.list(), [ours.display().to_string()]);
    }
}
