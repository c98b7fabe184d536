//! The keeper's side of starting a guest: make the child, give it its ids, hear how it went.

use std::fs::{self, File};
use std::io::Write;

use super::cgroups::Cgroups;
use super::child;
use super::etc::INSIDE;
use super::started::Started;
use super::step::Step;
use super::watch::Watch;
use crate::place::Walls;
use crate::protocol::{FrameBuffer, Missing, Network, Setup, SetupReport};
use crate::sys::namespace::{self, Side, new};
use crate::sys::{descriptor, process};

/// How much less willingly than its commands the guest lets others go first: it shares its processors with them, and
/// must be able to end them however many they are.
const HEAD_START: i32 = 20;

/// Starts a guest. What it had to do without is added to `missing`.
///
/// # Errors
/// The step that failed; there is then no guest.
pub(super) fn start(
    setup: &Setup,
    walls: Walls,
    watch: &Watch,
    missing: &mut Vec<Missing>,
) -> Result<Started, String> {
    let program = File::open("/proc/self/exe").step("open the guest program")?;
    let (go_reader, go) = descriptor::pipe().step("make a pipe")?;
    let (status, status_writer) = descriptor::pipe().step("make a pipe")?;
    let namespaces = match (walls, setup.network) {
        (Walls::Shared | Walls::Container { .. }, _) => 0,
        (Walls::Private, Network::Host) => new::USER | new::PID | new::MOUNT | new::IPC | new::UTS,
        (Walls::Private, Network::None) => new::USER | new::PID | new::MOUNT | new::IPC | new::UTS | new::NET,
    };
    let cgroups = Cgroups::open(setup, missing);
    let niceness = process::niceness().step("look at the priority")?;
    let pid = match namespace::split(namespaces, cgroups.cradle()).step("make namespaces")? {
        Side::Child { born_there } => {
            drop((go, status));
            let mut missing = Vec::new();
            cgroups.enter(born_there, &mut missing);
            child::run(setup, walls, niceness, missing, &program, &go_reader.into(), &status_writer.into())
        }
        Side::Parent(pid) => pid,
    };
    drop((cgroups, go_reader, status_writer));
    let started = Started { pid, walls };
    // An ordinary user may not; then they have the same chances.
    let _equal = process::set_niceness(pid, niceness - HEAD_START);
    match admit(setup, &started).and_then(|()| {
        File::from(go).write_all(&[1]).step("let the child go on")?;
        hear(&watch.read_to_end(&status.into())?, missing)
    }) {
        Ok(()) => Ok(started),
        Err(failure) => {
            started.discard();
            Err(failure)
        }
    }
}

/// Gives the child what only its parent can: ids in its user namespace.
fn admit(setup: &Setup, started: &Started) -> Result<(), String> {
    if started.walls == Walls::Shared {
        return Ok(());
    }
    let pid = started.pid;
    let map = |outside: u32| format!("{INSIDE} {outside} 1");
    let gid_map = format!("/proc/{pid}/gid_map");
    if fs::write(&gid_map, map(setup.gid)).is_err() {
        // An ordinary user may map its own group once nobody inside can leave groups any more.
        fs::write(format!("/proc/{pid}/setgroups"), "deny").step("give up supplementary groups")?;
        fs::write(&gid_map, map(setup.gid)).step(format_args!("map group {}", setup.gid))?;
    }
    fs::write(format!("/proc/{pid}/uid_map"), map(setup.uid)).step(format_args!("map user {}", setup.uid))
}

/// What the child said until it had become the guest, which closed its end.
fn hear(said: &[u8], missing: &mut Vec<Missing>) -> Result<(), String> {
    let mut frames = FrameBuffer::new();
    frames.extend(said);
    let mut heard = Err("the child ended before it was the guest".to_owned());
    while let Some(frame) = frames.cut().map_err(|wrong| wrong.to_string())? {
        let report = SetupReport::decode(&frame).map_err(|wrong| wrong.to_string())?;
        missing.extend(report.missing);
        heard = report.failure.map_or(Ok(()), Err);
    }
    heard
}
