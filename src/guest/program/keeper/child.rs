//! The child's way to becoming the guest.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::filter::{Internet, Pids, Policy};
use super::step::Step;
use super::{basic, sandbox};
use crate::place::{Place, Walls};
use crate::protocol::{Missing, Network, Setup, SetupReport};
use crate::sys::{descriptor, limit, namespace, process, seccomp, signal};

/// Where the guest finds its place. Well above anything the child has open.
const PLACE: i32 = 63;

/// Goes all the way, or tells the keeper on `status` why not and ends. It is already without what is `missing`.
/// Commands are to have the given niceness.
pub(super) fn run(
    setup: &Setup,
    walls: Walls,
    niceness: i32,
    missing: Vec<Missing>,
    program: &File,
    go: &File,
    status: &File,
) -> ! {
    let Err(failure) = become_guest(setup, walls, niceness, missing, program, go, status);
    // The keeper is told or gone; there is nobody else to tell.
    let _ = tell(status, Vec::new(), Some(failure));
    std::process::exit(1)
}

fn become_guest(
    setup: &Setup,
    walls: Walls,
    niceness: i32,
    mut missing: Vec<Missing>,
    program: &File,
    mut go: &File,
    status: &File,
) -> Result<Infallible, String> {
    // When the keeper has ended before that, there is nothing to read below.
    namespace::on_parent_death(signal::KILL).step("tie the child to its keeper")?;
    go.read_exact(&mut [0]).step("wait for the keeper")?;
    let mut place = match walls {
        Walls::Private => sandbox::enter(setup, &mut missing)?,
        Walls::Shared | Walls::Container { .. } => basic::enter(setup, &mut missing)?,
    };
    limit::set(limit::CORE, 0).step("forbid core dumps")?;
    if let Some(bytes) = setup.file_size {
        limit::lower(limit::FILE_SIZE, bytes).step("limit the size of files")?;
    }
    process::no_new_privileges().step("give up new privileges")?;
    place.confinement.gate = filter(setup, walls, &mut missing)?;
    place.confinement = place.confinement.with_niceness(niceness);
    // Changes of identity have undone the first tie.
    namespace::on_parent_death(signal::KILL).step("tie the guest to its keeper")?;
    // Fails when the keeper ended before it was tied to: its end of the pipe is closed.
    tell(status, missing, None)?;
    execute(program, &place)
}

/// Puts the filter up; answers its gate, or 0 when there is no filter.
fn filter(setup: &Setup, walls: Walls, missing: &mut Vec<Missing>) -> Result<u64, String> {
    let alone = walls == Walls::Private;
    let refused = !alone && setup.network == Network::None;
    let policy = Policy {
        gate: seccomp::new_gate().step("draw a random number")?,
        pids: if alone { Pids::Own } else { Pids::Host },
        internet: if refused { Internet::Refused } else { Internet::Sockets },
    };
    if let Err(why) = seccomp::install(&policy.compile()) {
        missing.push(Missing { part: "seccomp".to_owned(), why: why.to_string() });
        if refused {
            missing.push(Missing { part: "closed network".to_owned(), why: "it needs seccomp".to_owned() });
        }
        return Ok(0);
    }
    Ok(policy.gate)
}

fn execute(program: &File, place: &Place) -> Result<Infallible, String> {
    let mut encoded = Vec::new();
    place.encode(&mut encoded);
    let (reader, writer) = descriptor::pipe().step("make a pipe")?;
    // A place is far smaller than a pipe.
    File::from(writer).write_all(&encoded).step("hand over the place")?;
    descriptor::put_at(reader.as_fd(), PLACE).step("hand over the place")?;
    let number = CString::new(PLACE.to_string()).step("name the place")?;
    let argv = [c"ostler-guest", c"init", c"--place-fd", number.as_c_str()];
    Err(namespace::become_program(program.as_fd(), &argv, &[])).step("run the guest program")
}

fn tell(mut status: &File, missing: Vec<Missing>, failure: Option<String>) -> Result<(), String> {
    let mut frame = Vec::new();
    SetupReport { pid: 0, namespaces: false, missing, failure }
        .encode(&mut frame)
        .map_err(|wrong| wrong.to_string())?;
    status.write_all(&frame).step("tell the keeper")
}
