use std::fmt;

use super::sync::{AtomicUsize, Cell, Ordering, SEATS};

/// Neighbours in the line sit this far apart, so that two processors seldom write into one cache line.
const APART: usize = 37;

const NOBODY: usize = usize::MAX;

/// Where waiters find what they are handed without asking at the desk; so many that hardly anybody has to stand.
pub(super) struct Seats<T>(Box<[Seat<T>; SEATS]>);

/// One waiter's at a time.
pub(super) struct Seat<T> {
    gift: Cell<Option<T>>,
    /// The number of who sits there, or `NOBODY`. Set under the lock of the desk, cleared by who gets up.
    sitter: AtomicUsize,
}

impl<T> Seats<T> {
    pub(super) fn new() -> Self {
        Self(Box::new(std::array::from_fn(|_| Seat::new())))
    }

    /// The one that the waiter with this number has, if it has one.
    #[inline]
    pub(super) fn at(&self, number: usize) -> &Seat<T> {
        &self.0[number.wrapping_mul(APART) % SEATS]
    }
}

impl<T> Seat<T> {
    fn new() -> Self {
        Self { gift: Cell::new(None), sitter: AtomicUsize::new(NOBODY) }
    }

    /// For the waiter with this number, if it is free. By one at a time.
    #[inline]
    pub(super) fn occupy(&self, number: usize) {
        if self.sitter.load(Ordering::Acquire) == NOBODY {
            self.sitter.store(number, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_of(&self, number: usize) -> bool {
        self.sitter.load(Ordering::Relaxed) == number
    }

    #[inline]
    pub(super) fn give(&self, gift: T) {
        self.gift.store(Some(gift));
    }

    #[inline]
    pub(super) fn collect(&self) -> Option<T> {
        self.gift.take()
    }

    #[inline]
    pub(super) fn vacate(&self) {
        self.sitter.store(NOBODY, Ordering::Release);
    }
}

impl<T> fmt::Debug for Seat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("sitter", &self.sitter).finish_non_exhaustive()
    }
}
