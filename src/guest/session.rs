use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::backstop::hastened;
use super::clock::Clock;
use super::reply::{Step, answer, next};
use super::{Call, Defaults, Wire, WireError};
use crate::model::Epoch;
use crate::protocol::{Done, Malformed, Request, Reset, Vitals};

/// The typed operations of one lease. Cheap to clone; clones share the lease.
///
/// Every operation is cancel-safe in this sense: dropped before its end, it is cancelled in the guest, and
/// neither the other operations nor the session notice. What a cancelled operation has already done stays
/// done, except that a file is written whole or not at all.
///
/// The guest runs 256 operations at once and refuses more as [exhausted](crate::guest::RefusalKind::Exhausted).
/// A file operation ends with [`WireError::Silent`] when the guest says nothing for longer than
/// [`file_timeout`](Defaults::file_timeout); what the caller's own reader or writer takes does not count.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) wire: Arc<dyn Wire>,
    pub(super) epoch: Epoch,
    pub(super) defaults: Arc<Defaults>,
}

impl Session {
    /// The operations of the lease `epoch`, which must have [begun](Wire::begin) on `wire`.
    #[must_use]
    pub fn new(wire: Arc<dyn Wire>, epoch: Epoch, defaults: Arc<Defaults>) -> Self {
        Self { wire, epoch, defaults }
    }

    /// Asks the guest how it is. Belongs to no lease.
    ///
    /// # Errors
    /// [`WireError::Silent`] when there is no answer within `timeout`.
    pub async fn ping(&self, timeout: Duration) -> Result<Vitals, WireError> {
        match self.ask_within(timeout, Request::Ping).await? {
            Done::Vitals(vitals) => Ok(vitals),
            _ => Err(self.nonsense("not the answer to a ping")),
        }
    }

    /// Kills every process but the guest, wipes every writable place, and has the guest refuse epochs up to
    /// `fence` from then on. Answers how many processes were killed. Belongs to no lease.
    ///
    /// # Errors
    /// [`WireError::Silent`] when it takes longer than `timeout`; a refusal when something could not be wiped.
    /// The runtime is not clean then.
    pub async fn reset(&self, fence: Epoch, timeout: Duration) -> Result<u32, WireError> {
        let reset = self.ask_within(timeout, Request::Reset(Reset { fence: fence.0 }));
        match hastened(self.clock(), self.wire.as_ref(), reset).await? {
            Done::Reset { killed } => Ok(killed),
            _ => Err(self.nonsense("not the answer to a reset")),
        }
    }

    /// Has the guest kill everything and end. Belongs to no lease.
    ///
    /// # Errors
    /// [`WireError::Silent`] when it neither answers nor closes the stream within `timeout`.
    pub async fn shutdown(&self, timeout: Duration) -> Result<(), WireError> {
        match self.ask_within(timeout, Request::Shutdown).await {
            // It may be gone before its answer is written.
            Ok(_) | Err(WireError::Lost(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn clock(&self) -> Clock<'_> {
        Clock::new(self.defaults.home.as_ref())
    }

    pub(super) fn call(&self, request: Request) -> Result<Box<dyn Call>, WireError> {
        self.wire.call(request)
    }

    /// Runs a file operation that answers in one word.
    pub(super) async fn ask(&self, request: Request) -> Result<Done, WireError> {
        self.ask_within(self.defaults.file_timeout, request).await
    }

    /// Runs a file operation that has nothing to say but that it is done.
    pub(super) async fn tell(&self, request: Request) -> Result<(), WireError> {
        match self.ask(request).await? {
            Done::Unit => Ok(()),
            _ => Err(self.nonsense("an answer where none was asked for")),
        }
    }

    /// The next word about a file operation.
    pub(super) async fn next(&self, call: &mut dyn Call) -> Result<Step, WireError> {
        let next = self.clock().within(self.defaults.file_timeout, next(call)).await;
        self.seen(next)
    }

    async fn ask_within(&self, timeout: Duration, request: Request) -> Result<Done, WireError> {
        let done = self.clock().within(timeout, answer(self.wire.as_ref(), request)).await;
        self.seen(done)
    }

    /// Lets the wire know what it cannot see itself.
    pub(super) fn seen<T>(&self, result: Result<T, WireError>) -> Result<T, WireError> {
        if result.as_ref().is_err_and(WireError::is_unknown) {
            self.wire.taint();
        }
        result
    }

    /// The guest answered something else than was asked.
    pub(super) fn nonsense(&self, what: &'static str) -> WireError {
        self.wire.taint();
        Malformed(what).into()
    }
}

/// A path as the protocol has it.
pub(super) fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    path.as_ref().as_os_str().as_bytes().to_vec()
}
