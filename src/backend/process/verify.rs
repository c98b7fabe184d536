//! Looking at a runtime from outside, after its guest has said that it is clean.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Residue;
use crate::backend::outside::{Guest, Mounts, empty, found, look, processes};
use crate::protocol::WRITABLE;

/// What a clean runtime looks like.
#[derive(Debug)]
enum Baseline {
    /// In namespaces of its own.
    Private {
        mounts: Mounts,
        /// The ipc namespace of the lease before; each lease has its own.
        ipc: AtomicU64,
    },
    /// In the host's, with this workspace.
    Shared { workspace: PathBuf },
}

/// Knows what a runtime was like before it served anybody.
#[derive(Debug)]
pub(super) struct Inspector {
    guest: Guest,
    cgroups: Vec<PathBuf>,
    baseline: Baseline,
}

impl Inspector {
    /// Takes in a guest that has namespaces of its own. Blocks for a moment.
    pub(super) fn private(pid: u32, cgroups: Vec<PathBuf>) -> io::Result<Self> {
        let guest = Guest::hold(pid)?;
        let baseline = Baseline::Private { mounts: guest.mounts()?, ipc: AtomicU64::new(guest.ipc()?) };
        Ok(Self { guest, cgroups, baseline })
    }

    /// Takes in a guest that has a workspace of the host's and no namespaces.
    pub(super) fn shared(pid: u32, cgroups: Vec<PathBuf>, workspace: PathBuf) -> io::Result<Self> {
        Ok(Self { guest: Guest::hold(pid)?, cgroups, baseline: Baseline::Shared { workspace } })
    }

    /// The guest's.
    pub(super) fn pid(&self) -> u32 {
        self.guest.pid
    }

    /// Looks for anything that should not be there after a reset. Blocks for a moment.
    ///
    /// # Errors
    /// The first thing found, or what could not be looked at.
    pub(super) fn verify(&self) -> Result<(), Residue> {
        let guest = &self.guest;
        processes(guest, &self.cgroups)?;
        match &self.baseline {
            Baseline::Private { mounts, ipc } => {
                guest.compare_mounts(mounts)?;
                for place in WRITABLE {
                    empty(&guest.path(&format!("root{place}")), Path::new(place))?;
                }
                let now = look("ipc namespace", guest.ipc())?;
                if ipc.swap(now, Ordering::Relaxed) == now {
                    return Err(found("the ipc namespace is still the last lease's"));
                }
                Ok(())
            }
            Baseline::Shared { workspace } => empty(workspace, workspace),
        }
    }
}
