//! What holds each command in.

use crate::protocol::{Decoder, Encoder, Malformed};
use crate::sys::{self, Errno};

/// What is done to every command's process right before its program starts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// Resource limits, soft and hard alike.
    pub(crate) limits: Vec<Limit>,
}

/// One resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// `RLIMIT_…`.
    pub(crate) resource: u32,
    /// In the resource's own unit.
    pub(crate) value: u64,
}

/// A step of the way into confinement, and what the system said to it.
pub(crate) type Failed = (&'static str, Errno);

impl Confinement {
    /// Confines the calling process. Runs in a child that shares the guest's memory, so it must neither
    /// allocate nor touch anything of the guest's.
    ///
    /// # Errors
    /// The first step that failed; the child must not go on.
    pub(crate) fn in_child(&self) -> Result<(), Failed> {
        sys::process::no_new_privileges().map_err(|errno| ("no new privileges", errno))?;
        for limit in &self.limits {
            sys::limit::set(limit.resource, limit.value).map_err(|errno| ("resource limit", errno))?;
        }
        Ok(())
    }

    /// After a reset: what refers to the writable places must be made anew, for they have been replaced.
    ///
    /// # Errors
    /// The step that failed; the runtime must not be used on.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "limits refer to no place")]
    pub(crate) fn refresh(&mut self) -> Result<(), Failed> {
        Ok(())
    }

    /// Appends it.
    pub(crate) fn encode(&self, e: &mut Encoder<'_>) {
        e.list(&self.limits, |e, limit| {
            e.u32(limit.resource).u64(limit.value);
        });
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self { limits: d.list(|d| Ok(Limit { resource: d.u32()?, value: d.u64()? }))? })
    }
}
