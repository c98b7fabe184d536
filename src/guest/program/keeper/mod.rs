//! Makes a runtime's walls before there is a guest, and cleans up after it.
//!
//! ```text
//!  host ──spawns──▶ keeper ──clones──▶ child ──execs──▶ guest (PID 1 of its namespace)
//!                     │                  │
//!                     │ ids              │ cgroups, mounts, limits, filter     told to the host in a SetupReport
//!                     ▼                  ▼
//!                   waits for the guest's end, and for the host's
//! ```
//!
//! The keeper stays outside of all namespaces with the host's own rights. It ends with its guest and passes
//! its status on. When the host is killed, however suddenly, the kernel tells the keeper, which kills the
//! guest and removes the cgroups and the workspace directory. When the keeper is killed, the guest is too.

mod attempt;
mod basic;
mod cgroups;
mod child;
mod etc;
mod filter;
mod remains;
mod root;
mod sandbox;
mod started;
mod step;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use crate::place::Walls;
use crate::protocol::{
    EXIT_NO_GUEST, FrameBuffer, HEADER, Isolation, Missing, Setup, SetupReport, payload_length,
};
use crate::sys;
use remains::Remains;
use started::Started;
use step::Step;
use watch::Watch;

/// Runs the keeper until its guest has ended, and answers the guest's status.
///
/// # Errors
/// What made it impossible, for people.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode, String> {
    let parent = match arguments {
        [name, value] if name == "--parent" => value.to_str().and_then(|text| text.parse().ok()),
        _ => None,
    };
    let parent = parent.ok_or("keeper wants --parent PID and nothing else")?;
    // The host's other descriptors are none of the keeper's business, nor are its terminal and its umask.
    sys::descriptor::close_from(3).step("close descriptors")?;
    sys::process::new_session().step("leave the host's session")?;
    sys::namespace::set_umask(0o022);
    let watch = Watch::over(parent)?;
    let setup = read_setup()?;

    let remains = Remains::of(&setup);
    let (report, started) = start(&setup, &watch);
    let told = tell(&report);
    // The guest's ends of the streams are the only ones from here on, so that their closing means its end.
    let let_go = let_go_of_streams();
    let Some(started) = started else {
        remains.remove();
        return Ok(ExitCode::from(EXIT_NO_GUEST));
    };
    if told.is_err() || let_go.is_err() {
        started.kill();
    }
    let end = watch.until_end(&started)?;
    let code = end.code(remains.ran_out_of_memory());
    remains.remove();
    Ok(ExitCode::from(code))
}

/// Removes a directory that a keeper could not.
///
/// # Errors
/// The step that failed.
pub(crate) fn remove(directory: &Path) -> Result<(), String> {
    remains::remove_tree(directory).step(format_args!("remove {}", directory.display()))
}

/// Reads the one frame that is meant for the keeper and not a byte of what follows.
fn read_setup() -> Result<Setup, String> {
    let mut input =
        std::io::stdin().as_fd().try_clone_to_owned().map(File::from).step("take the control stream")?;
    let mut header = [0; HEADER];
    input.read_exact(&mut header).step("read the setup")?;
    let mut payload = vec![0; payload_length(&header).map_err(|wrong| wrong.to_string())?];
    input.read_exact(&mut payload).step("read the setup")?;
    let mut frames = FrameBuffer::new();
    frames.extend(&header);
    frames.extend(&payload);
    let frame = frames.cut().map_err(|wrong| wrong.to_string())?.ok_or("the setup is incomplete")?;
    Setup::decode(&frame).map_err(|wrong| wrong.to_string())
}

/// The strongest start that the setup asks for and the system gives.
fn start(setup: &Setup, watch: &Watch) -> (SetupReport, Option<Started>) {
    let mut missing = setup.missing.clone();
    let mut walls = if setup.isolation == Isolation::Basic { Walls::Shared } else { Walls::Private };
    let mut started = attempt::start(setup, walls, watch, &mut missing);
    if let (Isolation::Auto, Err(why), false) = (setup.isolation, &started, watch.is_over()) {
        // What the first attempt did without, the second finds out for itself.
        missing.truncate(setup.missing.len());
        missing.push(Missing { part: "namespaces".to_owned(), why: why.clone() });
        walls = Walls::Shared;
        started = attempt::start(setup, walls, watch, &mut missing);
    }
    if setup.isolation == Isolation::Strict && !missing.is_empty() {
        started = refuse(started, &missing);
    }
    let report = SetupReport {
        pid: started.as_ref().map_or(0, |started| started.pid.unsigned_abs()),
        namespaces: walls == Walls::Private,
        missing,
        failure: started.as_ref().err().cloned(),
    };
    (report, started.ok())
}

/// Takes back a start that `strict` does not accept, naming all that is missing.
fn refuse(started: Result<Started, String>, missing: &[Missing]) -> Result<Started, String> {
    let mut why: Vec<_> =
        missing.iter().map(|missing| format!("no {}: {}", missing.part, missing.why)).collect();
    match started {
        Ok(started) => started.discard(),
        Err(failure) => why.insert(0, failure),
    }
    Err(why.join("; "))
}

fn tell(report: &SetupReport) -> Result<(), String> {
    let mut frame = Vec::new();
    report.encode(&mut frame).map_err(|wrong| wrong.to_string())?;
    let output = std::io::stdin().as_fd().try_clone_to_owned().step("take the control stream")?;
    File::from(output).write_all(&frame).step("report to the host")
}

fn let_go_of_streams() -> Result<(), String> {
    let nowhere = File::options().read(true).write(true).open("/dev/null").step("open /dev/null")?;
    for number in 0..2 {
        sys::descriptor::put_at(nowhere.as_fd(), number).step("let go of the streams")?;
    }
    Ok(())
}
