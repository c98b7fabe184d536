//! The limits a runtime's processes share: memory, processes, processors.
//!
//! ```text
//!  <our own cgroup>/ostler/<life>/<pool>-<runtime>      in each hierarchy that has a limit to keep
//! ```
//! Version 1 has a hierarchy per controller, version 2 one for all. Directories are made below the cgroup
//! this process is in, so that limits over ostler itself hold for its runtimes too.

mod discover;
mod group;

use std::io;
use std::path::PathBuf;

use super::directories::children;
use crate::backend::outside::Quota;
use crate::model::Limits;
use crate::protocol::Missing;

pub(super) use group::{kill_and_remove, remove_if_empty};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }

    const fn is_limited(self, limits: &Limits) -> bool {
        match self {
            Self::Memory => limits.memory.is_some(),
            Self::Pids => limits.pids.is_some(),
            Self::Cpu => limits.cpus.is_some(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A place where cgroups can be made.
#[derive(Clone, Debug)]
struct Hierarchy {
    version: Version,
    /// Below which ours are made.
    base: PathBuf,
    controllers: Vec<Controller>,
}

/// All cgroups of one ostler's runtimes.
#[derive(Debug)]
pub(super) struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    missing: Vec<Missing>,
    life: String,
}

/// The cgroups of one runtime.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) directories: Vec<PathBuf>,
    /// Made around them, innermost first.
    pub(super) parents: Vec<PathBuf>,
    /// Limits that no cgroup keeps, and why.
    pub(super) missing: Vec<Missing>,
    /// Whether the memory limit is kept.
    pub(super) memory: bool,
    /// The limit on processor time, if it is kept.
    pub(super) quota: Option<Quota>,
}

impl Cgroups {
    /// Looks for places to make cgroups in for `limits`. Blocks for a moment.
    pub(super) fn discover(limits: &Limits, life: String) -> Self {
        let wanted: Vec<_> =
            Controller::ALL.into_iter().filter(|controller| controller.is_limited(limits)).collect();
        let (hierarchies, missing) = discover::discover(&wanted);
        Self { hierarchies, missing, life }
    }

    /// Makes a runtime's cgroups, limits and all. A limit that can't be set is missing, not a failure.
    pub(super) fn make(&self, name: &str, limits: &Limits) -> Group {
        let mut group = Group { missing: self.missing.clone(), ..Group::default() };
        for hierarchy in &self.hierarchies {
            group.add(hierarchy, &self.life, name, limits);
        }
        group
    }

    /// Directories named after a life, in every hierarchy, with their names.
    pub(super) fn lives(&self) -> Vec<(String, PathBuf)> {
        let tops = self.hierarchies.iter().map(|hierarchy| hierarchy.base.join(group::TOP));
        tops.flat_map(|top| children(&top)).collect()
    }

    /// Removes what is shared by the runtimes of this life, where no runtime is left in it.
    pub(super) fn close(&self) -> io::Result<()> {
        for hierarchy in &self.hierarchies {
            let top = hierarchy.base.join(group::TOP);
            remove_if_empty(&top.join(&self.life))?;
            remove_if_empty(&top)?;
        }
        Ok(())
    }
}
