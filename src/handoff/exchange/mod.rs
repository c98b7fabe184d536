use std::fmt;
use std::task::Waker;

use super::gate::{Gate, Sign};
use super::gauge::Gauge;
use super::ready::Ready;
use super::seat::Seats;
use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError};
use super::waiters;
use super::{Hooks, Stock, TakeError, Ticket};
use desk::Desk;

pub(super) use place::Place;

mod desk;
mod place;
mod serving;
mod waiting;

/// Where tickets and takers meet. The algorithm, and why nobody waits beside a ready ticket, are in the
/// module's documentation.
///
/// The order of the fields matters: gate, lock and line share a cache line, which a take that waits and a put
/// that serves pull over from another processor at one stroke.
#[repr(C, align(128))]
pub(super) struct Exchange<R> {
    gate: Gate,
    /// Held for a few instructions by those who wait and those who serve them, never on the fast way. No hook
    /// and no waker runs under it.
    desk: Mutex<Desk<R>>,
    pub(super) gauge: Gauge,
    ready: Ready<R>,
    /// How many tickets are in the spill.
    spilled: AtomicUsize,
    seats: Seats<Ticket<R>>,
    hooks: Hooks<R>,
}

/// What a taker gets without waiting.
#[derive(Debug)]
pub(super) enum Attempt<'a, R> {
    Taken(Ticket<R>),
    Queued(Place<'a, R>),
    Refused(TakeError),
}

impl<R> Exchange<R> {
    pub(super) fn new(capacity: usize, queue_limit: usize, hooks: Hooks<R>) -> Self {
        Self {
            gate: Gate::new(),
            desk: Mutex::new(Desk::new(queue_limit)),
            gauge: Gauge::new(),
            ready: Ready::new(capacity),
            spilled: AtomicUsize::new(0),
            seats: Seats::new(),
            hooks,
        }
    }

    /// A ticket, or a place in the queue for whoever is woken by `waker`.
    #[inline]
    pub(super) fn take(&self, waker: &Waker) -> Attempt<'_, R> {
        loop {
            let popped = if self.gate.is_open() { self.ready.pop() } else { None };
            let ticket = match popped {
                Some(ticket) => ticket,
                None => match self.queue(waker) {
                    Attempt::Taken(ticket) => ticket,
                    attempt => return attempt,
                },
            };
            if !ticket.is_condemned() {
                self.note_taken();
                return Attempt::Taken(ticket);
            }
            self.return_to_owner(ticket);
        }
    }

    /// A ready ticket that is fit to lease.
    pub(super) fn try_take(&self) -> Option<Ticket<R>> {
        loop {
            let ticket = self.withdraw()?;
            if !ticket.is_condemned() {
                self.note_taken();
                return Some(ticket);
            }
            self.return_to_owner(ticket);
        }
    }

    /// A ready ticket in any condition. Says nothing about demand.
    pub(super) fn withdraw(&self) -> Option<Ticket<R>> {
        match self.gate.sign() {
            Sign::Open => self.ready.pop().or_else(|| self.withdraw_spilled()),
            Sign::Shut => self.withdraw_at_desk(),
            Sign::Waiting(_) | Sign::Closed => None,
        }
    }

    fn withdraw_spilled(&self) -> Option<Ticket<R>> {
        if self.spilled.load(Ordering::Relaxed) > 0 { self.withdraw_at_desk() } else { None }
    }

    /// Where it shows whether the gate is shut for longer than this moment.
    #[cold]
    fn withdraw_at_desk(&self) -> Option<Ticket<R>> {
        let mut desk = self.lock();
        if desk.waiters.is_empty() && !desk.waiters.is_closed() { self.pop(&mut desk) } else { None }
    }

    /// The condemned ones of the ready tickets: the pockets, one turn of the queue, then the spill.
    pub(super) fn withdraw_condemned(&self) -> Vec<Ticket<R>> {
        let (mut condemned, sound): (Vec<_>, Vec<_>) = self.ready.pocketed().partition(Ticket::is_condemned);
        for ticket in sound {
            self.put(ticket);
        }
        for _ in 0..self.ready.queued() {
            match self.withdraw() {
                Some(ticket) if ticket.is_condemned() => condemned.push(ticket),
                Some(ticket) => self.put(ticket),
                None => return condemned,
            }
        }
        let mut desk = self.lock();
        condemned.extend(desk.spill.extract_if(.., |ticket| ticket.is_condemned()));
        self.count_spill(&desk);
        condemned
    }

    /// To the oldest waiter, or else ready, behind all others.
    pub(super) fn put(&self, ticket: Ticket<R>) {
        self.bring(ticket, Ready::push);
    }

    /// To the oldest waiter, or else ready, for this thread first.
    #[inline]
    pub(super) fn put_back(&self, ticket: Ticket<R>) {
        self.bring(ticket, Ready::push_back);
    }

    #[inline]
    fn bring(&self, ticket: Ticket<R>, push: impl FnOnce(&Ready<R>, Ticket<R>) -> Result<(), Ticket<R>>) {
        if ticket.is_condemned() {
            return self.return_to_owner(ticket);
        }
        // A ticket that was awaited will be again: then it costs less to change the gate's cache line at once than to
        // fetch it from another processor once to look and again to change it.
        let unserved =
            if ticket.was_awaited() || !self.gate.is_open() { self.serve(ticket) } else { Some(ticket) };
        if let Some(mut ticket) = unserved {
            ticket.set_awaited(false);
            if let Err(ticket) = push(&self.ready, ticket) {
                self.spill(ticket);
            }
            if !self.gate.is_open() {
                self.settle();
            }
        }
    }

    /// Refuses all takers, now and later; tickets that are ready, or put later, go to `on_return`.
    pub(super) fn close(&self) {
        let refused = {
            let mut desk = self.lock();
            if desk.waiters.is_closed() {
                return;
            }
            self.gate.close();
            desk.waiters.close()
        };
        refused.into_iter().for_each(waiters::Place::wake);
        self.settle();
    }

    /// The coarse clock has moved on.
    pub(super) fn tick(&self, now: u64) {
        self.gauge.tick(now);
        let due = self.lock().waiters.remind();
        due.into_iter().for_each(Waker::wake);
    }

    pub(super) fn set_queue_limit(&self, limit: usize) {
        self.lock().waiters.set_limit(limit);
    }

    pub(super) fn return_to_owner(&self, ticket: Ticket<R>) {
        (self.hooks.on_return)(ticket);
    }

    pub(super) fn stock(&self) -> Stock {
        match self.gate.sign() {
            Sign::Open | Sign::Shut => Stock { ready: self.ready(), waiters: 0 },
            Sign::Waiting(waiters) => Stock { ready: self.ready(), waiters },
            Sign::Closed => Stock::default(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.gate.sign() == Sign::Closed
    }

    pub(super) fn waits(&self) -> u64 {
        self.lock().waiters.served()
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    #[inline]
    fn ready(&self) -> usize {
        self.ready.len() + self.spilled.load(Ordering::Relaxed)
    }

    #[cold]
    fn spill(&self, ticket: Ticket<R>) {
        let mut desk = self.lock();
        desk.spill.push(ticket);
        self.count_spill(&desk);
    }

    /// The spill changes only under the lock: when the queue is found empty after it, both were empty at once.
    fn pop(&self, desk: &mut Desk<R>) -> Option<Ticket<R>> {
        let spilled = desk.spill.pop();
        if spilled.is_none() {
            return self.ready.pop();
        }
        self.count_spill(desk);
        spilled
    }

    #[inline]
    fn count_waiters(&self, desk: &Desk<R>) {
        if !desk.waiters.is_closed() {
            self.gate.set_waiting(desk.waiters.len());
        }
    }

    fn count_spill(&self, desk: &Desk<R>) {
        self.spilled.store(desk.spill.len(), Ordering::Relaxed);
    }

    /// Counts what is left only if it may matter how little that is.
    #[inline]
    fn note_taken(&self) {
        if !self.gauge.is_ample(self.ready.queued()) {
            self.note(i64::try_from(self.ready()).unwrap_or(i64::MAX));
        }
    }

    #[inline]
    fn note(&self, left: i64) {
        if self.gauge.note(left) {
            (self.hooks.on_low)();
        }
    }

    /// A panic cannot happen under this lock; if it did, the list would still be whole.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Desk<R>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> fmt::Debug for Exchange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("stock", &self.stock()).finish_non_exhaustive()
    }
}
