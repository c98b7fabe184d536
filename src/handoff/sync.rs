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

/// Waiters that have a seat.
pub(super) const SEATS: usize = 1024;

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
