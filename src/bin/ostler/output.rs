//! Results go to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes a result and ends the line. That nobody reads any more is no error: `ostler check … | head` has done
/// its work.
pub(crate) fn print(result: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{result}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Says something to whoever watches. Without stderr there is nobody, and nothing to be done about it.
pub(crate) fn say(words: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}
