use std::fmt;

use super::sync::{AtomicUsize, Cell, Ordering, SEATS};

/// Neighbours in the line sit this far apart, so that two processors seldom write into one cache line.
const APART: usize = 37;

const NOBODY: usize = usize::MAX;
/// Somebody is bringing something.
const TAKEN: usize = usize::MAX - 1;

/// Where waiters find what they are handed without asking at the desk; so many that hardly anybody has to ask.
pub(super) struct Seats<T>(Box<[Seat<T>; SEATS]>);

/// Keeps what one waiter at a time has been handed, until that waiter collects it.
pub(super) struct Seat<T> {
    gift: Cell<Option<T>>,
    /// The number of the waiter it is kept for, `NOBODY` or `TAKEN`. Set by who brings it, cleared by that waiter.
    sitter: AtomicUsize,
}

impl<T> Seats<T> {
    pub(super) fn new() -> Self {
        Self(Box::new(std::array::from_fn(|_| Seat::new())))
    }

    /// Where the waiter with this number finds its gift, if not at the desk.
    #[inline]
    pub(super) fn at(&self, number: usize) -> &Seat<T> {
        &self.0[number.wrapping_mul(APART) % SEATS]
    }
}

impl<T> Seat<T> {
    fn new() -> Self {
        Self { gift: Cell::new(None), sitter: AtomicUsize::new(NOBODY) }
    }

    /// Keeps a gift for the waiter with this number, or gives it back while another's is here.
    #[inline]
    pub(super) fn give(&self, number: usize, gift: T) -> Result<(), T> {
        // A change at once, where a look would have the line come from another processor twice.
        if self.sitter.compare_exchange(NOBODY, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(gift);
        }
        self.gift.store(Some(gift));
        self.sitter.store(number, Ordering::Release);
        Ok(())
    }

    /// What is kept for the waiter with this number. By that waiter alone.
    #[inline]
    pub(super) fn collect(&self, number: usize) -> Option<T> {
        if self.sitter.load(Ordering::Acquire) != number {
            return None;
        }
        let gift = self.gift.take();
        self.sitter.store(NOBODY, Ordering::Release);
        gift
    }
}

impl<T> fmt::Debug for Seat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("sitter", &self.sitter).finish_non_exhaustive()
    }
}
