//! Why something was not done, in the protocol's words.

use crate::protocol::{Refusal, RefusalKind};
use crate::sys::Errno;

/// Bytes of a path that a message repeats.
const SHOWN: usize = 256;

/// The system said no.
pub(crate) fn system(step: &str, path: &[u8], errno: Errno) -> Refusal {
    Refusal {
        kind: class(errno),
        errno: errno.0.cast_unsigned(),
        message: format!("{step}{}: {errno}", shown(path)),
    }
}

/// The guest said no.
pub(crate) fn rule(kind: RefusalKind, message: impl Into<String>) -> Refusal {
    Refusal { kind, errno: 0, message: message.into() }
}

fn shown(path: &[u8]) -> String {
    match path.get(..SHOWN) {
        None if path.is_empty() => String::new(),
        None => format!(" {}", String::from_utf8_lossy(path)),
        Some(start) => format!(" {}…", String::from_utf8_lossy(start)),
    }
}

fn class(errno: Errno) -> RefusalKind {
    match errno {
        Errno::NOENT => RefusalKind::NotFound,
        // LOOP: a link where none may be followed. XDEV: a way out of where the guest may look.
        Errno::PERM | Errno::ACCES | Errno::ROFS | Errno::LOOP | Errno::XDEV => RefusalKind::Denied,
        Errno::NOTDIR | Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY => RefusalKind::WrongKind,
        Errno::NOSPC
        | Errno::DQUOT
        | Errno::FBIG
        | Errno::NOMEM
        | Errno::MFILE
        | Errno::NFILE
        | Errno::AGAIN => RefusalKind::Exhausted,
        Errno::INVAL | Errno::NAMETOOLONG | Errno::TOOBIG | Errno::NOEXEC => RefusalKind::Invalid,
        _ => RefusalKind::Failed,
    }
}
