//! Isolation without namespaces: a directory of the host, another user where that is possible, and the same
//! limits and fences as far as they hold without a view of one's own.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::Path;

use super::remains::path;
use super::sandbox::limits;
use super::step::Step;
use crate::confine::{Confinement, Fence, Opening};
use crate::place::Place;
use crate::protocol::{Missing, Network, Setup};
use crate::sys::landlock::{BIND_AND_CONNECT_TCP, SCOPE_ABSTRACT_UNIX, SCOPE_SIGNAL};
use crate::sys::{Errno, capability, limit, namespace};

/// How often making the workspace is tried while others remove the directory it is in.
const TRIES: u32 = 10;

const DEVICES: [&[u8]; 6] =
    [b"/dev/null", b"/dev/zero", b"/dev/full", b"/dev/random", b"/dev/urandom", b"/dev/tty"];

/// Makes the workspace and settles in it.
pub(super) fn enter(setup: &Setup, missing: &mut Vec<Missing>) -> Result<Place, String> {
    let workspace = path(&setup.basic_workspace);
    let at = |what: &str| format!("{what} the workspace {}", workspace.display());
    make(workspace).step(at("make"))?;
    let own = fs::metadata(workspace).step(at("look at"))?.uid();
    match capability::empty_bounding_set() {
        // An ordinary user can't, and has nothing that would come of it.
        Ok(()) | Err(Errno::PERM) => {}
        Err(why) => return Err(why).step("drop capabilities"),
    }
    if own != setup.uid {
        chown(workspace, Some(setup.uid), Some(setup.gid)).step(at("give away"))?;
        namespace::leave_groups().step("leave groups")?;
        namespace::become_user(setup.uid, setup.gid).step(format_args!("become user {}", setup.uid))?;
    }
    std::env::set_current_dir(workspace).step(at("enter"))?;
    if let Some(most) = setup.pids {
        // The kernel counts the user's processes on the whole host, so those that are there come on top.
        limit::lower(limit::PROCESSES, most + processes_of(setup.uid)).step("limit processes")?;
    }
    let mut openings = vec![Opening::everything(&setup.basic_workspace)];
    openings
        .extend(DEVICES.iter().filter(|device| path(device).exists()).map(|device| Opening::devices(device)));
    let network = if setup.network == Network::None { BIND_AND_CONNECT_TCP } else { 0 };
    let fence = Fence::new(openings, network, SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL, missing);
    let confinement = Confinement::new(limits(setup), fence);
    Ok(Place { confinement, ..Place::directory(setup.basic_workspace.clone()) })
}

fn make(workspace: &Path) -> io::Result<()> {
    for _ in 1..TRIES {
        if let Some(parent) = workspace.parent() {
            fs::create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(workspace) {
            // Another keeper has just removed the parent, which was empty.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
    }
    DirBuilder::new().mode(0o700).create(workspace)
}

/// Processes and threads the user has on this host now.
fn processes_of(uid: u32) -> u64 {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    entries(Path::new("/proc"))
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.uid() == uid))
        .map(|entry| entries(&entry.path().join("task")).count() as u64)
        .sum()
}
