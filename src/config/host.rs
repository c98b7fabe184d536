//! What only this host can say about a config. Looks, and changes nothing.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use crate::model::{IsolationLevel, PoolSpec, ProcessSpec};

use super::setting::quoted;

/// What a template may hold.
const TEMPLATE_BYTES: u64 = 64 << 20;
const TEMPLATE_ENTRIES: usize = 100_000;

/// Where programs are looked for inside a runtime whose `env` has no `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// See [`Config::state_dir`](super::Config::state_dir).
pub(super) fn default_state_dir() -> PathBuf {
    let user = rustix::process::geteuid();
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    match session {
        Some(dir) => dir.join("ostler"),
        None if user.is_root() => PathBuf::from("/run/ostler"),
        None => std::env::temp_dir().join(format!("ostler-{}", user.as_raw())),
    }
}

/// Whether files can be made in `dir`, or it in the nearest directory above that exists.
pub(super) fn can_write(dir: &Path) -> Result<(), String> {
    let existing = dir.ancestors().find(|dir| fs::symlink_metadata(dir).is_ok());
    let Some(existing) = existing else { return Err("is not a path in any directory".to_owned()) };
    let above = if existing == dir { None } else { Some(existing.display()) };
    if !existing.is_dir() {
        return Err(match above {
            None => "is not a directory".to_owned(),
            Some(above) => format!("cannot be made: {above} is not a directory"),
        });
    }
    if above.is_none() {
        can_trust(dir)?;
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, existing, wanted, AtFlags::EACCESS).map_err(|error| match above {
        None => format!("cannot be written to: {error}"),
        Some(above) => format!("cannot be made in {above}: {error}"),
    })
}

/// Whether nobody but root and ourselves can change what is kept in `dir`, or put another directory in its place. What
/// is not there can be trusted.
pub(crate) fn can_trust(dir: &Path) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    let is_strange = |found: &fs::Metadata| found.uid() != 0 && found.uid() != own;
    // A link first, as it may have been put there by somebody else than what it leads to.
    for look in [fs::symlink_metadata::<&Path>, fs::metadata::<&Path>] {
        let Ok(found) = look(dir) else { return Ok(()) };
        if is_strange(&found) {
            let what = if found.is_symlink() { "is a link of" } else { "belongs to" };
            return Err(format!("{what} another user, {}, who could change what is kept in it", found.uid()));
        }
        if found.is_dir() && found.mode() & 0o1002 == 0o002 {
            return Err("can be changed by everybody, and so could what is kept in it".to_owned());
        }
    }
    Ok(())
}

/// Whether all of a template can be read and it is not too much.
pub(super) fn check_template(dir: &Path) -> Result<(), String> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        let within = if path == dir { String::new() } else { format!("{} in it ", path.display()) };
        format!("{within}cannot be read: {error}")
    };
    let root = fs::metadata(dir).map_err(|error| unreadable(dir, &error))?;
    if !root.is_dir() {
        return Err("is not a directory".to_owned());
    }
    let (mut bytes, mut entries) = (0_u64, 0);
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| unreadable(&directory, &error))? {
            let path = entry.map_err(|error| unreadable(&directory, &error))?.path();
            let found = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, &error))?;
            entries += 1;
            if found.is_dir() {
                directories.push(path);
            } else if found.is_file() {
                bytes = bytes.saturating_add(found.len());
                File::open(&path).map_err(|error| unreadable(&path, &error))?;
            }
            if bytes > TEMPLATE_BYTES {
                return Err("holds more than 64MiB".to_owned());
            }
            if entries > TEMPLATE_ENTRIES {
                return Err(format!("holds more than {TEMPLATE_ENTRIES} files and directories"));
            }
        }
    }
    Ok(())
}

/// What a sandbox has of its own, so that the host's can't be shown there: itself, and with `true` all below it.
const OWN: [(&str, bool); 7] = [
    ("/", false),
    ("/dev", false),
    ("/etc", false),
    ("/proc", true),
    ("/work", true),
    ("/tmp", true),
    ("/dev/shm", true),
];

/// Whether the paths to show inside are there, and can be shown. Of the default ones a host need not have all.
pub(super) fn check_read_only(process: &ProcessSpec) -> Result<(), String> {
    for path in &process.read_only {
        let shown = quoted(&path.to_string_lossy());
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(format!("{shown} leads upwards: the path itself is wanted"));
        }
        let is_own = |(own, below): (&str, bool)| path == Path::new(own) || below && path.starts_with(own);
        if process.isolation != IsolationLevel::Basic && OWN.into_iter().any(is_own) {
            return Err(format!("{shown} can't be shown, a sandbox has its own"));
        }
    }
    let usual = ProcessSpec::default().read_only;
    let missing =
        |path: &&PathBuf| path.is_absolute() && !usual.contains(path) && fs::metadata(path).is_err();
    let missing: Vec<_> =
        process.read_only.iter().filter(missing).map(|path| quoted(&path.to_string_lossy())).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("there is no {}", missing.join(", "))) }
}

/// Whether `program` can be run inside a runtime.
pub(super) fn check_program(program: &str, spec: &PoolSpec, process: &ProcessSpec) -> Result<(), String> {
    let shown = quoted(program);
    if program.starts_with('/') {
        return match is_inside(Path::new(program), process) {
            false => Err(format!("{shown} is not inside the runtime: no path of process.read_only holds it")),
            true if is_program(Path::new(program)) => Ok(()),
            true => Err(format!("there is no program {shown}")),
        };
    }
    if program.contains('/') {
        return match &spec.template {
            None => Err(format!("there is no {shown}: without a template the workspace is empty")),
            Some(template) if is_program(&template.join(program)) => Ok(()),
            Some(template) => {
                Err(format!("there is no program {shown} in the template {}", template.display()))
            }
        };
    }
    let path = spec.env.get("PATH").map_or(PATH, String::as_str);
    let found = path
        .split(':')
        .map(|dir| Path::new(dir).join(program))
        .any(|path| is_inside(&path, process) && is_program(&path));
    if found { Ok(()) } else { Err(format!("there is no program {shown} inside the runtime")) }
}

/// Whether a host path is seen inside the runtime.
fn is_inside(path: &Path, process: &ProcessSpec) -> bool {
    process.isolation == IsolationLevel::Basic
        || process.read_only.iter().any(|shown| path.starts_with(shown))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
