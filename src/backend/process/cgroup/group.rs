use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::discover::{hand_down, lacking};
use super::{Controller, Group, Hierarchy, Version};
use crate::backend::outside::Quota;
use crate::model::Limits;

/// Directory of all ostlers.
pub(super) const TOP: &str = "ostler";
/// How often and how long apart a cgroup whose processes are just dying is tried again.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);
/// The scheduler's period, microseconds: the kernel's default.
const PERIOD: u64 = 100_000;
/// The kernel refuses less, microseconds.
const LEAST_QUOTA: u64 = 1_000;

impl Group {
    /// Adds this runtime's directory in one hierarchy.
    pub(super) fn add(&mut self, hierarchy: &Hierarchy, life: &str, name: &str, limits: &Limits) {
        let top = hierarchy.base.join(TOP);
        let parent = top.join(life);
        let directory = parent.join(name);
        if let Err(why) = make(hierarchy, [&top, &parent], &directory) {
            self.missing.extend(hierarchy.controllers.iter().map(|controller| lacking(*controller, &why)));
            return;
        }
        for &controller in &hierarchy.controllers {
            match limit(hierarchy.version, controller, &directory, limits) {
                Ok(()) if controller == Controller::Memory => self.memory = true,
                Ok(()) if controller == Controller::Cpu => {
                    self.quota = Some(processors(hierarchy.version, &directory, limits));
                }
                Ok(()) => {}
                Err(why) => self.missing.push(lacking(controller, &why)),
            }
        }
        self.directories.push(directory);
        self.parents.extend([parent, top]);
    }
}

fn make(hierarchy: &Hierarchy, parents: [&PathBuf; 2], directory: &Path) -> Result<(), String> {
    for attempt in 0..TRIES {
        // Where version 2 has them, they may not hand down yet what this runtime needs.
        if attempt > 0 || hierarchy.version == Version::Two {
            make_parents(hierarchy, parents)?;
        }
        match fs::create_dir(directory) {
            // The first of all, or a keeper has just removed the parents, which were empty.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other.map_err(|error| named(directory, &error)),
        }
    }
    Err(format!("{}: its parents vanish", directory.display()))
}

fn make_parents(hierarchy: &Hierarchy, parents: [&PathBuf; 2]) -> Result<(), String> {
    for parent in parents {
        match fs::create_dir(parent) {
            Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
                return Err(named(parent, &error));
            }
            _ => {}
        }
        if hierarchy.version == Version::Two {
            hierarchy.controllers.iter().try_for_each(|controller| hand_down(parent, *controller))?;
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn limit(version: Version, controller: Controller, directory: &Path, limits: &Limits) -> Result<(), String> {
    let write = |file: &str, value: String| {
        let file = directory.join(file);
        fs::write(&file, value).map_err(|error| named(&file, &error))
    };
    match (controller, version) {
        (Controller::Memory, Version::One) => {
            let bytes = limits.memory.unwrap_or(u64::MAX).to_string();
            write("memory.limit_in_bytes", bytes.clone())?;
            // Kernels that don't count swap don't have it.
            if_there(directory, "memory.memsw.limit_in_bytes", &bytes)
        }
        (Controller::Memory, Version::Two) => {
            write("memory.max", limits.memory.map_or("max".to_owned(), |bytes| bytes.to_string()))?;
            if_there(directory, "memory.swap.max", "0")
        }
        // The guest is one of them, and is not to be counted.
        (Controller::Pids, _) => {
            write("pids.max", limits.pids.map_or("max".to_owned(), |pids| (pids + 1).to_string()))
        }
        (Controller::Cpu, _) => {
            if version == Version::One {
                write("cpu.cfs_period_us", PERIOD.to_string())?;
            }
            let Quota { file, limit, .. } = processors(version, directory, limits);
            fs::write(&file, limit).map_err(|error| named(&file, &error))
        }
    }
}

/// How a limit on processor time is written.
fn processors(version: Version, directory: &Path, limits: &Limits) -> Quota {
    let quota = quota(limits).map(|quota| quota.to_string());
    match version {
        Version::One => Quota {
            file: directory.join("cpu.cfs_quota_us"),
            limit: quota.unwrap_or_else(|| "-1".to_owned()),
            unlimited: "-1".to_owned(),
        },
        Version::Two => Quota {
            file: directory.join("cpu.max"),
            limit: format!("{} {PERIOD}", quota.as_deref().unwrap_or("max")),
            unlimited: format!("max {PERIOD}"),
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the cast saturates, and so large a quota is none"
)]
fn quota(limits: &Limits) -> Option<u64> {
    limits.cpus.map(|cpus| ((cpus * PERIOD as f64) as u64).max(LEAST_QUOTA))
}

fn if_there(directory: &Path, file: &str, value: &str) -> Result<(), String> {
    let file = directory.join(file);
    if file.exists() { fs::write(&file, value).map_err(|error| named(&file, &error)) } else { Ok(()) }
}

/// Kills all in a cgroup that belongs to a runtime of ours and removes it. One that is gone is no error.
pub(in super::super) fn kill_and_remove(directory: &Path) -> io::Result<()> {
    for _ in 1..TRIES {
        match remove_if_there(directory) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => kill_all(directory)?,
            other => return other,
        }
        sleep(PAUSE);
    }
    remove_if_there(directory)
}

fn kill_all(directory: &Path) -> io::Result<()> {
    let list = match fs::read_to_string(directory.join("cgroup.procs")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    // A pid of 0 would be one in a namespace we can't see.
    for pid in list.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        match kill_process(pid, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn remove_if_there(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a directory with nothing in it; leaves one that is in use.
pub(in super::super) fn remove_if_empty(directory: &Path) -> io::Result<()> {
    match remove_if_there(directory) {
        Err(error) if matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::DirectoryNotEmpty) => {
            Ok(())
        }
        other => other,
    }
}
