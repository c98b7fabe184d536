//! The file tree a sandbox sees: the host's programs, read-only, on a root of its own.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::etc;
use super::remains::path;
use super::step::Step;
use crate::place::Writable;
use crate::protocol::{Mount, Network, Setup};
use crate::sys::mount::{self, View, attribute, flag};

/// Where the new root is put together, out of anybody's sight: the mount namespace is ours already. One that
/// exists is enough.
const STAGES: [&str; 4] = ["/tmp", "/run", "/mnt", "/var"];
/// Room for a few small files and many mount points.
const ROOT_SIZE: u64 = 4 << 20;

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
];
/// Parts of /proc that say more about the host than a sandbox needs, where a user may read them at all.
const MASKED: [&str; 5] =
    ["proc/kcore", "proc/keys", "proc/timer_list", "proc/sched_debug", "proc/sysrq-trigger"];

/// Something to put into the new root. Taken from the old one before the new one hides it.
enum Part {
    View(View, Shape),
    Link(PathBuf),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Directory,
    File,
}

/// Builds the tree and makes it this process's root.
pub(super) fn build(setup: &Setup, writable: &[Writable]) -> Result<(), String> {
    mount::change(c"/", flag::REC | flag::PRIVATE).step("keep mounts to ourselves")?;
    let parts = collect(setup)?;
    stage()?;
    for (target, part) in parts {
        put(&target, part).step(format_args!("show {}", target.display()))?;
    }
    etc::write(setup).step("write /etc")?;
    for (target, link) in DEVICE_LINKS {
        symlink(target, link).step(format_args!("link {link}"))?;
    }
    fs::create_dir("proc").step("make /proc")?;
    let hidden = flag::NOSUID | flag::NODEV | flag::NOEXEC | flag::RDONLY;
    mount::mount(c"proc", c"proc", hidden, c"").step("mount /proc")?;
    for file in MASKED.iter().map(Path::new).filter(|file| file.exists()) {
        mask(file).step(format_args!("mask {}", file.display()))?;
    }
    for place in writable {
        let target = inside(path(&place.path))?;
        fs::create_dir_all(&target).step(format_args!("make {}", target.display()))?;
        let at = text(&target)?;
        mount::fresh(&at, place.size, place.mode).step(format_args!("mount {}", target.display()))?;
    }
    mount::become_root().step("change root")?;
    let finished = flag::REMOUNT | flag::BIND | flag::RDONLY | flag::NOSUID | flag::NODEV;
    mount::change(c"/", finished).step("make the root read-only")
}

/// All that is shown of the host, with its place in the new root. What the host doesn't have is left out.
fn collect(setup: &Setup) -> Result<Vec<(PathBuf, Part)>, String> {
    let mut mounts: Vec<&Mount> = setup.mounts.iter().collect();
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    let mut parts = Vec::new();
    let mut add = |target: &Path, part: Option<Part>| -> Result<(), String> {
        if let Some(part) = part {
            parts.push((inside(target)?, part));
        }
        Ok(())
    };
    let system = attribute::RDONLY | attribute::NOSUID | attribute::NODEV;
    for Mount { source, target } in &mounts {
        let (source, target) = (path(source), path(target));
        let part = match link(source, target, &mounts) {
            Some(link) => Some(Part::Link(link)),
            None => view(source, system)?,
        };
        add(target, part)?;
    }
    let network = (setup.network == Network::Host).then_some(Path::new("/etc/resolv.conf"));
    for source in etc::SHOWN.iter().map(Path::new).chain(network) {
        add(source, view(source, system)?)?;
    }
    for device in DEVICES {
        let source = Path::new("/dev").join(device);
        // Read-only is the file, with its times; what it leads to is written to all the same.
        add(&source, view(&source, attribute::RDONLY | attribute::NOSUID | attribute::NOEXEC)?)?;
    }
    Ok(parts)
}

/// A link stays a link when it stays at its place and what it says leads to somewhere inside as well.
fn link(source: &Path, target: &Path, mounts: &[&Mount]) -> Option<PathBuf> {
    let says = fs::read_link(source).ok().filter(|_| source == target)?;
    let leads = source.parent()?.join(&says);
    mounts
        .iter()
        .any(|other| path(&other.target) != target && leads.starts_with(path(&other.target)))
        .then_some(says)
}

fn view(source: &Path, attributes: u64) -> Result<Option<Part>, String> {
    let kind = match fs::metadata(source) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).step(format_args!("look at {}", source.display())),
    };
    let shape = if kind.is_dir() { Shape::Directory } else { Shape::File };
    let view = View::of(&text(source)?).step(format_args!("take a view of {}", source.display()))?;
    let attributes = if kind.is_char_device() { attributes & !attribute::NODEV } else { attributes };
    view.restrict(attributes).step(format_args!("restrict the view of {}", source.display()))?;
    Ok(Some(Part::View(view, shape)))
}

/// Mounts the empty new root and goes there; from here on relative paths lead into it.
fn stage() -> Result<(), String> {
    let stage =
        STAGES.into_iter().find(|stage| Path::new(stage).is_dir()).ok_or("no directory to stage in")?;
    mount::fresh(&text(Path::new(stage))?, ROOT_SIZE, 0o755).step("mount the new root")?;
    std::env::set_current_dir(stage).step("enter the new root")
}

fn put(target: &Path, part: Part) -> Result<(), String> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).step("make its parent")?;
    }
    match part {
        Part::Link(says) => symlink(says, target).step("link"),
        Part::View(view, shape) => {
            match shape {
                Shape::Directory => fs::create_dir_all(target).step("make its place")?,
                // One that is there already lies in a directory shown before.
                Shape::File if target.exists() => {}
                Shape::File => File::create(target).map(drop).step("make its place")?,
            }
            view.put(&text(target)?).step("mount")
        }
    }
}

fn mask(file: &Path) -> Result<(), String> {
    let nothing = View::of(c"dev/null").step("take a view of /dev/null")?;
    nothing.put(&text(file)?).step("mount")
}

/// A path of the sandbox as one relative to the new root.
fn inside(target: &Path) -> Result<PathBuf, String> {
    let wrong = || format!("{} is no place inside", target.display());
    let rest = target.strip_prefix("/").map_err(|_| wrong())?;
    let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && rest != OsStr::new("") { Ok(rest.to_owned()) } else { Err(wrong()) }
}

fn text(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).step("a path")
}
