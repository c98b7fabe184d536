use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use super::{Call, WireError};

/// The call of one running command, shared by the two who may use it at once: the reader of its output and
/// the writer of its stdin.
///
/// The lock is theirs alone and held for one poll. Because a poll may drop another task's waker, and with it
/// anything, giving up never waits for the lock: it leaves a wish that whoever holds it fulfils.
#[derive(Debug)]
pub(super) struct Process {
    call: Mutex<Option<Box<dyn Call>>>,
    /// The output is no longer wanted: cancel.
    abandoned: AtomicBool,
    /// Nothing more will be written.
    input_over: AtomicBool,
}

impl Process {
    pub(super) fn new(call: Box<dyn Call>) -> Self {
        Self {
            call: Mutex::new(Some(call)),
            abandoned: AtomicBool::new(false),
            input_over: AtomicBool::new(false),
        }
    }

    /// Uses the call.
    pub(super) fn with<R>(
        &self,
        use_it: impl FnOnce(&mut dyn Call) -> Result<R, WireError>,
    ) -> Result<R, WireError> {
        let result = match self.call.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(call) => use_it(call.as_mut()),
            None => Err(WireError::Ended),
        };
        self.settle();
        result
    }

    /// Cancels the command, if it still runs.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.settle();
    }

    /// Ends its stdin.
    pub(super) fn end_input(&self) {
        self.input_over.store(true, Ordering::SeqCst);
        self.settle();
    }

    /// Fulfils the wishes, unless somebody has the lock: he does it then.
    fn settle(&self) {
        while self.abandoned.load(Ordering::SeqCst) || self.input_over.load(Ordering::SeqCst) {
            let mut call = match self.call.try_lock() {
                Ok(call) => call,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            if self.abandoned.swap(false, Ordering::SeqCst) {
                let gone = call.take();
                drop(call);
                drop(gone);
            } else if self.input_over.swap(false, Ordering::SeqCst)
                && let Some(call) = call.as_mut()
            {
                // It fails where there is nobody left to read it.
                let _ = call.end_input();
            }
        }
    }
}
