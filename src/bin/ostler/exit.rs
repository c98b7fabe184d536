//! Exit statuses, and errors turned into them.

use std::error::Error as StdError;
use std::fmt;

use ostler::{ConfigError, ErrorKind};

use crate::output;

/// All went well.
pub(crate) const OK: u8 = 0;
/// Something was tried and failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments or the config were refused; nothing was started.
pub(crate) const REFUSED: u8 = 2;
/// `exec`: the timeout ended the command.
pub(crate) const TIMED_OUT: u8 = 124;
/// `exec`: ostler failed, not the command.
pub(crate) const OWN_FAILURE: u8 = 125;
/// `exec`: the command is there and can't be run.
pub(crate) const NOT_RUNNABLE: u8 = 126;
/// `exec`: there is no such command.
pub(crate) const NOT_FOUND: u8 = 127;

/// The status that stands for an end by a signal, as shells have it.
pub(crate) fn by_signal(number: i32) -> u8 {
    u8::try_from(number).map_or(u8::MAX, |number| number.saturating_add(128))
}

/// Arguments that fit the grammar and make no sense.
#[derive(Debug)]
pub(crate) struct Misuse(pub(crate) String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Misuse {}

/// Says on stderr what went wrong; answers the status for it.
pub(crate) fn explain(error: &anyhow::Error, failure: u8) -> u8 {
    if let Some(problems) = error.chain().find_map(|cause| cause.downcast_ref::<ConfigError>()) {
        output::say(problems);
        return REFUSED;
    }
    output::say(format_args!("ostler: {error:#}"));
    let unknown_pool = error
        .downcast_ref::<ostler::Error>()
        .is_some_and(|error| matches!(error.kind(), ErrorKind::NoSuchPool));
    if unknown_pool || error.is::<Misuse>() { REFUSED } else { failure }
}
