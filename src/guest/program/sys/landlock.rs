//! Landlock: which files may be changed, whatever the file permissions say.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::errno::Result;
use super::number::{LANDLOCK_ADD_RULE, LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF};
use super::raw::{call, int, open};

/// Rights over files, as the kernel numbers them.
pub(crate) mod access {
    pub(crate) const WRITE_FILE: u64 = 1 << 1;
    pub(crate) const REMOVE_DIR: u64 = 1 << 4;
    pub(crate) const REMOVE_FILE: u64 = 1 << 5;
    pub(crate) const MAKE_CHAR: u64 = 1 << 6;
    pub(crate) const MAKE_DIR: u64 = 1 << 7;
    pub(crate) const MAKE_REG: u64 = 1 << 8;
    pub(crate) const MAKE_SOCK: u64 = 1 << 9;
    pub(crate) const MAKE_FIFO: u64 = 1 << 10;
    pub(crate) const MAKE_BLOCK: u64 = 1 << 11;
    pub(crate) const MAKE_SYM: u64 = 1 << 12;
    /// From version 2.
    pub(crate) const REFER: u64 = 1 << 13;
    /// From version 3.
    pub(crate) const TRUNCATE: u64 = 1 << 14;
    /// From version 5.
    pub(crate) const IOCTL_DEV: u64 = 1 << 15;
}

/// Rights over TCP ports, from version 4.
pub(crate) const BIND_AND_CONNECT_TCP: u64 = 0b11;
/// Abstract unix sockets of other domains, from version 6.
pub(crate) const SCOPE_ABSTRACT_UNIX: u64 = 1;
/// Signals to other domains, from version 6.
pub(crate) const SCOPE_SIGNAL: u64 = 2;

const CREATE_RULESET_VERSION: usize = 1;
const RULE_PATH_BENEATH: usize = 1;

/// What a ruleset takes away before rules give parts of it back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handled {
    pub(crate) files: u64,
    pub(crate) network: u64,
    pub(crate) scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// The kernel's version of Landlock.
///
/// # Errors
/// When it has none, or it is switched off.
pub(crate) fn version() -> Result<u32> {
    // SAFETY: with this flag the call reads nothing.
    let version = unsafe { call(LANDLOCK_CREATE_RULESET, [0, 0, CREATE_RULESET_VERSION, 0, 0, 0]) }?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

/// Rules made once and put on many processes.
#[derive(Debug)]
pub(crate) struct Ruleset(OwnedFd);

impl Ruleset {
    /// Takes away all that `handled` names. Earlier versions know a shorter structure.
    pub(crate) fn new(handled: Handled, version: u32) -> Result<Self> {
        let size = match version {
            0..=3 => 8,
            4..=5 => 16,
            _ => size_of::<Handled>(),
        };
        // SAFETY: `handled` is the kernel's `landlock_ruleset_attr`, of which it reads `size` bytes.
        unsafe { open(LANDLOCK_CREATE_RULESET, [&raw const handled as usize, size, 0, 0, 0, 0]) }.map(Self)
    }

    /// Gives `allowed` back for `path` and all below it.
    pub(crate) fn allow(&self, path: BorrowedFd<'_>, allowed: u64) -> Result<()> {
        let rule = PathBeneath { allowed, parent: path.as_raw_fd() };
        let args = [int(self.0.as_raw_fd()), RULE_PATH_BENEATH, &raw const rule as usize, 0, 0, 0];
        // SAFETY: `rule` is the packed structure this rule type reads.
        unsafe { call(LANDLOCK_ADD_RULE, args) }.map(drop)
    }

    /// Puts the rules on this process and what it starts, for good. Needs no-new-privileges. Safe between
    /// vfork and exec.
    pub(crate) fn restrict(&self) -> Result<()> {
        // SAFETY: takes integers only.
        unsafe { call(LANDLOCK_RESTRICT_SELF, [int(self.0.as_raw_fd()), 0, 0, 0, 0, 0]) }.map(drop)
    }
}
