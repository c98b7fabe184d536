use std::fmt;
use std::task::{Poll, Waker};

use super::sync::{Mutex, MutexGuard, PoisonError, Queue};
use super::tally::Tally;
use super::waiters::{Look, Turn, Waiters};
use super::{Hooks, TakeError, Ticket};

/// Where tickets and takers meet. The algorithm, and why nobody waits beside a ready ticket, are in the
/// module's documentation.
///
/// The order of the fields matters: count, lock and the ends of the list share two cache lines, so that a take
/// that waits and a put that serves pull them over once.
#[repr(C, align(128))]
pub(super) struct Exchange<R> {
    pub(super) tally: Tally,
    /// The list of wakers, and no state of the pool: it is held for a few instructions, by those who wait and
    /// those who serve them, and no hook or waker runs under it.
    waiters: Mutex<Waiters<Ticket<R>>>,
    ready: Queue<Ticket<R>>,
    hooks: Hooks<R>,
}

/// What a taker gets without waiting.
#[derive(Debug)]
pub(super) enum Attempt<R> {
    Taken(Ticket<R>),
    /// A place among the waiters.
    Queued(usize),
    Refused(TakeError),
}

/// Where a taker joins the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Behind everybody, if there is room.
    New,
    /// Ahead of everybody: its turn had come, but the ticket was condemned on the way.
    Next,
}

/// What came of an attempt to join.
enum Joined<R> {
    Waiting(usize),
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
    /// Somebody was served; there may be more to do.
    Served(Turn<Ticket<R>>),
    /// The same, and there is nothing more to do.
    ServedLast(Turn<Ticket<R>>),
    /// A ticket that nobody may take.
    Unfit(Ticket<R>),
}

impl<R> Exchange<R> {
    pub(super) fn new(queue_limit: usize, hooks: Hooks<R>) -> Self {
        Self {
            tally: Tally::new(),
            ready: Queue::new(),
            waiters: Mutex::new(Waiters::new(queue_limit)),
            hooks,
        }
    }

    /// A ticket, or a place in the queue for whoever is woken by `waker`.
    pub(super) fn take(&self, waker: &Waker, standing: Standing) -> Attempt<R> {
        loop {
            let left = self.tally.subtract();
            self.note(left);
            let attempt = match if left >= 0 { self.ready.pop() } else { None } {
                Some(ticket) => Attempt::Taken(ticket),
                None => self.queue(waker, standing),
            };
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

    /// To the oldest waiter, or else ready.
    pub(super) fn put(&self, ticket: Ticket<R>) {
        if ticket.is_condemned() {
            return self.return_to_owner(ticket);
        }
        let unserved = if self.tally.has_waiters() { self.serve(ticket) } else { Some(ticket) };
        if let Some(ticket) = unserved {
            self.ready.push(ticket);
            self.release();
        }
    }

    /// Hands over to the oldest waiter past the queue. Gives the ticket back if nobody waits.
    #[cold]
    fn serve(&self, ticket: Ticket<R>) -> Option<Ticket<R>> {
        let (turn, unsettled) = {
            let mut waiters = self.lock();
            if waiters.is_empty() {
                return Some(ticket);
            }
            let turn = waiters.serve(ticket);
            (turn, self.tally.add() && !waiters.is_empty() && !self.ready.is_empty())
        };
        turn.wake();
        if unsettled {
            self.settle();
        }
        None
    }

    /// What has become of the waiter at `place`. When it is `Ready`, the place is gone.
    pub(super) fn look(&self, place: usize, waker: &Waker) -> Poll<Result<Ticket<R>, TakeError>> {
        let mut look = self.lock().look(place, waker);
        if let Look::Moved = look {
            let renewed = waker.clone();
            let replaced = self.lock().renew(place, renewed);
            drop(replaced);
            look = self.lock().look(place, waker);
        }
        match look {
            Look::Over(turn) => Poll::Ready(turn.map_err(|_| TakeError::Closed)),
            Look::Waiting | Look::Moved => Poll::Pending,
        }
    }

    /// The waiter at `place` gives up. A ticket it already had goes to the next.
    pub(super) fn leave(&self, place: usize) {
        let turn = self.lock().leave(place);
        match turn {
            Turn::Waiting(_) => self.release(),
            Turn::Served(ticket) => self.put(ticket),
            Turn::Refused => {}
        }
    }

    /// Refuses all takers, now and later; tickets that are ready, or put later, go to `on_return`.
    pub(super) fn close(&self) {
        let turns = {
            let mut waiters = self.lock();
            if waiters.is_closed() {
                return;
            }
            let turns = waiters.close();
            self.tally.close(turns.len());
            turns
        };
        turns.into_iter().for_each(Turn::wake);
        self.settle();
    }

    pub(super) fn set_queue_limit(&self, limit: usize) {
        self.lock().set_limit(limit);
    }

    pub(super) fn return_to_owner(&self, ticket: Ticket<R>) {
        (self.hooks.on_return)(ticket);
    }

    pub(super) fn now(&self) -> u64 {
        self.tally.now()
    }

    /// For a taker whom the fast way did not serve. The count is already lowered for it.
    #[cold]
    fn queue(&self, waker: &Waker, standing: Standing) -> Attempt<R> {
        loop {
            match self.join(waker.clone(), standing) {
                Joined::Waiting(place) => return Attempt::Queued(place),
                Joined::Served(ticket) => return Attempt::Taken(ticket),
                Joined::OthersFirst => self.settle(),
                Joined::Not(error) => {
                    self.release();
                    return Attempt::Refused(error);
                }
            }
        }
    }

    fn join(&self, waker: Waker, standing: Standing) -> Joined<R> {
        let mut waiters = self.lock();
        if waiters.is_closed() {
            return Joined::Not(TakeError::Closed);
        }
        if waiters.is_empty() || standing == Standing::Next {
            if let Some(ticket) = self.ready.pop() {
                return Joined::Served(ticket);
            }
        } else if !self.ready.is_empty() {
            return Joined::OthersFirst;
        }
        match standing {
            Standing::New if waiters.is_full() => {
                Joined::Not(TakeError::Overloaded { waiters: waiters.len() })
            }
            Standing::New => Joined::Waiting(waiters.join_behind(waker)),
            Standing::Next => Joined::Waiting(waiters.join_ahead(waker)),
        }
    }

    /// Pops the ticket the count was just lowered for. An older waiter may have been served with it.
    fn pop_claimed(&self) -> Option<Ticket<R>> {
        let ticket = self.ready.pop();
        if ticket.is_none() {
            self.release();
        }
        ticket
    }

    /// The count goes up: for a ticket just pushed, or for a taker that is none any more.
    fn release(&self) {
        if self.tally.add() {
            self.settle();
        }
    }

    /// Brings ready tickets and waiters together until either is used up.
    #[cold]
    fn settle(&self) {
        loop {
            match self.settle_one() {
                Step::Done => return,
                Step::Served(turn) => turn.wake(),
                Step::ServedLast(turn) => return turn.wake(),
                Step::Unfit(ticket) => self.return_to_owner(ticket),
            }
        }
    }

    fn settle_one(&self) -> Step<R> {
        let mut waiters = self.lock();
        if waiters.is_empty() && !waiters.is_closed() {
            return Step::Done;
        }
        let Some(ticket) = self.ready.pop() else { return Step::Done };
        if waiters.is_closed() || ticket.is_condemned() {
            self.tally.subtract();
            return Step::Unfit(ticket);
        }
        let turn = waiters.serve(ticket);
        if waiters.is_empty() || self.ready.is_empty() { Step::ServedLast(turn) } else { Step::Served(turn) }
    }

    fn note(&self, left: i64) {
        if self.tally.is_newly_low(left) {
            (self.hooks.on_low)();
        }
    }

    /// A panic cannot happen under this lock; if it did, the list would still be whole.
    fn lock(&self) -> MutexGuard<'_, Waiters<Ticket<R>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> fmt::Debug for Exchange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("stock", &self.tally.stock()).finish_non_exhaustive()
    }
}
