use std::fmt;

use crate::model::RuntimeId;

use super::exchange::Exchange;
use super::sync::Arc;
use super::{Take, Taken, Ticket};

/// What the handoff asks of its surroundings. Both run on the thread that happened to cause them, never under a
/// lock; they must neither block nor panic.
pub struct Hooks<R> {
    /// Gets each ticket that leaves circulation by itself: leased and dropped, condemned, or put after the
    /// handoff was closed. [`Ticket::is_leased`] and [`Ticket::is_condemned`] tell which. Must not put it back
    /// before it returns.
    pub on_return: Box<dyn Fn(Ticket<R>) + Send + Sync>,
    /// Low stock or a waiter, once until [`Handoff::rearm`].
    pub on_low: Box<dyn Fn() + Send + Sync>,
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

/// Ready tickets on one side, waiting takers on the other. Dropped, it is [closed](Handoff::close).
pub struct Handoff<R>(Arc<Exchange<R>>);

impl<R> Handoff<R> {
    /// An empty one. Up to `capacity` tickets can be ready on the fast way; more may be, but a taker of those
    /// takes a lock. At most `queue_limit` takers wait at any time; further ones are refused.
    #[must_use]
    pub fn new(capacity: usize, queue_limit: usize, hooks: Hooks<R>) -> Self {
        Self(Arc::new(Exchange::new(capacity, queue_limit, hooks)))
    }

    /// A ticket for a new runtime, not yet in circulation: [`Ticket::put`] makes it leasable.
    pub fn issue(&self, runtime: RuntimeId, resource: R) -> Ticket<R> {
        Ticket::new(runtime, resource, Arc::clone(&self.0))
    }

    /// Takes a ticket, waiting for one behind everybody who already waits.
    ///
    /// Uses up tokio's cooperative budget, so that a loop of takes lets its neighbours run; harmless outside of
    /// tokio. The queue is joined when the future is first polled.
    ///
    /// Cancel safety: dropped at any point, the place in the queue is free at once, and a ticket that had
    /// already been handed over goes to the next in line.
    ///
    /// # Errors
    ///
    /// [`TakeError::Overloaded`](super::TakeError::Overloaded) if the queue is full,
    /// [`TakeError::Closed`](super::TakeError::Closed) as soon as the handoff is closed.
    #[inline]
    pub fn take(&self) -> Take<'_, R> {
        Take::new(&self.0)
    }

    /// Takes a ticket if one is ready.
    #[must_use]
    pub fn try_take(&self) -> Option<Taken<R>> {
        self.0.try_take().map(Taken::new)
    }

    /// Whether takers are refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Takes a ready ticket, condemned or not, out of circulation. Does not count as demand.
    #[must_use]
    pub fn withdraw(&self) -> Option<Ticket<R>> {
        self.0.withdraw()
    }

    /// Takes the condemned ones of the ready tickets out of circulation. Takes time in proportion to what is
    /// ready; the others keep their order, unless there is traffic meanwhile.
    #[must_use]
    pub fn withdraw_condemned(&self) -> Vec<Ticket<R>> {
        self.0.withdraw_condemned()
    }

    /// Fails all waiters at once, and all later takes. Tickets that are ready now, or put later, go to
    /// `on_return`. There is no way back.
    pub fn close(&self) {
        self.0.close();
    }

    /// What there is.
    #[must_use]
    pub fn stock(&self) -> Stock {
        self.0.stock()
    }

    /// How many takes had to wait, and got their ticket.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.0.waits()
    }

    /// Calls `on_low` when a take leaves fewer than `mark` ready; with `None` never, because nothing could be
    /// done about it. Default 0: when somebody has to wait.
    pub fn set_low_mark(&self, mark: Option<usize>) {
        self.0.gauge.set_low_mark(mark);
    }

    /// Has `on_low` called once more, from the next take that leaves the stock low. Rearm first and look at the
    /// [stock](Handoff::stock) afterwards; the other way round, a take in between goes unnoticed.
    pub fn rearm(&self) {
        self.0.gauge.rearm();
    }

    /// The fewest tickets that were ready since the last call: that many were not needed meanwhile.
    #[must_use]
    pub fn low_water(&self) -> usize {
        self.0.gauge.low_water(self.stock().ready)
    }

    /// From now on at most `limit` takers wait. Those who already do stay.
    pub fn set_queue_limit(&self, limit: usize) {
        self.0.set_queue_limit(limit);
    }

    /// Sets the coarse clock by which tickets count their idle time: milliseconds since any fixed moment. The
    /// time between two ticks is how wrong [`Ticket::idle`] may be. Whoever waits is woken by the first tick it sees,
    /// to set itself a timer if it wants one.
    pub fn tick(&self, now: u64) {
        self.0.tick(now);
    }

    /// The coarse clock, as of its last tick.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.gauge.now()
    }
}

/// A ready ticket ties the exchange to itself; closing sends them all away.
impl<R> Drop for Handoff<R> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<R> fmt::Debug for Handoff<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handoff").field(&self.0).finish()
    }
}

impl<R> fmt::Debug for Hooks<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
