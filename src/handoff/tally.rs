use super::sync::{AtomicI64, Ordering};

/// Subtracted once by [`Tally::close`]: from then on every take and put finds the count below zero and goes the
/// slow way, which knows that the handoff is closed. The fast way pays nothing for it.
const CLOSED: i64 = 1 << 62;

/// The one counter: above zero it counts ready tickets, below zero waiters.
///
/// `SeqCst` throughout: the argument in the module's documentation needs one order of all of its changes.
#[derive(Debug)]
pub(super) struct Tally(AtomicI64);

/// Tickets ready and takers waiting. At rest one of them is zero; while takes and puts are under way the
/// figures are those of a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Tickets that can be taken now.
    pub ready: usize,
    /// Takers that wait.
    pub waiters: usize,
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// One fewer: a ticket taken or a waiter more. Answers what is left.
    #[inline]
    pub(super) fn subtract(&self) -> i64 {
        self.0.fetch_sub(1, Ordering::SeqCst) - 1
    }

    /// One ticket fewer, if there is one. Answers what is left.
    pub(super) fn subtract_if_ready(&self) -> Option<i64> {
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| (count > 0).then(|| count - 1))
            .ok()
            .map(|before| before - 1)
    }

    /// One ticket more. Answers whether there may be waiters for it; whoever is told so must settle afterwards.
    #[inline]
    #[must_use]
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) < 0
    }

    /// One waiter or taker fewer.
    #[inline]
    pub(super) fn give_back(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Closes, with the `refused` waiters gone at once.
    pub(super) fn close(&self, refused: usize) {
        self.0.fetch_sub(CLOSED - i64::try_from(refused).unwrap_or(0), Ordering::SeqCst);
    }

    pub(super) fn stock(&self) -> Stock {
        let count = self.0.load(Ordering::SeqCst);
        let count = if count < -CLOSED / 2 { count + CLOSED } else { count };
        let size = |count| usize::try_from(count).unwrap_or(0);
        Stock { ready: size(count), waiters: size(-count) }
    }
}
