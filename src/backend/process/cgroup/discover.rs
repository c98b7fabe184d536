use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{Controller, Hierarchy, Version};
use crate::protocol::Missing;

/// A mounted cgroup hierarchy, and where in it this process is.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    version: Version,
    controllers: Vec<Controller>,
    own: PathBuf,
    /// The topmost directory in sight.
    top: PathBuf,
}

/// Where each of the wanted controllers can be used; where it can't, why.
pub(super) fn discover(wanted: &[Controller]) -> (Vec<Hierarchy>, Vec<Missing>) {
    let mounted = match (fs::read_to_string("/proc/self/mountinfo"), fs::read_to_string("/proc/self/cgroup"))
    {
        (Ok(mounts), Ok(cgroups)) => parse(&mounts, &cgroups),
        (Err(error), _) | (_, Err(error)) => return (Vec::new(), all_missing(wanted, &error)),
    };
    let mut hierarchies = Vec::new();
    let mut missing = Vec::new();
    for &controller in wanted {
        if let Err(why) = place(controller, &mounted, &mut hierarchies) {
            missing.push(lacking(controller, &why));
        }
    }
    (hierarchies, missing)
}

fn all_missing(wanted: &[Controller], error: &io::Error) -> Vec<Missing> {
    wanted.iter().map(|controller| lacking(*controller, &error.to_string())).collect()
}

pub(super) fn lacking(controller: Controller, why: &str) -> Missing {
    Missing { part: format!("{} cgroup", controller.name()), why: why.to_owned() }
}

/// Finds one controller a hierarchy to be used in.
fn place(
    controller: Controller,
    mounted: &[Mounted],
    hierarchies: &mut Vec<Hierarchy>,
) -> Result<(), String> {
    let mut why = "no hierarchy has it".to_owned();
    for mount in mounted.iter().filter(|mount| mount.controllers.contains(&controller)) {
        let base = match mount.version {
            Version::One => writable(&mount.own).map(|()| mount.own.clone()),
            Version::Two => delegated(mount, controller),
        };
        match base {
            Ok(base) => {
                add(hierarchies, mount.version, base, controller);
                return Ok(());
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn add(hierarchies: &mut Vec<Hierarchy>, version: Version, base: PathBuf, controller: Controller) {
    match hierarchies.iter_mut().find(|known| known.base == base) {
        Some(known) => known.controllers.push(controller),
        None => hierarchies.push(Hierarchy { version, base, controllers: vec![controller] }),
    }
}

fn writable(directory: &Path) -> Result<(), String> {
    access(directory, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("{}: {error}", directory.display()))
}

/// In version 2 a controller must be handed down by the directory above. Our own directory can do that only
/// when no process is in it; the one above it may do so already and be ours to write to, as below a user's
/// service manager.
fn delegated(mount: &Mounted, controller: Controller) -> Result<PathBuf, String> {
    let own = writable(&mount.own).and_then(|()| hand_down(&mount.own, controller));
    let Err(why) = own else {
        return Ok(mount.own.clone());
    };
    let above = mount.own.parent().filter(|above| above.starts_with(&mount.top));
    match above.filter(|above| writable(above).is_ok() && hands_down(above, controller)) {
        // Moving a process from our cgroup to one beside it takes leave to write to the one above both.
        Some(above) if access(above.join("cgroup.procs"), Access::WRITE_OK).is_ok() => Ok(above.to_owned()),
        _ => Err(why),
    }
}

fn hands_down(directory: &Path, controller: Controller) -> bool {
    fs::read_to_string(directory.join("cgroup.subtree_control"))
        .is_ok_and(|list| list.split_whitespace().any(|name| name == controller.name()))
}

/// Has a directory hand a controller down to those below it.
pub(super) fn hand_down(directory: &Path, controller: Controller) -> Result<(), String> {
    if hands_down(directory, controller) {
        return Ok(());
    }
    let file = directory.join("cgroup.subtree_control");
    fs::write(&file, format!("+{}", controller.name()))
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn parse(mounts: &str, cgroups: &str) -> Vec<Mounted> {
    mounts.lines().filter_map(|line| parse_mount(line, cgroups)).collect()
}

fn parse_mount(line: &str, cgroups: &str) -> Option<Mounted> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let version = match kind {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let path = own_path(version, options, cgroups)?;
    let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let top = PathBuf::from(point);
    let own = if inside.as_os_str().is_empty() { top.clone() } else { top.join(inside) };
    let controllers = match version {
        Version::One => named(options.split(',')),
        Version::Two => named(fs::read_to_string(own.join("cgroup.controllers")).ok()?.split_whitespace()),
    };
    Some(Mounted { version, controllers, own, top })
}

/// This process's path in the hierarchy with these mount options.
fn own_path<'a>(version: Version, options: &str, cgroups: &'a str) -> Option<&'a str> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let matches = match version {
            Version::Two => number == "0",
            Version::One => {
                number != "0" && names.split(',').all(|name| options.split(',').any(|option| option == name))
            }
        };
        matches.then_some(path)
    })
}

fn named<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Controller> {
    names.filter_map(|name| Controller::ALL.into_iter().find(|known| known.name() == name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_found_where_this_process_is() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      39 31 0:36 /jobs /sys/fs/cgroup/pids rw,relatime shared:4 - cgroup cgroup rw,pids\n";
        let cgroups = "8:pids:/jobs/7\n4:memory:/a/b\n0::/\n";
        let found = parse(mounts, cgroups);
        let own: Vec<_> = found.iter().map(|mount| mount.own.to_str().unwrap()).collect();
        assert_eq!(own, ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/pids/7"]);
        assert_eq!(found[0].controllers, [Controller::Memory]);
    }

    #[test]
    fn controllers_mounted_together_are_one_hierarchy() {
        let mounts = "32 31 0:29 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        let found = parse(mounts, "1:cpu,cpuacct:/x\n");
        assert_eq!(found[0].own, Path::new("/cg/cpu,cpuacct/x"));
        assert_eq!(found[0].controllers, [Controller::Cpu]);
    }

    #[test]
    fn other_mounts_are_none() {
        assert_eq!(parse("22 27 0:21 / /proc rw - proc proc rw\nnonsense\n", "0::/\n"), []);
    }

    #[test]
    fn what_nobody_has_is_missing_with_a_reason() {
        let mut hierarchies = Vec::new();
        let why = place(Controller::Memory, &[], &mut hierarchies).unwrap_err();
        assert_eq!(why, "no hierarchy has it");
        assert!(hierarchies.is_empty());
    }

    #[test]
    fn version_2_is_used_where_controllers_are_handed_down() {
        let above = tempfile::tempdir().unwrap();
        let own = above.path().join("session");
        fs::create_dir(&own).unwrap();
        for (directory, list) in [(above.path(), "memory pids"), (&own, "")] {
            fs::write(directory.join("cgroup.subtree_control"), list).unwrap();
            fs::write(directory.join("cgroup.procs"), "").unwrap();
        }
        let mount = Mounted {
            version: Version::Two,
            controllers: vec![Controller::Memory],
            own: own.clone(),
            top: above.path().to_owned(),
        };
        // A kernel would refuse to hand down where processes are; a directory stands in for that.
        fs::remove_file(own.join("cgroup.subtree_control")).unwrap();
        fs::create_dir(own.join("cgroup.subtree_control")).unwrap();
        assert_eq!(delegated(&mount, Controller::Memory).unwrap(), above.path());
        assert!(delegated(&mount, Controller::Cpu).is_err());
    }
}
