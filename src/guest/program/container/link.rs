use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::protocol::{LINK_CONTROL, LINK_DATA};

/// Longest that the host's socket is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// Connects twice to the host's socket, saying each time what for: the control stream, then the data stream.
pub(super) fn connect(path: &Path) -> Result<[OwnedFd; 2], String> {
    let end = Instant::now() + PATIENCE;
    let open = |name: u8| {
        let mut stream = reach(path, end)?;
        stream.write_all(&[name]).map(|()| stream.into())
    };
    let open = |name| open(name).map_err(|error| format!("connect to {}: {error}", path.display()));
    Ok([open(LINK_CONTROL)?, open(LINK_DATA)?])
}

fn reach(path: &Path, end: Instant) -> std::io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path) {
            // Not there yet, or too busy.
            Err(error)
                if Instant::now() < end
                    && matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock
                    ) =>
            {
                sleep(PAUSE);
            }
            done => return done,
        }
    }
}
