//! What holds each command in.
//!
//! Much of it already holds the guest and is inherited: no new privileges, the filter over system calls, the
//! limits on files, core dumps and processes, and an empty bounding set. What is left for each command is what
//! the guest must not have itself: it needs its capability to mount, and files of its own.

use crate::protocol::{Decoder, Encoder, Malformed};
use crate::sys::landlock::Ruleset;
use crate::sys::{self, Errno};

mod fence;

pub(crate) use fence::{Fence, Opening};

/// What is done to every command's process right before its program starts.
#[derive(Debug)]
pub(crate) struct Confinement {
    /// Resource limits, soft and hard alike.
    pub(crate) limits: Vec<Limit>,
    /// Lets the guest, and nobody else, through the filter over it; 0 where there is no filter.
    pub(crate) gate: u64,
    /// How willingly it lets others go first, where that is not as the guest does.
    niceness: Option<i32>,
    /// Which files may be changed; none where the kernel has no Landlock.
    pub(crate) fence: Option<Fence>,
    /// The fence as the kernel wants it.
    ruleset: Option<Ruleset>,
    rights: Rights,
}

/// What becomes of the guest's rights in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    /// It has none of them and gets no new ones.
    Surrender,
    /// It has them all: whoever started the guest gave it what commands are to have.
    Keep,
}

impl Default for Confinement {
    fn default() -> Self {
        Self::new(Vec::new(), None)
    }
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
    pub(crate) fn new(limits: Vec<Limit>, fence: Option<Fence>) -> Self {
        Self { limits, gate: 0, niceness: None, fence, ruleset: None, rights: Rights::Surrender }
    }

    /// With commands that let others go first as willingly as that, where the guest itself does so less.
    pub(crate) fn with_niceness(self, niceness: i32) -> Self {
        Self { niceness: Some(niceness), ..self }
    }

    /// Limits only: an engine has confined the guest and all it starts.
    pub(crate) fn by_engine(limits: Vec<Limit>) -> Self {
        Self { rights: Rights::Keep, ..Self::new(limits, None) }
    }

    /// Confines the calling process. Runs in a child that shares the guest's memory, so it must neither
    /// allocate nor touch anything of the guest's.
    ///
    /// # Errors
    /// The first step that failed; the child must not go on.
    pub(crate) fn in_child(&self) -> Result<(), Failed> {
        if self.rights == Rights::Surrender {
            sys::process::no_new_privileges().map_err(|errno| ("no new privileges", errno))?;
        }
        if let Some(niceness) = self.niceness {
            sys::process::set_niceness(0, niceness).map_err(|errno| ("priority", errno))?;
        }
        for limit in &self.limits {
            sys::limit::set(limit.resource, limit.value).map_err(|errno| ("resource limit", errno))?;
        }
        if let Some(ruleset) = &self.ruleset {
            ruleset.restrict().map_err(|errno| ("landlock", errno))?;
        }
        match self.rights {
            Rights::Surrender => sys::capability::drop_all().map_err(|errno| ("drop capabilities", errno)),
            Rights::Keep => Ok(()),
        }
    }

    /// Before the first command, and after a reset: what refers to the writable places must be made anew, for
    /// they have been replaced.
    ///
    /// # Errors
    /// The step that failed; the runtime must not be used on.
    pub(crate) fn refresh(&mut self) -> Result<(), Failed> {
        sys::seccomp::set_gate(self.gate);
        if let Some(fence) = &self.fence {
            self.ruleset = Some(fence.build()?);
        }
        Ok(())
    }

    /// Appends it.
    pub(crate) fn encode(&self, e: &mut Encoder<'_>) {
        e.list(&self.limits, |e, limit| {
            e.u32(limit.resource).u64(limit.value);
        });
        e.u64(self.gate)
            .option(self.niceness, |e, niceness| {
                e.u32(niceness.cast_unsigned());
            })
            .option(self.fence.as_ref(), |e, fence| fence.encode(e));
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let limits = d.list(|d| Ok(Limit { resource: d.u32()?, value: d.u64()? }))?;
        let gate = d.u64()?;
        let niceness = d.option(|d| Ok(d.u32()?.cast_signed()))?;
        let fence = d.option(Fence::decode)?;
        Ok(Self { gate, niceness, ..Self::new(limits, fence) })
    }
}
