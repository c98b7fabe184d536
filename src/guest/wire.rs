use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::model::Epoch;
use crate::protocol::{Malformed, Refusal, RefusalKind, Reply, Request};

/// One way into a guest. A runtime has two: the *control* wire stays with its Runtime actor (ping, reset,
/// shutdown); the *data* wire moves with the ticket, so that a lease's operations wait on nobody else.
///
/// Object-safe, so that a backend can bring its own; most use [`Link`](super::Link).
pub trait Wire: Send + Sync + fmt::Debug {
    /// Starts an operation. Never blocks; what can't be sent at once is sent as the call is polled.
    ///
    /// # Errors
    /// [`WireError::Ended`] when the lease's epoch is not the wire's current one, [`WireError::Lost`] when the
    /// connection is gone.
    fn call(&self, request: Request) -> Result<Box<dyn Call>, WireError>;

    /// A lease begins: calls with this epoch are taken from now on, those with an earlier one no longer.
    fn begin(&self, epoch: Epoch);

    /// The lease that last began ends: its open calls fail with [`WireError::Ended`], and the wire lets go of
    /// the tokio runtime it was used on.
    fn end(&self);

    /// Whether an operation was lost with an unknown outcome, so that the runtime must not be used again.
    /// True once the stream was lost or the guest broke the protocol, and after [`taint`](Self::taint). An
    /// operation that was cancelled does not count: the guest hears of it before anything that comes next.
    fn is_tainted(&self) -> bool;

    /// From now on [`is_tainted`](Self::is_tainted): somebody above the wire found out that an outcome is
    /// unknown, because the guest did not answer in time or its answer made no sense.
    fn taint(&self);

    /// The guest is late with an end that is due. For as long as the answer is held it gets all the processor time
    /// there is, where what it is to end may have used up the share they have together. Must not block. By default
    /// there is nothing to be done.
    fn hasten(&self) -> Option<Haste> {
        None
    }
}

/// What [`Wire::hasten`] gives; dropped, things are as before.
pub type Haste = Box<dyn Send + Sync>;

/// One operation that runs. Dropped before its end, it is cancelled: the guest kills what it started.
///
/// Replies may be polled from one task and input given from another: a call keeps a waker for each. Different
/// calls of one wire may be polled from different threads.
pub trait Call: Send + fmt::Debug {
    /// What the guest says next. [`Reply::Done`] and [`Reply::Failed`] are last; after them comes
    /// [`WireError::Ended`]. `Credit` is the wire's own affair and never shows here.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, WireError>>;

    /// Gives the operation input; answers how many bytes were taken, at least one. Pending while the guest's
    /// window is used up. Refused once the operation has ended.
    fn poll_input(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, WireError>>;

    /// No more input. Calls after the first do nothing.
    ///
    /// # Errors
    /// As [`Wire::call`].
    fn end_input(&mut self) -> Result<(), WireError>;

    /// Sends a signal to the operation's process group.
    ///
    /// # Errors
    /// As [`Wire::call`].
    fn signal(&mut self, signal: u32) -> Result<(), WireError>;
}

/// Why a wire could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The guest said no; nothing else is wrong.
    #[error(transparent)]
    Refused(Refused),
    /// The lease is over.
    #[error("the lease has ended")]
    Ended,
    /// The connection broke; whether the operation was done is unknown.
    #[error("connection to the guest lost")]
    Lost(#[source] Arc<io::Error>),
    /// The guest sent what no guest of ours sends.
    #[error("the guest broke the protocol")]
    Protocol(#[source] Malformed),
    /// The guest did not answer in time; whether the operation was done is unknown.
    #[error("no answer from the guest in time")]
    Silent,
    /// The reader or writer that the caller handed in failed; the operation was cancelled.
    #[error("the caller's own stream failed")]
    Caller(#[source] Arc<io::Error>),
}

/// A refusal as an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Refused(pub Refusal);

impl WireError {
    /// Whether what happened inside the runtime is unknown, so that it must not be used again.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Protocol(_) | Self::Silent)
    }

    /// Whether the same operation may succeed unchanged, in a fresh lease: the runtime was at fault, or a
    /// limit was hit that others share.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_unknown() || self.refusal() == Some(RefusalKind::Exhausted)
    }

    /// The class of the refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused(refused) => Some(refused.0.kind),
            _ => None,
        }
    }
}

/// A refusal that comes from our side.
pub(super) fn refused(kind: RefusalKind, message: impl Into<String>) -> WireError {
    Refusal { kind, errno: 0, message: message.into() }.into()
}

impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Refused(refusal))
    }
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Lost(Arc::new(error))
    }
}

impl From<Malformed> for WireError {
    fn from(error: Malformed) -> Self {
        Self::Protocol(error)
    }
}
