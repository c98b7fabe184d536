//! Looking at a container from outside, after its guest has said that it is clean.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::models::FilesystemChange;
use bollard::query_parameters::TopOptionsBuilder;
use tokio::task::spawn_blocking;

use super::cgroup;
use super::client::{Engine, QUICK};
use crate::backend::Residue;
use crate::backend::outside::{Guest, Mounts, empty, found, look, read};

/// Knows what a container was like before it served anybody.
#[derive(Debug)]
pub(super) struct Inspector {
    engine: Arc<Engine>,
    id: String,
    processes: Processes,
    /// What the container has changed in its image, where that can be written to.
    changes: Option<BTreeSet<String>>,
}

/// How the processes, and what they leave, can be seen.
#[derive(Debug)]
enum Processes {
    /// They are this host's.
    Here(Arc<Host>),
    /// Through the engine.
    Engine { count: usize },
    /// There is a service among them, which the guest alone can tell from what others left.
    Guest,
}

/// What this host's kernel shows of a container.
#[derive(Debug)]
struct Host {
    guest: Guest,
    cgroup: PathBuf,
    /// The guest, and the engine's init where there is one; none when a service runs beside them.
    pids: Option<BTreeSet<String>>,
    mounts: Mounts,
    /// What must be empty; none when this user may not look.
    places: Option<Vec<PathBuf>>,
    /// What is in `/dev`, which root can write to.
    devices: BTreeSet<PathBuf>,
}

/// What is to be looked at.
#[derive(Debug)]
pub(super) struct Scope {
    /// The guest's pid here, where it can be seen.
    pub(super) pid: Option<u32>,
    /// Directories a reset empties.
    pub(super) places: Vec<PathBuf>,
    /// Whether a service runs beside the guest.
    pub(super) has_service: bool,
    pub(super) root_is_writable: bool,
}

impl Inspector {
    /// Takes a clean container in.
    pub(super) async fn new(engine: Arc<Engine>, id: &str, scope: Scope) -> Result<Self, Residue> {
        let Scope { pid, places, has_service, root_is_writable } = scope;
        let processes = match pid {
            Some(pid) => {
                let host = spawn_blocking(move || Host::new(pid, places, has_service)).await;
                Processes::Here(Arc::new(look("container", host.map_err(io::Error::other).flatten())?))
            }
            None if has_service => Processes::Guest,
            None => Processes::Engine { count: count(&engine, id).await? },
        };
        let changes = if root_is_writable { Some(changes(&engine, id).await?) } else { None };
        Ok(Self { engine, id: id.to_owned(), processes, changes })
    }

    /// Whether this user may not look into the container's directories, and takes the guest's word for them.
    pub(super) fn takes_the_guests_word(&self) -> bool {
        match &self.processes {
            Processes::Here(host) => host.places.is_none(),
            Processes::Engine { .. } | Processes::Guest => true,
        }
    }

    /// Looks for anything that should not be there after a reset.
    ///
    /// # Errors
    /// The first thing found, or what could not be looked at.
    pub(super) async fn verify(&self) -> Result<(), Residue> {
        match &self.processes {
            Processes::Here(host) => {
                let host = Arc::clone(host);
                spawn_blocking(move || host.verify())
                    .await
                    .unwrap_or_else(|failed| Err(found(format!("unknown: {failed}"))))?;
            }
            Processes::Engine { count: clean } => {
                let now = count(&self.engine, &self.id).await?;
                if now != *clean {
                    return Err(found(format!("{now} processes where {clean} should be")));
                }
            }
            Processes::Guest => {}
        }
        if let Some(clean) = &self.changes {
            let now = changes(&self.engine, &self.id).await?;
            if let Some(change) = now.symmetric_difference(clean).next() {
                return Err(found(format!("change to the image's files: {change}")));
            }
        }
        Ok(())
    }
}

impl Host {
    fn new(pid: u32, places: Vec<PathBuf>, has_service: bool) -> io::Result<Self> {
        let guest = Guest::hold(pid)?;
        let cgroup = cgroup::of(pid)?;
        let pids = if has_service { None } else { Some(pids(&cgroup)?) };
        let mounts = guest.mounts()?;
        let root = guest.path("root");
        let (places, devices) = match names(&root.join("dev")) {
            Ok(devices) => (Some(places), devices),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (None, BTreeSet::new()),
            Err(error) => return Err(error),
        };
        Ok(Self { guest, cgroup, pids, mounts, places, devices })
    }

    fn verify(&self) -> Result<(), Residue> {
        if let Some(clean) = &self.pids {
            let now = look("cgroup", pids(&self.cgroup))?;
            if let Some(other) = now.symmetric_difference(clean).next() {
                return Err(found(format!("process {other} in {}", self.cgroup.display())));
            }
        }
        self.guest.compare_mounts(&self.mounts)?;
        let Some(places) = &self.places else { return Ok(()) };
        for place in places {
            let inside = place.strip_prefix("/").unwrap_or(place);
            // A service is at work in its own.
            if self.pids.is_some() {
                empty(&self.guest.path("root").join(inside), place)?;
            }
        }
        let devices = look("/dev", names(&self.guest.path("root/dev")))?;
        match devices.symmetric_difference(&self.devices).next() {
            Some(device) => Err(found(format!("file {}", Path::new("/dev").join(device).display()))),
            None => Ok(()),
        }
    }
}

/// Of a cgroup and all below it.
fn pids(cgroup: &Path) -> io::Result<BTreeSet<String>> {
    let mut pids: BTreeSet<_> = read(&cgroup.join("cgroup.procs"))?.lines().map(str::to_owned).collect();
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            pids.extend(self::pids(&entry.path())?);
        }
    }
    Ok(pids)
}

fn names(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    fs::read_dir(directory)?.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect()
}

async fn count(engine: &Engine, id: &str) -> Result<usize, Residue> {
    let listed = async {
        let client = engine.client().await?;
        let options = TopOptionsBuilder::new().build();
        engine.within(QUICK, client.top_processes(id, Some(options))).await
    };
    let listed = look("processes", listed.await.map_err(io::Error::other))?;
    Ok(listed.processes.unwrap_or_default().len())
}

async fn changes(engine: &Engine, id: &str) -> Result<BTreeSet<String>, Residue> {
    let listed = async {
        let client = engine.client().await?;
        engine.within(QUICK, client.container_changes(id)).await
    };
    let listed = look("changes", listed.await.map_err(io::Error::other))?;
    Ok(listed.unwrap_or_default().iter().map(change).collect())
}

fn change(change: &FilesystemChange) -> String {
    format!("{:?} {}", change.kind, change.path)
}
