use std::fmt;
use std::task::Waker;

use super::place::Place;
use super::sync::{Arc, Mutex, MutexGuard, PoisonError, Queue};
use super::tally::Tally;
use super::waiters::Waiters;
use super::{Hooks, TakeError, Taken, Ticket};

pub(super) type TakerPlace<R> = Arc<Place<Taken<R>>>;

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
    waiters: Mutex<Waiters<Taken<R>>>,
    ready: Queue<Ticket<R>>,
    hooks: Hooks<R>,
}

/// What a taker gets without waiting.
#[derive(Debug)]
pub(super) enum Attempt<R> {
    Taken(Ticket<R>),
    /// A place among the waiters.
    Queued(TakerPlace<R>),
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
    Waiting(TakerPlace<R>),
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
    /// Somebody's turn has come.
    Served(TakerPlace<R>, Ticket<R>),
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
        let (place, unsettled) = {
            let mut waiters = self.lock();
            let Some(place) = waiters.next() else { return Some(ticket) };
            (place, self.tally.add() && !waiters.is_empty() && !self.ready.is_empty())
        };
        place.serve(Taken::new(ticket));
        if unsettled {
            self.settle();
        }
        None
    }

    /// The waiter at `place` gives up.
    pub(super) fn leave(&self, place: &TakerPlace<R>) {
        let left = self.lock().leave(place);
        if left.is_some() {
            self.release();
        }
    }

    /// Refuses all takers, now and later; tickets that are ready, or put later, go to `on_return`.
    pub(super) fn close(&self) {
        let refused = {
            let mut waiters = self.lock();
            if waiters.is_closed() {
                return;
            }
            self.tally.close(waiters.len());
            waiters.close()
        };
        refused.into_iter().flatten().for_each(|place| place.refuse());
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
            match self.join(Arc::new(Place::new(waker.clone())), standing) {
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

    fn join(&self, place: TakerPlace<R>, standing: Standing) -> Joined<R> {
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
            Standing::New => {
                waiters.join_behind(Arc::clone(&place));
                Joined::Waiting(place)
            }
            Standing::Next => {
                waiters.join_ahead(Arc::clone(&place));
                Joined::Waiting(place)
            }
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
                Step::Served(place, ticket) => place.serve(Taken::new(ticket)),
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
        if !ticket.is_condemned()
            && let Some(place) = waiters.next()
        {
            return Step::Served(place, ticket);
        }
        self.tally.subtract();
        Step::Unfit(ticket)
    }

    fn note(&self, left: i64) {
        if self.tally.is_newly_low(left) {
            (self.hooks.on_low)();
        }
    }

    /// A panic cannot happen under this lock; if it did, the list would still be whole.
    fn lock(&self) -> MutexGuard<'_, Waiters<Taken<R>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> fmt::Debug for Exchange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("stock", &self.tally.stock()).finish_non_exhaustive()
    }
}
