use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use super::Failed;
use crate::protocol::{Decoder, Encoder, Malformed, Missing};
use crate::sys::Errno;
use crate::sys::landlock::{self, Handled, Ruleset, access};

const O_PATH: i32 = 0o10_000_000;

/// All ways to change files.
const CHANGES: u64 = access::WRITE_FILE
    | access::REMOVE_DIR
    | access::REMOVE_FILE
    | access::MAKE_CHAR
    | access::MAKE_DIR
    | access::MAKE_REG
    | access::MAKE_SOCK
    | access::MAKE_FIFO
    | access::MAKE_BLOCK
    | access::MAKE_SYM
    | access::REFER
    | access::TRUNCATE
    | access::IOCTL_DEV;
/// Versions from which on parts of it are known.
const REFER_SINCE: u32 = 2;
const TRUNCATE_SINCE: u32 = 3;
const NETWORK_SINCE: u32 = 4;
const IOCTL_SINCE: u32 = 5;
const SCOPES_SINCE: u32 = 6;

/// Where commands may change files, and whom else they may reach, by Landlock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    version: u32,
    network: u64,
    scoped: u64,
    openings: Vec<Opening>,
}

/// A gap in the fence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    path: Vec<u8>,
    allowed: u64,
}

impl Opening {
    /// Anything may be changed below `path`, but no device made.
    pub(crate) fn everything(path: &[u8]) -> Self {
        Self { path: path.to_vec(), allowed: CHANGES & !(access::MAKE_CHAR | access::MAKE_BLOCK) }
    }

    /// What exists at or below `path` may be written to and controlled.
    pub(crate) fn devices(path: &[u8]) -> Self {
        Self { path: path.to_vec(), allowed: access::WRITE_FILE | access::TRUNCATE | access::IOCTL_DEV }
    }
}

impl Fence {
    /// As much of a fence as the kernel can make; what it can't is added to `missing`.
    pub(crate) fn new(
        openings: Vec<Opening>,
        network: u64,
        scoped: u64,
        missing: &mut Vec<Missing>,
    ) -> Option<Self> {
        let version = match landlock::version() {
            Ok(version) => version,
            Err(why) => {
                missing.push(Missing { part: "landlock".to_owned(), why: why.to_string() });
                return None;
            }
        };
        let mut lacks = |part: &str, since: u32| {
            let why = format!("needs version {since} of landlock, this kernel has {version}");
            missing.push(Missing { part: part.to_owned(), why });
        };
        if version < TRUNCATE_SINCE {
            lacks("fence around truncating files", TRUNCATE_SINCE);
        }
        if network != 0 && version < NETWORK_SINCE {
            lacks("fence around tcp", NETWORK_SINCE);
        }
        if scoped != 0 && version < SCOPES_SINCE {
            lacks("fence around signals and abstract sockets", SCOPES_SINCE);
        }
        let since = |first, bits| if version >= first { bits } else { 0 };
        Some(Self {
            version,
            network: since(NETWORK_SINCE, network),
            scoped: since(SCOPES_SINCE, scoped),
            openings,
        })
    }

    /// Makes the ruleset, for what lies at the openings now.
    pub(super) fn build(&self) -> Result<Ruleset, Failed> {
        let known = self.known();
        let handled = Handled { files: known, network: self.network, scoped: self.scoped };
        let ruleset =
            Ruleset::new(handled, self.version).map_err(|errno| ("make a landlock ruleset", errno))?;
        for opening in &self.openings {
            let place = File::options()
                .read(true)
                .custom_flags(O_PATH)
                .open(OsStr::from_bytes(&opening.path))
                .map_err(|error| ("open a place for landlock", Errno(error.raw_os_error().unwrap_or(0))))?;
            let file_only = access::WRITE_FILE | access::TRUNCATE | access::IOCTL_DEV;
            let is_directory = place.metadata().is_ok_and(|metadata| metadata.is_dir());
            let allowed = opening.allowed & known & if is_directory { u64::MAX } else { file_only };
            ruleset.allow(place.as_fd(), allowed).map_err(|errno| ("open a place in landlock", errno))?;
        }
        Ok(ruleset)
    }

    fn known(&self) -> u64 {
        [(access::REFER, REFER_SINCE), (access::TRUNCATE, TRUNCATE_SINCE), (access::IOCTL_DEV, IOCTL_SINCE)]
            .into_iter()
            .filter(|(_, since)| self.version < *since)
            .fold(CHANGES, |known, (right, _)| known & !right)
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u32(self.version).u64(self.network).u64(self.scoped).list(&self.openings, |e, opening| {
            e.bytes(&opening.path).u64(opening.allowed);
        });
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            version: d.u32()?,
            network: d.u64()?,
            scoped: d.u64()?,
            openings: d.list(|d| Ok(Opening { path: d.owned()?, allowed: d.u64()? }))?,
        })
    }
}
