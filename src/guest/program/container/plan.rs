use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::mounts;
use crate::confine::{Confinement, Limit};
use crate::environment::Environment;
use crate::place::{Place, Walls, Writable};
use crate::protocol::{ContainerLimits, ContainerSetup, Missing};
use crate::sys::{limit, process};

/// Where message queues are files.
const QUEUES: &str = "/dev/mqueue";

const MODE_BITS: u32 = 0o7777;

/// The setup, compared with what there is.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) place: Place,
    pub(super) missing: Vec<Missing>,
}

impl Plan {
    /// # Errors
    /// What is wrong with the container, for people.
    pub(super) fn new(setup: &ContainerSetup) -> Result<Self, String> {
        let mut missing = Vec::new();
        let workspace = Path::new(OsStr::from_bytes(&setup.workspace));
        if !workspace.is_absolute() {
            return Err(format!("the workspace {} is not absolute", workspace.display()));
        }
        fs::create_dir_all(workspace)
            .map_err(|error| format!("make the workspace {}: {error}", workspace.display()))?;
        let workspace = real(&setup.workspace)?;

        let mounted = mounts::points().unwrap_or_else(|error| {
            missing.push(Missing { part: "list of mounts".to_owned(), why: error.to_string() });
            Vec::new()
        });
        let mut writable = setup.places.iter().map(|path| place(path)).collect::<Result<Vec<_>, _>>()?;
        let below = |path: &[u8]| {
            let lies = |place: &Writable| path.strip_prefix(place.path.as_slice()).is_some_and(is_below);
            writable.iter().any(lies)
        };
        let mut kept: Vec<_> = mounted.into_iter().filter(|point| below(point)).collect();
        if !setup.secrets.is_empty() {
            fs::create_dir_all(OsStr::from_bytes(&setup.secrets_directory))
                .map_err(|error| format!("make a directory for secrets: {error}"))?;
            let secrets = place(&setup.secrets_directory)?;
            if !below(&secrets.path) || kept.contains(&secrets.path) {
                writable.push(secrets);
            }
        }
        if setup.own_ipc && Path::new(QUEUES).is_dir() {
            writable.push(place(QUEUES.as_bytes())?);
        }
        for path in &setup.guarded {
            let guarded = place(path)?;
            kept.extend(entries(&guarded.path)?);
            writable.push(guarded);
        }
        writable.sort_by(|a, b| a.path.cmp(&b.path));
        writable.dedup_by(|a, b| a.path == b.path);

        let (uid, _) = process::user();
        // An image need not have one.
        let passwd = fs::read("/etc/passwd").unwrap_or_default();
        let place = Place {
            writable,
            kept,
            walls: Walls::Container { first: std::process::id() == 1 },
            confinement: Confinement::by_engine(limits(&setup.limits)?),
            environment: Environment::inherited(uid, &passwd, &workspace).with(&setup.env),
            ..Place::directory(workspace)
        };
        Ok(Self { place, missing })
    }
}

fn is_below(rest: &[u8]) -> bool {
    rest.len() > 1 && rest.starts_with(b"/")
}

/// A path without links in it.
fn real(path: &[u8]) -> Result<Vec<u8>, String> {
    let path = Path::new(OsStr::from_bytes(path));
    let real = fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(real.into_os_string().into_vec())
}

fn place(path: &[u8]) -> Result<Writable, String> {
    let path = real(path)?;
    let shown = Path::new(OsStr::from_bytes(&path));
    let metadata = fs::metadata(shown).map_err(|error| format!("{}: {error}", shown.display()))?;
    if !metadata.is_dir() || path == b"/" {
        return Err(format!("{} is no directory to wipe", shown.display()));
    }
    Ok(Writable::new(path, 0, metadata.mode() & MODE_BITS))
}

fn entries(directory: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let directory = Path::new(OsStr::from_bytes(directory));
    let failed = |error| format!("{}: {error}", directory.display());
    let list = fs::read_dir(directory).map_err(failed)?;
    list.map(|entry| entry.map(|entry| entry.path().into_os_string().into_vec()).map_err(failed)).collect()
}

fn limits(limits: &ContainerLimits) -> Result<Vec<Limit>, String> {
    let wanted = [
        (limit::OPEN_FILES, limits.open_files),
        (limit::PROCESSES, limits.processes),
        (limit::FILE_SIZE, limits.file_size),
        (limit::CORE, limits.core),
    ];
    wanted
        .into_iter()
        .filter_map(|(resource, value)| Some((resource, value?)))
        .map(|(resource, value)| {
            // A hard limit can only be lowered.
            let hard = limit::hard(0, resource).map_err(|errno| format!("read a limit: {errno}"))?;
            Ok(Limit { resource, value: value.min(hard) })
        })
        .collect()
}
