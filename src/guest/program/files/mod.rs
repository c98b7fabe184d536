//! Working on files: in slices, so that no large one holds up the rest.

mod entry;
mod listing;
mod reading;
mod removal;
mod tree;
mod writing;

pub(crate) use entry::{link, make_directory, stat};
pub(crate) use listing::Listing;
pub(crate) use reading::Reading;
pub(crate) use removal::Removal;
pub(crate) use tree::Tree;
pub(crate) use writing::Writing;

use crate::protocol::FileKind;
use crate::sys::file::{Kind, Status};

/// Permission bits of parents that are made on the way.
const PARENT_MODE: u32 = 0o755;

/// Every permission bit there is.
const MODE_BITS: u32 = 0o7777;

/// A status in the protocol's words.
fn described(status: Status, target: Vec<u8>) -> crate::protocol::Stat {
    let kind = match status.kind {
        Kind::File => FileKind::File,
        Kind::Directory => FileKind::Directory,
        Kind::Symlink => FileKind::Symlink,
        Kind::Other => FileKind::Other,
    };
    crate::protocol::Stat {
        kind,
        size: status.size,
        mode: status.mode,
        modified_ms: status.modified_ms,
        target,
    }
}
