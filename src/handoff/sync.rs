//! What the handoff is built on. The model checker includes the files beside this one with instrumented
//! primitives in its place (`tests/p02_handoff_model`).

pub(super) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounded, for it does with two atomic operations and one cache line less than `SegQueue`: a tenth of the cost of a
/// lease held across a yield.
pub(super) use crossbeam_queue::ArrayQueue as Queue;

#[cfg(not(miri))]
pub(super) use crossbeam_utils::atomic::AtomicCell as Cell;
#[cfg(miri)]
pub(super) use stand_in::Cell;

/// Lets others go on, one of whom is about to bring what is waited for.
pub(super) use std::thread::yield_now as pause;

/// Waiters that have a seat.
pub(super) const SEATS: usize = 1024;

/// Pockets for ready tickets; threads beyond so many share theirs.
pub(super) const POCKETS: usize = 8;

/// The number of this thread among those that have asked for theirs.
#[inline]
pub(super) fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    // A thread that is ending may still give back what it holds.
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

/// Crossbeam's cell moves a pointer as an integer, and Miri does not follow it there.
#[cfg(miri)]
mod stand_in {
    use std::sync::{Mutex, PoisonError};

    pub(in super::super) struct Cell<T>(Mutex<T>);

    impl<T: Default> Cell<T> {
        pub(in super::super) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(in super::super) fn store(&self, value: T) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }

        pub(in super::super) fn take(&self) -> T {
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}
