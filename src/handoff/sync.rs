//! What the handoff is built on. The model checker includes the files beside this one with instrumented
//! primitives in its place (`tests/p02_handoff_model`).

pub(super) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounded, for it does with two atomic operations and one cache line less than `SegQueue`: a tenth of the cost of a
/// lease held across a yield.
pub(super) use crossbeam_queue::ArrayQueue as Queue;

pub(super) use crossbeam_utils::atomic::AtomicCell as Cell;

/// Waiters that have a seat.
pub(super) const SEATS: usize = 1024;
