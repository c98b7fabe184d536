//! Becoming the guest of a container.
//!
//! ```text
//!  engine ──starts──▶ guest, as PID 1 or below the engine's own init
//!                       │ control and data: two connections to a socket, or two halves of stdin and stdout
//!                       ▼
//!  host ──ContainerSetup──▶ place, limits, secrets, service ──ContainerReport──▶ host; then it serves
//! ```
//!
//! The engine has made the walls, so the guest makes none, and what the engine forbids it does without.

mod attach;
mod link;
mod mounts;
mod plan;
mod setup;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::arguments::Door;
use crate::guest::Guest;
use crate::init;
use crate::processes::Marks;
use crate::protocol::{ContainerReport, ContainerSetup, EXIT_NO_GUEST, Missing};
use crate::service::Service;
use crate::standing::Standing;
use crate::stream::Stream;
use crate::sys::{Errno, descriptor, process, signal};
use crate::upkeep::{Secrets, Upkeep};
pub(crate) use attach::{Attach, Moved};
use plan::Plan;
use setup::Heard;

/// The exit status when TERM came before the setup did.
const TERMINATED: u8 = 128 + 15;

fn failed(step: &'static str) -> impl Fn(Errno) -> String {
    move |errno| format!("{step}: {errno}")
}

/// Serves until the host, the engine or the service ends it; answers the exit status.
///
/// # Errors
/// What made it impossible, for people.
pub(crate) fn run(door: &Door) -> Result<u8, String> {
    signal::block_all().map_err(failed("block signals"))?;
    process::hide().map_err(failed("hide from other processes"))?;
    process::adopt_orphans().map_err(failed("adopt orphans"))?;
    let nothing = init::nothing().map_err(failed("open nothing"))?;
    let stderr = keep(std::io::stderr().as_fd())?;
    let (streams, log, attach) = match door {
        Door::Link(path) => {
            let stdout = keep(std::io::stdout().as_fd())?;
            (link::connect(path)?, [stdout, stderr], None)
        }
        Door::Attach => {
            let (stdin, stdout) = (keep(std::io::stdin().as_fd())?, keep(std::io::stdout().as_fd())?);
            // Nobody else may write to the stream, so a service says everything on the other one.
            let log = [keep(stderr.as_fd())?, stderr];
            descriptor::put_at(nothing.as_fd(), 1).map_err(failed("set stdout aside"))?;
            let (attach, streams) = Attach::new(stdin, stdout)?;
            (streams, log, Some(attach))
        }
    };
    // The engine's stdin is nobody else's business.
    descriptor::put_at(nothing.as_fd(), 0).map_err(failed("set stdin aside"))?;
    serve(streams, attach, nothing, log)
}

fn keep(fd: BorrowedFd<'_>) -> Result<OwnedFd, String> {
    fd.try_clone_to_owned().map_err(|error| format!("keep a stream: {error}"))
}

/// Serves over two streams; a service's output goes to `log`.
fn serve(
    [control, data]: [OwnedFd; 2],
    mut attach: Option<Attach>,
    nothing: OwnedFd,
    log: [OwnedFd; 2],
) -> Result<u8, String> {
    descriptor::close_on_exec_from(3).map_err(failed("close descriptors on exec"))?;
    std::env::set_current_dir("/").map_err(|error| format!("change to /: {error}"))?;
    let mut control = Stream::new(control).map_err(failed("set up the control stream"))?;
    let data = Stream::new(data).map_err(failed("set up the data stream"))?;
    let setup = match setup::hear(&mut control, attach.as_mut())? {
        Heard::Setup(setup) => setup,
        Heard::Term => return Ok(TERMINATED),
    };
    let Plan { place, mut missing } = match Plan::new(&setup) {
        Ok(plan) => plan,
        Err(failure) => return refuse(control, attach, failure),
    };
    let marks = Marks::new().map_err(failed("read the limits"))?;
    if !marks.are_available() {
        let why = "RLIMIT_RTTIME is taken; a timeout kills sessions and descendants only".to_owned();
        missing.push(Missing { part: "marks on processes".to_owned(), why });
    }
    let mut guest = Guest::new(place, control, data, nothing, marks).map_err(failed("start"))?;
    if let Some(attach) = attach {
        guest.attach(attach).map_err(failed("watch the attach stream"))?;
    }
    match outfit(&mut guest, *setup, log) {
        Ok(()) => {
            tell(&mut guest, missing, None);
            guest.serve().map_err(failed("wait for events"))
        }
        Err(failure) => {
            tell(&mut guest, missing, Some(failure));
            guest.leave();
            guest.serve().map_err(failed("wait for events")).map(|_| EXIT_NO_GUEST)
        }
    }
}

/// Everything a reset does too.
fn outfit(guest: &mut Guest, setup: ContainerSetup, [stdout, stderr]: [OwnedFd; 2]) -> Result<(), String> {
    let secrets = Secrets { directory: setup.secrets_directory, files: setup.secrets };
    secrets.write().map_err(|refusal| refusal.message)?;
    guest.upkeep = Upkeep { own_ipc: setup.own_ipc, secrets, standing: Standing::take() };
    if let Some(plan) = setup.service {
        guest.service = Some(Service::new(plan, stdout, stderr));
        guest.start_service().map_err(|refusal| refusal.message)?;
    }
    Ok(())
}

fn tell(guest: &mut Guest, missing: Vec<Missing>, failure: Option<String>) {
    let report = report(missing, failure);
    if let Some(control) = guest.stream(crate::stream::Side::Control) {
        control.say(|out| report.encode(out));
    }
}

fn refuse(mut control: Stream, attach: Option<Attach>, failure: String) -> Result<u8, String> {
    control.say(|out| report(Vec::new(), Some(failure.clone())).encode(out));
    control.flush().map_err(|_| failure)?;
    drop(control);
    if let Some(attach) = attach {
        attach.finish();
    }
    Ok(EXIT_NO_GUEST)
}

fn report(missing: Vec<Missing>, failure: Option<String>) -> ContainerReport {
    let pid = std::process::id();
    let (uid, gid) = process::user();
    ContainerReport { pid, first: pid == 1, uid, gid, missing, failure }
}
