use std::fmt;

use super::codec::{Decoder, Encoder, Malformed};
use super::request::Path;
use super::variable::{Variable, names, read_variables, text, variables};

/// A program that the guest starts, stops and watches. Its end is the guest's.
#[derive(Clone, PartialEq, Eq)]
pub struct Service {
    /// Program and arguments; at least one.
    pub argv: Vec<Vec<u8>>,
    /// Environment, over that of all programs.
    pub env: Vec<Variable>,
    /// Working directory; empty is the workspace.
    pub cwd: Path,
    /// The signal that asks it to end, as a number: the image's `STOPSIGNAL`, or 15.
    pub stop_signal: u32,
    /// Milliseconds from there until it is killed.
    pub grace_ms: u64,
}

impl fmt::Debug for Service {
    /// Without the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("argv", &self.argv.iter().map(|arg| text(arg)).collect::<Vec<_>>())
            .field("env", &names(&self.env))
            .field("cwd", &text(&self.cwd))
            .finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.list(&self.argv, |e, arg| {
            e.bytes(arg);
        });
        variables(e, &self.env);
        e.bytes(&self.cwd).u32(self.stop_signal).u64(self.grace_ms);
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            argv: d.list(Decoder::owned)?,
            env: read_variables(d)?,
            cwd: d.owned()?,
            stop_signal: d.u32()?,
            grace_ms: d.u64()?,
        })
    }
}
