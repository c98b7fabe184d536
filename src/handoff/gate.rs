use super::sync::{AtomicUsize, Ordering};

/// Whether takers may help themselves: open when nobody waits, else how many do, or closed for good.
///
/// Changed under the lock of the desk only, and looked at by everybody: a line that is never written while nobody
/// waits. `SeqCst` where the argument in the module's documentation needs one order of all changes and looks.
#[derive(Debug)]
pub(super) struct Gate(AtomicUsize);

/// What the gate shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Open,
    /// Nobody waits, but somebody is about to, or not.
    Shut,
    Waiting(usize),
    Closed,
}

const SHUT: usize = usize::MAX;
const CLOSED: usize = usize::MAX - 1;

impl Gate {
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    pub(super) fn sign(&self) -> Sign {
        match self.0.load(Ordering::SeqCst) {
            0 => Sign::Open,
            SHUT => Sign::Shut,
            CLOSED => Sign::Closed,
            waiting => Sign::Waiting(waiting),
        }
    }

    /// A put that does not see this has its ticket seen by whoever looks for one afterwards.
    pub(super) fn shut(&self) {
        self.0.swap(SHUT, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.0.swap(CLOSED, Ordering::SeqCst);
    }

    /// So many wait. From none to some only by way of [`shut`](Self::shut).
    #[inline]
    pub(super) fn set_waiting(&self, waiting: usize) {
        self.0.store(waiting, Ordering::Release);
    }
}
