use super::sync::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Subtracted once by [`Tally::close`]: from then on every take and put finds the count below zero and goes the
/// slow way, which knows that the handoff is closed. The fast way pays nothing for it.
const CLOSED: i64 = 1 << 62;

/// The one counter: above zero it counts ready tickets, below zero waiters. What else a take looks at lies in
/// the same cache line, which it owns at that moment anyway.
#[derive(Debug)]
pub(super) struct Tally {
    /// `SeqCst` throughout: the argument in the module's documentation needs one order of all of its changes.
    count: AtomicI64,
    /// Lowest the count has been since last asked.
    low_water: AtomicI64,
    /// The count below which the stock is low.
    low_mark: AtomicI64,
    /// Whether low stock is still to be told.
    armed: AtomicBool,
    /// Milliseconds, as of the last tick.
    clock: AtomicU64,
}

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
        Self {
            count: AtomicI64::new(0),
            low_water: AtomicI64::new(0),
            low_mark: AtomicI64::new(0),
            armed: AtomicBool::new(true),
            clock: AtomicU64::new(0),
        }
    }

    /// One fewer: a ticket taken or a waiter more. Answers what is left.
    #[inline]
    pub(super) fn subtract(&self) -> i64 {
        self.count.fetch_sub(1, Ordering::SeqCst) - 1
    }

    /// One ticket fewer, if there is one. Answers what is left.
    pub(super) fn subtract_if_ready(&self) -> Option<i64> {
        self.count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| (count > 0).then(|| count - 1))
            .ok()
            .map(|before| before - 1)
    }

    /// One more: a ticket put or a waiter gone. Answers whether there may be waiters; whoever is told so must
    /// settle afterwards.
    #[inline]
    #[must_use]
    pub(super) fn add(&self) -> bool {
        self.count.fetch_add(1, Ordering::SeqCst) < 0
    }

    /// Whether somebody seems to wait.
    #[inline]
    pub(super) fn has_waiters(&self) -> bool {
        self.count.load(Ordering::Relaxed) < 0
    }

    /// Closes, with the `refused` waiters gone at once.
    pub(super) fn close(&self, refused: usize) {
        self.count.fetch_sub(CLOSED - as_count(refused), Ordering::SeqCst);
    }

    pub(super) fn stock(&self) -> Stock {
        let count = self.count.load(Ordering::SeqCst);
        let count = if is_closed(count) { count + CLOSED } else { count };
        Stock { ready: as_size(count), waiters: as_size(-count) }
    }

    /// Notes that a take has left this many, and answers whether low stock is to be told.
    #[inline]
    pub(super) fn is_newly_low(&self, left: i64) -> bool {
        if left < self.low_water.load(Ordering::Relaxed) {
            self.low_water.fetch_min(left, Ordering::Relaxed);
        }
        left < self.low_mark.load(Ordering::Relaxed) && self.disarm(left)
    }

    /// The plain load first: while nobody arms it again, low stock costs no write.
    fn disarm(&self, left: i64) -> bool {
        self.armed.load(Ordering::Relaxed) && !is_closed(left) && self.armed.swap(false, Ordering::SeqCst)
    }

    pub(super) fn rearm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(super) fn set_low_mark(&self, mark: i64) {
        self.low_mark.store(mark, Ordering::Relaxed);
    }

    /// Fewest ready since the last call.
    pub(super) fn low_water(&self) -> usize {
        let ready = as_count(self.stock().ready);
        as_size(self.low_water.swap(ready, Ordering::Relaxed).min(ready))
    }

    pub(super) fn tick(&self, now: u64) {
        self.clock.store(now, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

const fn is_closed(count: i64) -> bool {
    count < -CLOSED / 2
}

/// Zero where the count is negative.
fn as_size(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}

fn as_count(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
