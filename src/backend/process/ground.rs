use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cgroup::{Cgroups, remove_if_empty};
use super::program::Program;
use super::spawner::Spawner;
use super::sweep::sweep;
use crate::backend::owner::{Life, Owner};
use crate::guest;
use crate::model::Limits;

/// What all runtimes of one backend share. Made when the first of them is, or at
/// [`prepare`](crate::backend::Backend::prepare).
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) program: Arc<Program>,
    pub(super) spawner: Spawner,
    pub(super) cgroups: Arc<Cgroups>,
    life: Life,
    state_dir: PathBuf,
}

impl Ground {
    /// Blocks for some milliseconds.
    pub(super) fn new(owner: &Owner, limits: &Limits) -> io::Result<Self> {
        let life = Life::own(owner)?;
        fs::create_dir_all(&owner.state_dir)?;
        // Links on the way are for people; what is removed below it is reached without any.
        let state_dir = fs::canonicalize(&owner.state_dir)?;
        Ok(Self {
            program: Arc::new(Program::new(guest::program(), &state_dir.join(life.to_string()))?),
            spawner: Spawner::new()?,
            cgroups: Arc::new(Cgroups::discover(limits, life.to_string())),
            life,
            state_dir,
        })
    }

    /// A number no other launch of this process has.
    pub(super) fn serial() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Where a runtime's workspace is, should it get no namespaces.
    pub(super) fn workspace(&self, name: &str) -> PathBuf {
        self.own_dir().join(name)
    }

    fn own_dir(&self) -> PathBuf {
        self.state_dir.join(self.life.to_string())
    }

    /// Destroys what dead ostlers of the same name left. Blocks.
    pub(super) fn sweep(&self) -> io::Result<u32> {
        sweep(&self.life, &self.cgroups, &self.program, &self.state_dir)
    }

    /// Removes what is shared, once nobody needs it. Blocks for a moment.
    pub(super) fn close(&self) -> io::Result<()> {
        if let Some(file) = self.program.file() {
            fs::remove_file(file)?;
        }
        remove_if_empty(&self.own_dir())?;
        self.cgroups.close()
    }
}
