use std::fmt;
use std::task::{Poll, Waker};

use super::gauge::Gauge;
use super::sync::{Mutex, MutexGuard, PoisonError, Queue};
use super::tally::Tally;
use super::waiters::{Look, Turn, Waiters};
use super::{Hooks, TakeError, Ticket};

/// Where tickets and takers meet. The algorithm, and why nobody waits beside a ready ticket, are in the
/// module's documentation.
///
/// The order of the fields matters: count, lock and line share a cache line, which a take that waits and a put
/// that serves pull over from another processor at one stroke.
#[repr(C, align(128))]
pub(super) struct Exchange<R> {
    pub(super) tally: Tally,
    /// Held for a few instructions by those who wait and those who serve them, never on the fast way. No hook
    /// and no waker runs under it.
    desk: Mutex<Desk<R>>,
    pub(super) gauge: Gauge,
    ready: Queue<Ticket<R>>,
    hooks: Hooks<R>,
}

/// What is behind the lock.
#[repr(C)]
struct Desk<R> {
    waiters: Waiters<Ticket<R>>,
    /// Ready tickets beyond the capacity of the queue; none, unless the pool has outgrown it.
    spill: Vec<Ticket<R>>,
}

/// What a taker gets without waiting.
#[derive(Debug)]
pub(super) enum Attempt<R> {
    Taken(Ticket<R>),
    /// A place among the waiters, and how many began to wait before it since the clock ticked.
    Queued(usize, usize),
    Refused(TakeError),
}

/// What came of an attempt to join.
enum Joined<R> {
    Waiting(usize, usize),
    /// There was a ticket after all.
    Served(Ticket<R>),
    /// There are tickets, and older waiters: to be settled before.
    OthersFirst,
    Not(TakeError),
}

/// One step of settling.
enum Step<R> {
    /// Nothing is left for each other.
    Done,
    /// Somebody's turn has come, and the waker is in what it was before.
    Served(Turn<Ticket<R>>),
    /// The handoff is closed: a ticket that nobody will take.
    TooLate(Ticket<R>),
}

impl<R> Exchange<R> {
    pub(super) fn new(capacity: usize, queue_limit: usize, hooks: Hooks<R>) -> Self {
        Self {
            tally: Tally::new(),
            desk: Mutex::new(Desk { waiters: Waiters::new(queue_limit), spill: Vec::new() }),
            gauge: Gauge::new(),
            ready: Queue::new(capacity.max(1)),
            hooks,
        }
    }

    /// A ticket, or a place in the queue for whoever is woken by `waker`.
    pub(super) fn take(&self, waker: &Waker) -> Attempt<R> {
        loop {
            let left = self.tally.subtract();
            self.note(left);
            let popped = if left >= 0 { self.ready.pop() } else { None };
            let attempt = popped.map_or_else(|| self.queue(waker), Attempt::Taken);
            match attempt {
                Attempt::Taken(ticket) if ticket.is_condemned() => self.return_to_owner(ticket),
                attempt => return attempt,
            }
        }
    }

    /// A ready ticket that is fit to lease.
    pub(super) fn try_take(&self) -> Option<Ticket<R>> {
        loop {
            let left = self.tally.subtract_if_ready()?;
            self.note(left);
            let ticket = self.pop_claimed()?;
            if !ticket.is_condemned() {
                return Some(ticket);
            }
            self.return_to_owner(ticket);
        }
    }

    /// A ready ticket in any condition. Says nothing about demand.
    pub(super) fn withdraw(&self) -> Option<Ticket<R>> {
        self.tally.subtract_if_ready()?;
        self.pop_claimed()
    }

    /// The condemned ones of the ready tickets: one turn of the queue, then the spill.
    pub(super) fn withdraw_condemned(&self) -> Vec<Ticket<R>> {
        let mut condemned = Vec::new();
        for _ in 0..self.ready.len() {
            match self.withdraw() {
                Some(ticket) if ticket.is_condemned() => condemned.push(ticket),
                Some(ticket) => self.put(ticket),
                None => return condemned,
            }
        }
        while let Some(ticket) = self.withdraw_spilled() {
            condemned.push(ticket);
        }
        condemned
    }

    fn withdraw_spilled(&self) -> Option<Ticket<R>> {
        self.tally.subtract_if_ready()?;
        let spilled = {
            let spill = &mut self.lock().spill;
            spill.iter().position(Ticket::is_condemned).map(|index| spill.swap_remove(index))
        };
        if spilled.is_none() {
            self.tally.give_back();
        }
        spilled
    }

    /// To the oldest waiter, or else ready.
    pub(super) fn put(&self, ticket: Ticket<R>) {
        if ticket.is_condemned() {
            return self.return_to_owner(ticket);
        }
        // Not the count is asked whether somebody waits: it is another processor's, and would have to be fetched
        // once to be read and again to be changed.
        let unserved = if ticket.was_awaited() { self.serve(ticket) } else { Some(ticket) };
        if let Some(mut ticket) = unserved {
            ticket.set_awaited(false);
            self.push(ticket);
            if self.tally.add() {
                self.settle();
            }
        }
    }

    /// What has become of the waiter at `place`, to be woken by `waker`. When it is `Ready`, the place is gone.
    pub(super) fn look(&self, place: usize, waker: &Waker) -> Poll<Result<Ticket<R>, TakeError>> {
        loop {
            let look = self.lock().waiters.look(place, waker, Ticket::is_spoilt);
            match look {
                Look::Served(ticket) => return Poll::Ready(Ok(ticket)),
                Look::Refused => return Poll::Ready(Err(TakeError::Closed)),
                Look::Waiting => return Poll::Pending,
                Look::Moved if self.renew(place, waker.clone()) => return Poll::Pending,
                Look::Moved => {}
                Look::Spoilt => self.rejoin(place, waker.clone()),
            }
        }
    }

    /// The waiter at `place` gives up. A ticket it already had goes to the next.
    pub(super) fn leave(&self, place: usize) {
        let turn = self.lock().waiters.leave(place);
        match turn {
            Turn::Waiting(_) => self.tally.give_back(),
            Turn::Served(ticket) => self.put(ticket),
            Turn::Refused | Turn::Left => {}
        }
    }

    /// Refuses all takers, now and later; tickets that are ready, or put later, go to `on_return`.
    pub(super) fn close(&self) {
        let refused = {
            let mut desk = self.lock();
            if desk.waiters.is_closed() {
                return;
            }
            let refused = desk.waiters.close();
            self.tally.close(refused.len());
            refused
        };
        refused.into_iter().for_each(Turn::wake);
        self.settle();
    }

    /// The coarse clock has moved on.
    pub(super) fn tick(&self, now: u64) {
        self.gauge.tick(now);
        let due = self.lock().waiters.remind();
        due.into_iter().for_each(Turn::wake);
    }

    pub(super) fn set_queue_limit(&self, limit: usize) {
        self.lock().waiters.set_limit(limit);
    }

    pub(super) fn return_to_owner(&self, ticket: Ticket<R>) {
        (self.hooks.on_return)(ticket);
    }

    /// For a taker whom the fast way did not serve. The count is already lowered for it.
    fn queue(&self, waker: &Waker) -> Attempt<R> {
        loop {
            match self.join(waker.clone()) {
                Joined::Waiting(place, nth) => return Attempt::Queued(place, nth),
                Joined::Served(ticket) => return Attempt::Taken(ticket),
                Joined::OthersFirst => self.settle(),
                Joined::Not(error) => {
                    self.tally.give_back();
                    return Attempt::Refused(error);
                }
            }
        }
    }

    fn join(&self, waker: Waker) -> Joined<R> {
        let mut desk = self.lock();
        if desk.waiters.is_closed() {
            return Joined::Not(TakeError::Closed);
        }
        if desk.waiters.is_empty() {
            if let Some(ticket) = self.pop(&mut desk) {
                return Joined::Served(ticket);
            }
        } else if !self.is_empty(&desk) {
            return Joined::OthersFirst;
        }
        if desk.waiters.is_full() {
            return Joined::Not(TakeError::Overloaded { waiters: desk.waiters.len() });
        }
        let (place, nth) = desk.waiters.join(waker);
        Joined::Waiting(place, nth)
    }

    /// Whether the waiter still waits, to be woken by `waker`.
    fn renew(&self, place: usize, waker: Waker) -> bool {
        let renewed = self.lock().waiters.renew(place, waker);
        renewed.is_ok()
    }

    /// The ticket was condemned after it was handed over: the waiter's turn is still to come, and the next.
    #[cold]
    fn rejoin(&self, place: usize, waker: Waker) {
        let turn = {
            let mut desk = self.lock();
            if desk.waiters.is_closed() {
                desk.waiters.refuse(place)
            } else {
                self.tally.subtract();
                desk.waiters.rejoin(place, waker)
            }
        };
        if let Turn::Served(ticket) = turn {
            self.return_to_owner(ticket);
        }
        self.settle();
    }

    /// Hands over to the oldest waiter past the queue. Gives the ticket back if nobody waits.
    fn serve(&self, ticket: Ticket<R>) -> Option<Ticket<R>> {
        let turn = match self.lock().waiters.serve(ticket) {
            Ok(turn) => turn,
            Err(ticket) => return Some(ticket),
        };
        self.tally.give_back();
        turn.wake();
        None
    }

    /// Brings ready tickets and waiters together until either is used up; once closed, sends the tickets home.
    #[cold]
    fn settle(&self) {
        loop {
            match self.settle_one() {
                Step::Done => return,
                Step::Served(turn) => turn.wake(),
                Step::TooLate(ticket) => self.return_to_owner(ticket),
            }
        }
    }

    fn settle_one(&self) -> Step<R> {
        let mut desk = self.lock();
        if desk.waiters.is_empty() && !desk.waiters.is_closed() {
            return Step::Done;
        }
        let Some(mut ticket) = self.pop(&mut desk) else { return Step::Done };
        ticket.set_awaited(true);
        match desk.waiters.serve(ticket) {
            Ok(turn) => Step::Served(turn),
            Err(ticket) => {
                self.tally.subtract();
                Step::TooLate(ticket)
            }
        }
    }

    fn push(&self, ticket: Ticket<R>) {
        if let Err(ticket) = self.ready.push(ticket) {
            self.lock().spill.push(ticket);
        }
    }

    /// Pops the ticket the count was just lowered for. An older waiter may have been served with it.
    fn pop_claimed(&self) -> Option<Ticket<R>> {
        let ticket = self.ready.pop().or_else(|| self.pop(&mut self.lock()));
        if ticket.is_none() {
            self.tally.give_back();
        }
        ticket
    }

    /// The spill changes only under the lock: when the queue is found empty after it, both were empty at once.
    fn pop(&self, desk: &mut Desk<R>) -> Option<Ticket<R>> {
        desk.spill.pop().or_else(|| self.ready.pop())
    }

    fn is_empty(&self, desk: &Desk<R>) -> bool {
        desk.spill.is_empty() && self.ready.is_empty()
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
        f.debug_struct("Exchange").field("stock", &self.tally.stock()).finish_non_exhaustive()
    }
}
