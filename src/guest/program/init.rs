//! Becoming a guest: everything done once, before the first frame.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::parent_id;
use std::path::Path;

use crate::arguments;
use crate::guest::Guest;
use crate::place::{Place, Walls};
use crate::processes::Marks;
use crate::stream::Stream;
use crate::sys::file::{self, open};
use crate::sys::{Errno, descriptor, process, signal};

/// Bytes of an encoded place; far more than any has.
const PLACE_MAX: u64 = 1 << 20;

/// Serves the control stream at descriptor 0 and the data stream at 1 until the control stream ends.
///
/// # Errors
/// What made it impossible, for people.
pub(crate) fn run(arguments: &arguments::Init) -> Result<u8, String> {
    let failed = |step: &'static str| move |errno: Errno| format!("{step}: {errno}");

    signal::block_all().map_err(failed("block signals"))?;
    process::hide().map_err(failed("hide from other processes"))?;
    let mut place = place(arguments)?;
    place.confinement.refresh().map_err(|(step, errno)| format!("{step}: {errno}"))?;
    if place.walls == Walls::Private && std::process::id() != 1 {
        return Err("a private place needs a guest that is PID 1".to_owned());
    }
    process::adopt_orphans().map_err(failed("adopt orphans"))?;
    if let Some(parent) = arguments.parent {
        process::die_with_parent().map_err(failed("die with the parent"))?;
        if parent_id() != parent {
            return Err("the parent is gone already".to_owned());
        }
    }

    let nothing = nothing().map_err(failed("open nothing"))?;
    let control = take(std::io::stdin().as_fd())?;
    let data = take(std::io::stdout().as_fd())?;
    // Kept busy, so that no pipe ever gets a number below 3, which a child's streams are moved to.
    for number in [0, 1] {
        descriptor::put_at(nothing.as_fd(), number).map_err(failed("set descriptors aside"))?;
    }
    descriptor::close_on_exec_from(3).map_err(failed("close descriptors on exec"))?;
    std::env::set_current_dir("/").map_err(|error| format!("change to /: {error}"))?;

    let control = Stream::new(control).map_err(failed("set up the control stream"))?;
    let data = Stream::new(data).map_err(failed("set up the data stream"))?;
    let marks = Marks::new().map_err(failed("read the limits"))?;
    if !marks.are_available() {
        eprintln!("ostler-guest: RLIMIT_RTTIME is taken; a timeout kills sessions and descendants only");
    }
    let guest = Guest::new(place, control, data, nothing, marks).map_err(failed("start"))?;
    guest.serve().map_err(failed("wait for events"))
}

fn place(arguments: &arguments::Init) -> Result<Place, String> {
    match (arguments.place, &arguments.workspace) {
        (Some(number), _) => {
            let fd =
                descriptor::adopt(number).map_err(|errno| format!("place descriptor {number}: {errno}"))?;
            let mut bytes = Vec::new();
            std::fs::File::from(fd)
                .take(PLACE_MAX)
                .read_to_end(&mut bytes)
                .map_err(|error| format!("read the place: {error}"))?;
            Place::decode(&bytes).map_err(|malformed| format!("read the place: {malformed}"))
        }
        (None, Some(workspace)) => std::fs::canonicalize(path(workspace))
            .map(|path| Place::directory(path.into_os_string().into_encoded_bytes()))
            .map_err(|error| format!("workspace {}: {error}", path(workspace).display())),
        (None, None) => Err("init wants --workspace or --place-fd".to_owned()),
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn take(fd: BorrowedFd<'_>) -> Result<OwnedFd, String> {
    fd.try_clone_to_owned().map_err(|error| format!("take a stream: {error}"))
}

/// What a program that is given no input reads: `/dev/null`, or where there is none the end of a pipe.
pub(crate) fn nothing() -> Result<OwnedFd, Errno> {
    match file::open_at(None, c"/dev/null", open::READ_WRITE, 0, 0) {
        Ok(null) => Ok(null),
        Err(_) => descriptor::pipe().map(|(read, _)| read),
    }
}
