use std::fmt;
use std::task::{Poll, Waker};

use super::gate::{Gate, Sign};
use super::gauge::Gauge;
use super::seat::{Seat, Seats};
use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError, Queue};
use super::waiters;
use super::waiters::{Look, Waiters};
use super::{Hooks, Stock, TakeError, Ticket};

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
    ready: Queue<Ticket<R>>,
    /// How many tickets are in the spill.
    spilled: AtomicUsize,
    seats: Seats<Ticket<R>>,
    hooks: Hooks<R>,
}

/// What is behind the lock.
#[repr(C)]
struct Desk<R> {
    waiters: Waiters,
    /// Takes that had to wait and got their ticket.
    waits: u64,
    /// Served waiters that had no seat, by number, and what they have not collected yet.
    standing: Vec<(usize, Ticket<R>)>,
    /// Ready tickets beyond the capacity of the queue; none, unless the pool has outgrown it.
    spill: Vec<Ticket<R>>,
}

/// What a taker gets without waiting.
#[derive(Debug)]
pub(super) enum Attempt<'a, R> {
    Taken(Ticket<R>),
    Queued(Place<'a, R>),
    Refused(TakeError),
}

/// A waiter's.
pub(super) struct Place<'a, R> {
    number: usize,
    /// Its own, unless somebody still sits there: then it stands.
    seat: &'a Seat<Ticket<R>>,
    /// How many began to wait before it since the clock ticked.
    pub(super) nth: usize,
}

/// One step of settling.
enum Step<R> {
    /// Nothing is left for each other.
    Done,
    /// Somebody's turn has come, to be woken.
    Served(waiters::Place),
    /// The handoff is closed: a ticket that nobody will take.
    TooLate(Ticket<R>),
}

impl<R> Exchange<R> {
    pub(super) fn new(capacity: usize, queue_limit: usize, hooks: Hooks<R>) -> Self {
        Self {
            gate: Gate::new(),
            desk: Mutex::new(Desk {
                waiters: Waiters::new(queue_limit),
                waits: 0,
                standing: Vec::new(),
                spill: Vec::new(),
            }),
            gauge: Gauge::new(),
            ready: Queue::new(capacity.max(1)),
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
                self.note(i64::try_from(self.ready()).unwrap_or(i64::MAX));
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
                self.note(i64::try_from(self.ready()).unwrap_or(i64::MAX));
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
        let mut desk = self.lock();
        condemned.extend(desk.spill.extract_if(.., |ticket| ticket.is_condemned()));
        self.count_spill(&desk);
        condemned
    }

    /// To the oldest waiter, or else ready.
    pub(super) fn put(&self, ticket: Ticket<R>) {
        if ticket.is_condemned() {
            return self.return_to_owner(ticket);
        }
        // A ticket that was awaited will be again: then it costs less to change the gate's cache line at once than to
        // fetch it from another processor once to look and again to change it.
        let unserved =
            if ticket.was_awaited() || !self.gate.is_open() { self.serve(ticket) } else { Some(ticket) };
        if let Some(mut ticket) = unserved {
            ticket.set_awaited(false);
            self.push(ticket);
            if !self.gate.is_open() {
                self.settle();
            }
        }
    }

    /// What has become of the waiter at `place`, to be woken by `waker`. When it is `Ready`, the place is gone.
    #[inline]
    pub(super) fn look(&self, place: &Place<'_, R>, waker: &Waker) -> Poll<Result<Ticket<R>, TakeError>> {
        match place.collect() {
            Some(ticket) if !ticket.is_spoilt() => {
                place.vacate();
                Poll::Ready(Ok(ticket))
            }
            Some(ticket) => self.rejoin(place, ticket, waker),
            None => self.look_at_desk(place, waker),
        }
    }

    fn look_at_desk(&self, place: &Place<'_, R>, waker: &Waker) -> Poll<Result<Ticket<R>, TakeError>> {
        loop {
            let (look, collected) = {
                let mut desk = self.lock();
                let look = desk.waiters.look(place.number, waker);
                let collected = if look == Look::Gone { desk.collect(place) } else { None };
                (look, collected)
            };
            match (look, collected) {
                (Look::Waiting, _) => return Poll::Pending,
                (Look::Moved, _) if self.renew(place.number, waker.clone()) => return Poll::Pending,
                (Look::Moved, _) => {}
                (Look::Gone, Some(ticket)) if ticket.is_spoilt() => return self.rejoin(place, ticket, waker),
                (Look::Gone, collected) => {
                    place.vacate();
                    return Poll::Ready(collected.ok_or(TakeError::Closed));
                }
            }
        }
    }

    /// The waiter at `place` gives up. A ticket it already had goes to the next.
    pub(super) fn leave(&self, place: &Place<'_, R>) {
        let (waker, collected) = {
            let mut desk = self.lock();
            let waker = desk.waiters.leave(place.number);
            self.count_waiters(&desk);
            let collected = desk.collect(place);
            desk.waits -= u64::from(collected.is_some());
            (waker, collected)
        };
        drop(waker);
        place.vacate();
        if let Some(ticket) = collected {
            self.put(ticket);
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

    pub(super) fn waits(&self) -> u64 {
        self.lock().waits
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    #[inline]
    fn ready(&self) -> usize {
        self.ready.len() + self.spilled.load(Ordering::Relaxed)
    }

    /// For a taker whom the fast way did not serve.
    #[inline]
    fn queue(&self, waker: &Waker) -> Attempt<'_, R> {
        let attempt = self.join(waker.clone());
        if !matches!(attempt, Attempt::Taken(_)) {
            self.note(-1);
        }
        attempt
    }

    #[inline]
    fn join(&self, waker: Waker) -> Attempt<'_, R> {
        let mut desk = self.lock();
        if desk.waiters.is_empty()
            && let Some(attempt) = self.join_first(&mut desk)
        {
            return attempt;
        }
        if desk.waiters.is_full() {
            self.count_waiters(&desk);
            return Attempt::Refused(TakeError::Overloaded { waiters: desk.waiters.len() });
        }
        let number = desk.waiters.next();
        let seat = self.seats.at(number);
        seat.occupy(number);
        let nth = desk.waiters.join(waker);
        self.count_waiters(&desk);
        Attempt::Queued(Place { number, seat, nth })
    }

    /// When nobody waits yet, a ticket may have come meanwhile.
    fn join_first(&self, desk: &mut Desk<R>) -> Option<Attempt<'_, R>> {
        if desk.waiters.is_closed() {
            return Some(Attempt::Refused(TakeError::Closed));
        }
        self.gate.shut();
        let ticket = self.pop(desk)?;
        self.count_waiters(desk);
        Some(Attempt::Taken(ticket))
    }

    /// Whether the waiter still waits, to be woken by `waker`.
    fn renew(&self, place: usize, waker: Waker) -> bool {
        let renewed = self.lock().waiters.renew(place, waker);
        renewed.is_ok()
    }

    /// The ticket was condemned after it was handed over: the waiter's turn is still to come, and the next.
    #[cold]
    fn rejoin(
        &self,
        place: &Place<'_, R>,
        spoilt: Ticket<R>,
        waker: &Waker,
    ) -> Poll<Result<Ticket<R>, TakeError>> {
        let rejoining = waker.clone();
        {
            let mut desk = self.lock();
            desk.waits -= 1;
            if !desk.waiters.is_closed() {
                self.gate.shut();
                desk.waiters.rejoin(place.number, rejoining);
                self.count_waiters(&desk);
            }
        }
        self.return_to_owner(spoilt);
        self.settle();
        self.look_at_desk(place, waker)
    }

    /// Hands over to the oldest waiter past the queue. Gives the ticket back if nobody waits.
    #[inline]
    fn serve(&self, ticket: Ticket<R>) -> Option<Ticket<R>> {
        let mut desk = self.lock();
        let Some(place) = desk.waiters.serve() else { return Some(ticket) };
        self.hand_over(&mut desk, place.number, ticket);
        drop(desk);
        place.wake();
        None
    }

    /// To who waited under this number, and is out of the line.
    #[inline]
    fn hand_over(&self, desk: &mut Desk<R>, number: usize, mut ticket: Ticket<R>) {
        self.count_waiters(desk);
        desk.waits += 1;
        ticket.set_awaited(true);
        let seat = self.seats.at(number);
        if seat.is_of(number) {
            seat.give(ticket);
        } else {
            desk.standing.push((number, ticket));
        }
    }

    /// Brings ready tickets and waiters together until either is used up; once closed, sends the tickets home.
    #[cold]
    fn settle(&self) {
        loop {
            match self.settle_one() {
                Step::Done => return,
                Step::Served(place) => place.wake(),
                Step::TooLate(ticket) => self.return_to_owner(ticket),
            }
        }
    }

    fn settle_one(&self) -> Step<R> {
        let mut desk = self.lock();
        if desk.waiters.is_empty() && !desk.waiters.is_closed() {
            return Step::Done;
        }
        let Some(ticket) = self.pop(&mut desk) else { return Step::Done };
        let Some(place) = desk.waiters.serve() else { return Step::TooLate(ticket) };
        self.hand_over(&mut desk, place.number, ticket);
        Step::Served(place)
    }

    fn push(&self, ticket: Ticket<R>) {
        if let Err(ticket) = self.ready.push(ticket) {
            let mut desk = self.lock();
            desk.spill.push(ticket);
            self.count_spill(&desk);
        }
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

impl<R> Desk<R> {
    /// What a served waiter has not collected yet.
    fn collect(&mut self, place: &Place<'_, R>) -> Option<Ticket<R>> {
        place.collect().or_else(|| {
            let index = self.standing.iter().position(|(number, _)| *number == place.number)?;
            Some(self.standing.swap_remove(index).1)
        })
    }
}

impl<R> Place<'_, R> {
    #[inline]
    fn collect(&self) -> Option<Ticket<R>> {
        if self.seat.is_of(self.number) { self.seat.collect() } else { None }
    }

    #[inline]
    fn vacate(&self) {
        if self.seat.is_of(self.number) {
            self.seat.vacate();
        }
    }
}

impl<R> fmt::Debug for Place<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Exchange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("stock", &self.stock()).finish_non_exhaustive()
    }
}
